/// Text in Unicode as a mask to paint through: shaped by HarfBuzz, drawn by FreeType without hinting, so that equal fonts give
/// equal pixels.
///
/// Each character is drawn with the first of the given fonts that has it. Lines run from left to right; Hebrew, Arabic and
/// other scripts from right to left are refused. Colour fonts (emoji) are not drawn.
/// Ownership: nothing is kept. Thread safety: no shared state but fontconfig's own, which allows several threads.
///
///   Result<std::vector<FontFile>> fonts = find_fonts(text);
///   if (!fonts.ok()) return fonts.status();
///   Result<TextMask> mask = draw_text(text, layout, *fonts);
#ifndef WEFT_MODALITIES_IMAGE_FONTS_FONT_TEXT_H
#define WEFT_MODALITIES_IMAGE_FONTS_FONT_TEXT_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/image/text_lines.h"

namespace weft {

/// A face of a font file that FreeType reads: TrueType, OpenType, Type 1.
struct FontFile {
  std::string path;
  int index = 0;  // of the face in a collection
};

/// The fonts of this machine that the text needs, by fontconfig: of its sans-serif ones in its order the first, which says how
/// large letters are, and each that has a character which none before has. Characters that no font has need none. Errors: kNotFound (no font at all).
Result<std::vector<FontFile>> find_fonts(std::string_view text);

/// Height of a mask with that many lines: room for accents on capitals in the first one.
int64_t font_text_height(const TextLayout& layout, int64_t lines);

/// An empty text gives a mask without rows. The first font says how large letters are. Errors: those of check_text;
/// kUnsupported (a character that no font has, a script from right to left), kCorruptData (no font, a damaged one),
/// kIoError, kNotFound.
Result<TextMask> draw_text(std::string_view text, const TextLayout& layout, std::span<const FontFile> fonts);

}  // namespace weft
#endif
