#include <fontconfig/fontconfig.h>
#include <weft/sdk/owned.h>

#include "modalities/image/fonts/font_text.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

using Configuration = Owned<FcConfig, FcConfigDestroy>;
using Characters = Owned<FcCharSet, FcCharSetDestroy>;
using Pattern = Owned<FcPattern, FcPatternDestroy>;
using FontSet = Owned<FcFontSet, FcFontSetDestroy>;

/// The fonts of this system, read once. Not fontconfig's own default: that one is freed by FcFini alone, which no library can call.
FcConfig* configuration() {
  static const Configuration fonts(FcInitLoadConfigAndFonts());
  return fonts.get();
}

Characters characters_of(std::string_view text) {
  Characters set(FcCharSetCreate());
  while (set && !text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.state == Utf8::kValid && step.code_point > ' ') FcCharSetAddChar(set.get(), step.code_point);
    text.remove_prefix(step.size);
  }
  return set;
}

bool is_drawn(FcPattern* font) {
  FcBool scalable = FcFalse, color = FcFalse;
  FcPatternGetBool(font, FC_SCALABLE, 0, &scalable);
  FcPatternGetBool(font, FC_COLOR, 0, &color);
  return scalable && !color;
}

}  // namespace

Result<std::vector<FontFile>> find_fonts(std::string_view text) {
  Characters missing = characters_of(text);
  const Pattern wanted(FcPatternCreate());
  FcConfig* const config = configuration();
  if (!config || !missing || !wanted) return Status(StatusCode::kOutOfMemory, "out of memory");
  FcPatternAddString(wanted.get(), FC_FAMILY, reinterpret_cast<const FcChar8*>("sans-serif"));
  FcConfigSubstitute(config, wanted.get(), FcMatchPattern);
  FcDefaultSubstitute(wanted.get());
  FcResult found = FcResultMatch;
  const FontSet all(FcFontSort(config, wanted.get(), FcFalse, nullptr, &found));
  std::vector<FontFile> fonts;
  for (int i = 0; all && i < all->nfont; ++i) {
    FcPattern* font = all->fonts[i];
    FcChar8* path = nullptr;
    FcCharSet* has = nullptr;
    int index = 0;
    if (!is_drawn(font) || FcPatternGetString(font, FC_FILE, 0, &path) != FcResultMatch ||
        FcPatternGetCharSet(font, FC_CHARSET, 0, &has) != FcResultMatch)
      continue;
    FcPatternGetInteger(font, FC_INDEX, 0, &index);
    const bool helps = FcCharSetIntersectCount(missing.get(), has) > 0;
    if (!helps && !fonts.empty()) continue;
    fonts.push_back({reinterpret_cast<const char*>(path), index});
    missing.reset(FcCharSetSubtract(missing.get(), has));
    if (!missing) return Status(StatusCode::kOutOfMemory, "out of memory");
    if (FcCharSetCount(missing.get()) == 0) break;
  }
  if (fonts.empty()) {
    return Status(StatusCode::kNotFound, "no font for the text was found")
        .hint("install one (Debian: fonts-dejavu-core, fonts-noto-cjk), or name a font file");
  }
  return fonts;
}

}  // namespace weft
