#include "modalities/image/fonts/font_text.h"

#include <ft2build.h>
#include <hb-ft.h>
#include <hb.h>
#include <utf8proc.h>
#include <weft/sdk/owned.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "modalities/unicode/utf8.h"
#include "modalities/weights/mapped_file.h"

namespace weft {
namespace {

constexpr FT_Int32 kLoadFlags = FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP;
constexpr double kUnit = 64;  // of FreeType's and HarfBuzz's coordinates, in a pixel

using Library = Owned<FT_LibraryRec_, FT_Done_FreeType>;
using Face = Owned<FT_FaceRec_, FT_Done_Face>;
using ShapingFont = Owned<hb_font_t, hb_font_destroy>;
using Buffer = Owned<hb_buffer_t, hb_buffer_destroy>;

/// A face at one size. Its file is mapped as long as it lives.
struct Font {
  MappedFile file;
  Face face;
  ShapingFont shaping;
};

Status damaged(const FontFile& font, FT_Error code) {
  return Status(StatusCode::kCorruptData, "the font cannot be read")
      .at(font.path)
      .expected("a TrueType, OpenType or Type 1 font with outlines")
      .got("FreeType's error " + std::to_string(code));
}

/// Height of an H for a height of 1 of the em square.
double capital_height(FT_Face face) {
  constexpr double kUsual = 0.7;  // where there is no H
  const FT_UInt glyph = FT_Get_Char_Index(face, 'H');
  if (glyph == 0 || face->units_per_EM == 0 || FT_Load_Glyph(face, glyph, FT_LOAD_NO_SCALE) != 0)
    return kUsual;
  const double height = static_cast<double>(face->glyph->metrics.horiBearingY) / face->units_per_EM;
  return height > 0.3 && height < 1.2 ? height : kUsual;
}

bool is_ignorable(char32_t c) {
  return c == 0x200C || c == 0x200D || c == 0xFEFF || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xAD;
}

/// Glyphs of a line, from its left end on.
struct Glyph {
  FT_Face face;
  FT_UInt index;
  double x, y;  // pixels, y upwards from the baseline
};
struct Line {
  std::vector<Glyph> glyphs;
  double width = 0;
};

class Pen {
 public:
  static Result<Pen> open(std::span<const FontFile> files, int64_t capital_pixels);

  /// Errors: kUnsupported, for the text that is to be drawn.
  Status check(std::string_view text) const;
  Line shape(std::string_view line) const;
  Status draw(const Line& line, double left, double baseline, TextMask& mask) const;

 private:
  size_t font_for(char32_t c) const;  // fonts_.size(): none has it
  void shape_run(std::string_view line, size_t begin, size_t end, const Font& font, Line& out) const;

  Library library_;
  std::vector<Font> fonts_;
};

Result<Pen> Pen::open(std::span<const FontFile> files, int64_t capital_pixels) {
  Pen pen;
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) return Status(StatusCode::kOutOfMemory, "out of memory");
  pen.library_.reset(library);
  FT_F26Dot6 em = 0;
  for (const FontFile& file : files) {
    Result<MappedFile> mapped = MappedFile::open(file.path);
    if (!mapped.ok()) return mapped.status();
    const auto* bytes = reinterpret_cast<const FT_Byte*>(mapped->bytes().data());
    FT_Face opened = nullptr;
    FT_Error code =
        FT_New_Memory_Face(library, bytes, static_cast<FT_Long>(mapped->bytes().size()), file.index, &opened);
    if (code != 0) return damaged(file, code);
    Face face(opened);
    if (em == 0) em = std::lround(kUnit * static_cast<double>(capital_pixels) / capital_height(opened));
    code = FT_IS_SCALABLE(opened) ? FT_Set_Char_Size(opened, 0, em, 72, 72) : FT_Err_Invalid_Pixel_Size;
    if (code != 0) return damaged(file, code);
    ShapingFont shaping(hb_ft_font_create(opened, nullptr));
    hb_ft_font_set_load_flags(shaping.get(), kLoadFlags);
    pen.fonts_.push_back({*std::move(mapped), std::move(face), std::move(shaping)});
  }
  return pen;
}

size_t Pen::font_for(char32_t c) const {
  size_t i = 0;
  while (i < fonts_.size() && FT_Get_Char_Index(fonts_[i].face.get(), c) == 0) ++i;
  return i;
}

Status Pen::check(std::string_view text) const {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    const char32_t c = step.code_point;
    char code[16];
    std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(c));
    const std::string what = std::string(code) + " '" + std::string(text.substr(at, step.size)) +
                             "' at offset " + std::to_string(at);
    const utf8proc_property_t* of = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
    if (of->bidi_class == UTF8PROC_BIDI_CLASS_R || of->bidi_class == UTF8PROC_BIDI_CLASS_AL)
      return Status(StatusCode::kUnsupported, "text from right to left is not laid out").got(what);
    if (c > ' ' && !is_ignorable(c) && font_for(c) == fonts_.size()) {
      return Status(StatusCode::kUnsupported, "no font has a character of the text")
          .got(what)
          .hint(
              "install a font that has it (Debian: fonts-noto-cjk has Chinese, Japanese and Korean), or name "
              "a file");
    }
    at += step.size;
  }
  return {};
}

