#include "modalities/image/text_lines.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

constexpr char kCut[] = "...";

// Scripts that are written without spaces, and break anywhere.
bool is_ideographic(char32_t c) {
  return (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFF00 && c <= 0xFFEF) ||
         (c >= 0x20000 && c <= 0x3FFFF);
}
bool is_opening(char32_t c) {
  return std::u32string_view(U"([{“‘（［｛〔〈《「『【〖").find(c) != std::u32string_view::npos;
}
bool is_closing(char32_t c) {
  return std::u32string_view(U")]}”’!,.:;?）］｝〕〉》」』】〗、。，．：；？！·ー々").find(c) !=
         std::u32string_view::npos;
}

bool is_space(char byte) { return byte == ' ' || byte == '\t'; }

// Bytes of the first grapheme cluster.
size_t grapheme_bytes(std::string_view text) {
  utf8proc_int32_t state = 0;
  Utf8Step step = utf8_step(text);
  size_t size = step.size;
  while (size < text.size()) {
    const char32_t before = step.code_point;
    step = utf8_step(text.substr(size));
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(before),
                                         static_cast<utf8proc_int32_t>(step.code_point), &state))
      break;
    size += step.size;
  }
  return size;
}

// Bytes up to the first place where a line may be broken; at least one cluster, and no space.
size_t word_bytes(std::string_view text) {
  size_t size = grapheme_bytes(text);
  while (size < text.size() && !is_space(text[size]) && text[size] != '\n') {
    const std::string_view rest = text.substr(size);
    size_t last = size - 1;
    while ((static_cast<uint8_t>(text[last]) & 0xC0) == 0x80) --last;
    const char32_t before = utf8_step(text.substr(last)).code_point, next = utf8_step(rest).code_point;
    const bool free = is_ideographic(before) || is_ideographic(next);
    if (free && !is_opening(before) && !is_closing(next)) break;
    size += grapheme_bytes(rest);
  }
  return size;
}

// The longest beginning of a word that fits; at least one cluster.
size_t fitting(std::string_view word, int64_t room,
               const std::function<int64_t(std::string_view)>& width_of) {
  size_t size = grapheme_bytes(word);
  while (size < word.size()) {
    const size_t longer = size + grapheme_bytes(word.substr(size));
    if (width_of(word.substr(0, longer)) > room) break;
    size = longer;
  }
  return size;
}

void cut(std::string& line, int64_t room, const std::function<int64_t(std::string_view)>& width_of) {
  while (!line.empty() && width_of(line + kCut) > room) {
    size_t last = 0;
    for (size_t at = 0; at < line.size(); at += grapheme_bytes(std::string_view(line).substr(at))) last = at;
    line.resize(last);
  }
  line += kCut;
}

}  // namespace

int64_t line_height(const TextLayout& layout) {
  return layout.size + (layout.size * 3 + 4) / 5;  // room for descenders
}

Status check_text(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    const std::string offset = " at offset " + std::to_string(at);
    if (step.state != Utf8::kValid)
      return Status(StatusCode::kInvalidArgument, "the text is no UTF-8").got("other bytes" + offset);
    const char32_t c = step.code_point;
    if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0)) {
      char code[16];
      std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(c));
      return Status(StatusCode::kUnsupported, "the text has a control character")
          .expected("letters, spaces and line feeds")
          .got(code + offset);
    }
    at += step.size;
  }
  return {};
}

std::vector<std::string> break_lines(std::string_view text, const TextLayout& layout,
                                     const std::function<int64_t(std::string_view)>& width_of) {
  const int64_t room = std::max<int64_t>(1, layout.width - 2 * layout.margin);
  const auto most = static_cast<size_t>(layout.max_lines);
  std::vector<std::string> lines;
  std::string line;
  bool spaced = false;  // between the line and the next word
  const auto end_line = [&] { lines.push_back(std::exchange(line, {})); };
  for (size_t at = 0; at < text.size() && lines.size() <= most;) {
    if (text[at] == '\n' || is_space(text[at])) {
      if (text[at] == '\n') end_line();
      spaced = !line.empty();
      ++at;
      continue;
    }
    const std::string_view word = text.substr(at, word_bytes(text.substr(at)));
    const std::string longer = line + (spaced ? " " : "") + std::string(word);
    // Words without end are not measured as a whole: no character is narrower than a tenth of a pixel.
    const bool hopeless = word.size() > static_cast<size_t>(room) * 10 + 40;
    if (!hopeless && width_of(longer) <= room) {
      line = longer;
      at += word.size();
    } else if (!line.empty()) {
      end_line();
    } else {  // a word that is wider than a line
      const size_t size = fitting(word, room, width_of);
      line = word.substr(0, size);
      at += size;
      end_line();
    }
    spaced = false;
  }
  if (!line.empty()) end_line();
  if (lines.size() <= most) return lines;
  lines.resize(most);
  cut(lines.back(), room, width_of);
  return lines;
}

}  // namespace weft
