/// Strict UTF-8 (RFC 3629), one step at a time: no overlong forms, no surrogates, nothing above U+10FFFF.
/// Pure functions of their arguments.
#ifndef WEFT_MODALITIES_UNICODE_UTF8_H
#define WEFT_MODALITIES_UNICODE_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

enum class Utf8 : uint8_t {
  kValid,
  kInvalid,     ///< these bytes begin no character
  kIncomplete,  ///< the text ends within a character that is right so far
};

struct Utf8Step {
  Utf8 state;
  uint8_t size;  ///< bytes: of the character, or of the longest part that could have begun one (at least 1)
  char32_t code_point;  ///< if kValid
};

/// The first step of a text that is not empty.
inline Utf8Step utf8_step(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {Utf8::kValid, 1, lead};
  if (lead < 0xC2 || lead > 0xF4) return {Utf8::kInvalid, 1, 0};
  const uint8_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0x7F >> size);
  for (uint8_t i = 1; i < size; ++i) {
    if (i == text.size()) return {Utf8::kIncomplete, i, 0};
    uint8_t low = 0x80, high = 0xBF;
    if (i == 1) {
      if (lead == 0xE0) low = 0xA0;   // overlong
      if (lead == 0xED) high = 0x9F;  // surrogates
      if (lead == 0xF0) low = 0x90;   // overlong
      if (lead == 0xF4) high = 0x8F;  // above U+10FFFF
    }
    if (byte(i) < low || byte(i) > high) return {Utf8::kInvalid, i, 0};
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  return {Utf8::kValid, size, code_point};
}

inline bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.state != Utf8::kValid) return false;
    text.remove_prefix(step.size);
  }
  return true;
}

/// Appends a code point, at most U+10FFFF.
inline void append_utf8(std::string& text, char32_t code_point) {
  const auto put = [&](char32_t value) { text += static_cast<char>(value); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace weft
#endif
