/// The texts of a parameter of type list<text>, without a JSON library.
///
///   for (const std::string& word : text_list(request.parameters(), "stop")) ...
#ifndef WEFT_SDK_TEXT_LIST_H
#define WEFT_SDK_TEXT_LIST_H

#include <weft/sdk/parameters.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::sdk {

/// Takes apart the JSON list of texts at whose opening quotes it stands, one text a call.
class TextListReader {
 public:
  explicit TextListReader(std::string_view json) : rest_(json) {}

  /// False where no text is left.
  bool next(std::string* text) {
    text->clear();
    const size_t quote = rest_.find('"');
    if (quote == rest_.npos) return false;
    rest_.remove_prefix(quote + 1);
    while (!rest_.empty() && rest_.front() != '"') {
      const char c = take();
      if (c != '\\') *text += c;
      else escape(take(), text);
    }
    take();
    return true;
  }

 private:
  char take() {
    if (rest_.empty()) return '\0';
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  uint32_t unit() {  // of UTF-16, four digits
    uint32_t value = 0;
    const std::string_view digits = rest_.substr(0, 4);
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    rest_.remove_prefix(digits.size());
    return value;
  }
  void escape(char kind, std::string* text) {
    constexpr std::string_view kKinds = "bfnrt", kMeanings = "\b\f\n\r\t";
    if (const size_t found = kKinds.find(kind); found != kKinds.npos) *text += kMeanings[found];
    else if (kind == 'u') append(unit(), text);
    else *text += kind;  // quotes, backslash, slash
  }
  void append(uint32_t code_point, std::string* text) {
    const auto put = [&](uint32_t byte) { *text += static_cast<char>(byte); };
    const bool is_first_of_two = code_point >= 0xD800 && code_point < 0xDC00 && rest_.starts_with("\\u");
    if (is_first_of_two) {
      rest_.remove_prefix(2);
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + ((unit() - 0xDC00) & 0x3FF);
    }
    if (code_point < 0x80) return put(code_point);
    if (code_point < 0x800) {
      put(0xC0 | code_point >> 6);
    } else {
      if (code_point < 0x10000) put(0xE0 | code_point >> 12);
      else put(0xF0 | code_point >> 18), put(0x80 | (code_point >> 12 & 0x3F));
      put(0x80 | (code_point >> 6 & 0x3F));
    }
    put(0x80 | (code_point & 0x3F));
  }

  std::string_view rest_;
};

/// Of parameter `name`, whose type the host has checked.
inline std::vector<std::string> text_list(const Parameters& parameters, const char* name) {
  std::vector<std::string> texts;
  TextListReader reader(parameters.get_text(name));
  for (std::string text; reader.next(&text);) texts.push_back(std::move(text));
  return texts;
}

}  // namespace weft::sdk
#endif
