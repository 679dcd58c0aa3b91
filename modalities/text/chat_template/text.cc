#include "modalities/text/chat_template/text.h"

#include <algorithm>
#include <utility>

#include "modalities/unicode/utf8.h"

namespace weft::jinja {

Text::Text(std::string bytes, TextOrigin origin) {
  if (bytes.empty()) return;
  const size_t size = bytes.size();
  data_ = std::make_shared<Data>(Data{std::move(bytes), {{size, origin}}});
}

const std::vector<Text::Run>& Text::runs() const {
  static const std::vector<Run> kNone;
  return data_ ? data_->runs : kNone;
}

TextOrigin Text::origin() const {
  for (const Run& run : runs()) {
    if (run.origin == TextOrigin::kContent) return TextOrigin::kContent;
  }
  return TextOrigin::kTemplate;
}

Text Text::slice(size_t begin, size_t end) const {
  if (begin == 0 && end == size()) return *this;
  return TextBuilder().append(*this, begin, end).finish();
}

TextBuilder& TextBuilder::append(std::string_view bytes, TextOrigin origin) {
  if (bytes.empty()) return *this;
  data_.bytes.append(bytes);
  if (!data_.runs.empty() && data_.runs.back().origin == origin) {
    data_.runs.back().end = data_.bytes.size();
  } else {
    data_.runs.push_back({data_.bytes.size(), origin});
  }
  return *this;
}

TextBuilder& TextBuilder::append(const Text& text, size_t begin, size_t end) {
  const std::string_view bytes = text.bytes();
  const std::vector<Text::Run>& runs = text.runs();
  auto run = std::upper_bound(runs.begin(), runs.end(), begin,
                              [](size_t offset, const Text::Run& r) { return offset < r.end; });
  for (; begin < end; ++run) {
    const size_t stop = std::min(end, run->end);
    append(bytes.substr(begin, stop - begin), run->origin);
    begin = stop;
  }
  return *this;
}

Text TextBuilder::finish() {
  Text text;
  if (!data_.bytes.empty()) text.data_ = std::make_shared<Text::Data>(std::exchange(data_, {}));
  return text;
}

size_t find_invalid_utf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const Utf8Step step = utf8_step(bytes.substr(i));
    if (step.state != Utf8::kValid) return i;
    i += step.size;
  }
  return std::string_view::npos;
}

uint32_t next_code_point(std::string_view bytes, size_t* offset) {
  const Utf8Step step = utf8_step(bytes.substr(*offset));
  *offset += step.size;
  return step.code_point;
}

size_t count_code_points(std::string_view bytes) {
  return static_cast<size_t>(std::count_if(
      bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

size_t byte_offset(std::string_view bytes, size_t code_point_index) {
  size_t offset = 0;
  while (offset < bytes.size() && code_point_index-- > 0) next_code_point(bytes, &offset);
  return offset;
}

bool is_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

ByteRange without_leading_space(std::string_view bytes) {
  size_t begin = 0;
  while (begin < bytes.size()) {
    size_t after = begin;
    if (!is_space(next_code_point(bytes, &after))) break;
    begin = after;
  }
  return {begin, bytes.size()};
}

ByteRange without_trailing_space(std::string_view bytes) {
  size_t end = bytes.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(bytes[begin]) & 0xC0) == 0x80) --begin;
    size_t offset = begin;
    if (!is_space(next_code_point(bytes, &offset))) break;
    end = begin;
  }
  return {0, end};
}

}  // namespace weft::jinja