void Pen::shape_run(std::string_view line, size_t begin, size_t end, const Font& font, Line& out) const {
  const Buffer buffer(hb_buffer_create());
  hb_buffer_add_utf8(buffer.get(), line.data(), static_cast<int>(line.size()), static_cast<unsigned>(begin),
                     static_cast<int>(end - begin));
  hb_buffer_set_direction(buffer.get(), HB_DIRECTION_LTR);
  hb_buffer_set_language(buffer.get(), hb_language_from_string("und", -1));  // not the environment's
  hb_buffer_guess_segment_properties(buffer.get());
  hb_shape(font.shaping.get(), buffer.get(), nullptr, 0);
  unsigned count = 0;
  const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer.get(), &count);
  const hb_glyph_position_t* places = hb_buffer_get_glyph_positions(buffer.get(), &count);
  for (unsigned i = 0; i < count; ++i) {
    out.glyphs.push_back({font.face.get(), glyphs[i].codepoint, out.width + places[i].x_offset / kUnit,
                          places[i].y_offset / kUnit});
    out.width += places[i].x_advance / kUnit;
  }
}

// A run has one font and one script; marks, spaces and joiners go with what is before them.
Line Pen::shape(std::string_view line) const {
  Line out;
  size_t begin = 0, font = fonts_.size();
  hb_script_t script = HB_SCRIPT_COMMON;
  hb_unicode_funcs_t* unicode = hb_unicode_funcs_get_default();
  for (size_t at = 0; at < line.size();) {
    const Utf8Step step = utf8_step(line.substr(at));
    const hb_script_t of = hb_unicode_script(unicode, step.code_point);
    const bool any_script = of == HB_SCRIPT_COMMON || of == HB_SCRIPT_INHERITED;
    const bool stays = is_ignorable(step.code_point) || of == HB_SCRIPT_INHERITED;
    const size_t wanted =
        stays && font < fonts_.size() ? font : std::min(font_for(step.code_point), fonts_.size() - 1);
    const bool other_script = !any_script && script != HB_SCRIPT_COMMON && of != script;
    if (at > begin && (wanted != font || other_script)) {
      shape_run(line, begin, at, fonts_[font], out);
      begin = at;
      script = HB_SCRIPT_COMMON;
    }
    font = wanted;
    if (!any_script) script = of;
    at += step.size;
  }
  if (begin < line.size()) shape_run(line, begin, line.size(), fonts_[font], out);
  return out;
}

void add_coverage(const FT_Bitmap& bitmap, int64_t left, int64_t top, TextMask& mask) {
  for (int64_t y = 0; y < bitmap.rows; ++y) {
    const int64_t row = top + y;
    if (row < 0 || row >= mask.height) continue;
    const uint8_t* from = bitmap.buffer + y * bitmap.pitch;
    for (int64_t x = 0; x < bitmap.width; ++x) {
      const int64_t column = left + x;
      if (column < 0 || column >= mask.width) continue;
      uint8_t& to = mask.coverage[static_cast<size_t>(row * mask.width + column)];
      to = static_cast<uint8_t>(255 - (255 - to) * (255 - from[x]) / 255);  // one behind the other
    }
  }
}

Status Pen::draw(const Line& line, double left, double baseline, TextMask& mask) const {
  constexpr double kLargest = 20;  // em squares: no glyph of a sound font is larger
  for (const Glyph& glyph : line.glyphs) {
    const auto damaged_glyph = [&] {
      return Status(StatusCode::kCorruptData, "the font has a damaged glyph")
          .at(std::string(glyph.face->family_name != nullptr ? glyph.face->family_name : "font") +
              ", glyph " + std::to_string(glyph.index));
    };
    if (FT_Load_Glyph(glyph.face, glyph.index, kLoadFlags) != 0) return damaged_glyph();
    const FT_GlyphSlot slot = glyph.face->glyph;
    if (slot->format != FT_GLYPH_FORMAT_OUTLINE) return damaged_glyph();
    const double x = left + glyph.x, whole = std::floor(x);
    FT_Outline_Translate(&slot->outline, std::lround((x - whole) * kUnit), std::lround(glyph.y * kUnit));
    FT_BBox box;
    FT_Outline_Get_CBox(&slot->outline, &box);
    const double most = kLargest * kUnit * glyph.face->size->metrics.y_ppem;
    if (static_cast<double>(box.xMax - box.xMin) > most || static_cast<double>(box.yMax - box.yMin) > most)
      return damaged_glyph();
    if (FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL) != 0) return damaged_glyph();
    add_coverage(slot->bitmap, static_cast<int64_t>(whole) + slot->bitmap_left,
                 static_cast<int64_t>(baseline) - slot->bitmap_top, mask);
  }
  return {};
}

int64_t accent_room(const TextLayout& layout) { return (layout.size + 2) / 4; }

}  // namespace

int64_t font_text_height(const TextLayout& layout, int64_t lines) {
  return lines == 0 ? 0 : lines * line_height(layout) + 2 * layout.margin + accent_room(layout);
}

Result<TextMask> draw_text(std::string_view text, const TextLayout& layout, std::span<const FontFile> fonts) {
  if (Status status = check_text(text); !status.ok()) return status;
  if (fonts.empty()) return Status(StatusCode::kInvalidArgument, "no font is given");
  const Result<Pen> pen = Pen::open(fonts, layout.size);
  if (!pen.ok()) return pen.status();
  if (Status status = pen->check(text); !status.ok()) return status;
  const std::vector<std::string> lines = break_lines(text, layout, [&](std::string_view part) {
    return static_cast<int64_t>(std::ceil(pen->shape(part).width));
  });
  TextMask mask;
  mask.width = layout.width;
  mask.height = font_text_height(layout, static_cast<int64_t>(lines.size()));
  mask.coverage.resize(static_cast<size_t>(mask.width * mask.height));
  for (size_t i = 0; i < lines.size(); ++i) {
    const int64_t baseline =
        layout.margin + accent_room(layout) + static_cast<int64_t>(i) * line_height(layout) + layout.size;
    const Status status = pen->draw(pen->shape(lines[i]), static_cast<double>(layout.margin),
                                    static_cast<double>(baseline), mask);
    if (!status.ok()) return status;
  }
  return mask;
}

}  // namespace weft
