/// Lines of text as a mask to paint through.
///
/// The letters are OpenCV's stroke font (Hershey's): the same on every machine, without font files, and ASCII only.
/// Thread safety: no shared state.
#ifndef WEFT_MODALITIES_IMAGE_OPENCV_TEXT_MASK_H
#define WEFT_MODALITIES_IMAGE_OPENCV_TEXT_MASK_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace weft {

struct TextLayout {
  int64_t width = 0;      // of the mask, in pixels; lines are broken between words to fit
  int64_t size = 14;      // height of a capital letter, in pixels
  int64_t margin = 6;     // around the text, in pixels
  int64_t max_lines = 3;  // what does not fit ends with "..."
};
/// Height of a mask with that many lines.
int64_t text_mask_height(const TextLayout& layout, int64_t lines);

struct TextMask {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> coverage;  // [height, width], 255 where letters are
};
/// An empty text gives a mask without rows. Errors: kUnsupported for a character that the font does not have.
Result<TextMask> make_text_mask(std::string_view text, const TextLayout& layout);

}  // namespace weft
#endif
