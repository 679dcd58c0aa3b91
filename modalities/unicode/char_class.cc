#include "modalities/unicode/char_class.h"

#include <utf8proc.h>

#include <array>

namespace weft {
namespace {

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

constexpr CharClass class_of_category(int category) {
  switch (category) {
    case UTF8PROC_CATEGORY_LU: return kUpperLetter;
    case UTF8PROC_CATEGORY_LL: return kLowerLetter;
    case UTF8PROC_CATEGORY_LT: return kTitleLetter;
    case UTF8PROC_CATEGORY_LM: return kModifierLetter;
    case UTF8PROC_CATEGORY_LO: return kOtherLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return kMark;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return kPunctuation;
    default: return 0;
  }
}

constexpr std::array<CharClass, 128> make_ascii_classes() {
  std::array<CharClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    if (c >= 'A' && c <= 'Z') classes[c] = kUpperLetter;
    if (c >= 'a' && c <= 'z') classes[c] = kLowerLetter;
    if (c >= '0' && c <= '9') classes[c] = kNumber;
    if ((c >= 9 && c <= 13) || c == ' ') classes[c] = kSpace;
  }
  for (char c : {'!', '"', '#', '%', '&', '\'', '(',  ')', '*', ',', '-', '.',
                 '/', ':', ';', '?', '@', '[',  '\\', ']', '_', '{', '}'})
    classes[static_cast<int>(c)] = kPunctuation;
  return classes;
}
constexpr std::array<CharClass, 128> kAsciiClasses = make_ascii_classes();

}  // namespace

CharClass char_class(char32_t code_point) {
  if (code_point < 128) return kAsciiClasses[code_point];
  const CharClass category = class_of_category(utf8proc_category(static_cast<utf8proc_int32_t>(code_point)));
  return is_white_space(code_point) ? category | kSpace : category;
}

}  // namespace weft
