/// Lines of ASCII text as a mask to paint through; fonts/ draws others.
///
/// The letters are OpenCV's stroke font (Hershey's): the same on every machine, without font files, and ASCII only.
/// Thread safety: no shared state.
#ifndef WEFT_MODALITIES_IMAGE_OPENCV_TEXT_MASK_H
#define WEFT_MODALITIES_IMAGE_OPENCV_TEXT_MASK_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string_view>

#include "modalities/image/text_lines.h"

namespace weft {

/// Height of a mask with that many lines.
int64_t text_mask_height(const TextLayout& layout, int64_t lines);

/// Whether the font has all characters of the text.
bool has_stroke_letters(std::string_view text);
/// An empty text gives a mask without rows. Errors: kUnsupported for a character that the font does not have.
Result<TextMask> make_text_mask(std::string_view text, const TextLayout& layout);

}  // namespace weft
#endif
