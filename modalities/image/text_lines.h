/// Lines of text that are to be drawn: how they are laid out and broken, whatever draws them.
///
/// A line may be broken at spaces and between characters of Chinese and Japanese, but not before a closing or behind an
/// opening mark; a word that is wider than a line is cut between characters as people see them (grapheme clusters).
/// Source: Unicode UAX #14, of which this is the part for those scripts. Thread safety: no shared state.
#ifndef WEFT_MODALITIES_IMAGE_TEXT_LINES_H
#define WEFT_MODALITIES_IMAGE_TEXT_LINES_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct TextLayout {
  int64_t width = 0;      // of the mask, in pixels; lines are broken to fit
  int64_t size = 14;      // height of a capital letter, in pixels
  int64_t margin = 6;     // around the text, in pixels
  int64_t max_lines = 3;  // what does not fit ends with "..."
};
/// From one baseline to the next, in pixels.
int64_t line_height(const TextLayout& layout);

struct TextMask {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> coverage;  // [height, width], 255 where letters are
};

/// Errors: kInvalidArgument for bytes that are no UTF-8, kUnsupported for control characters other than line feeds and tabs.
Status check_text(std::string_view text);

/// width_of: pixels that a part of a line takes. Precondition: check_text(text).
std::vector<std::string> break_lines(std::string_view text, const TextLayout& layout,
                                     const std::function<int64_t(std::string_view)>& width_of);

}  // namespace weft
#endif
