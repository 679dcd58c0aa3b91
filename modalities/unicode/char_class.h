/// What the pre-tokenizers' regular expressions ask of a character, as a set of bits: its Unicode general category and
/// whether it is white space (White_Space, which is what \s means to them). Pure function; Unicode data of utf8proc.
#ifndef WEFT_MODALITIES_UNICODE_CHAR_CLASS_H
#define WEFT_MODALITIES_UNICODE_CHAR_CLASS_H

#include <cstdint>

namespace weft {

using CharClass = uint16_t;
inline constexpr CharClass kUpperLetter = 1 << 0;     // Lu
inline constexpr CharClass kLowerLetter = 1 << 1;     // Ll
inline constexpr CharClass kTitleLetter = 1 << 2;     // Lt
inline constexpr CharClass kModifierLetter = 1 << 3;  // Lm
inline constexpr CharClass kOtherLetter = 1 << 4;     // Lo
inline constexpr CharClass kMark = 1 << 5;            // Mn, Mc, Me
inline constexpr CharClass kNumber = 1 << 6;          // Nd, Nl, No
inline constexpr CharClass kPunctuation = 1 << 7;     // Pc, Pd, Ps, Pe, Pi, Pf, Po
inline constexpr CharClass kSpace = 1 << 8;           // White_Space
inline constexpr CharClass kLetter =
    kUpperLetter | kLowerLetter | kTitleLetter | kModifierLetter | kOtherLetter;

CharClass char_class(char32_t code_point);

}  // namespace weft
#endif
