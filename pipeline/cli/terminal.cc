#include "pipeline/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

namespace weft::cli {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

/// Takes one character off the front; its columns, with its bytes in `length`.
size_t next_width(std::string_view text, size_t& length) {
  utf8proc_int32_t code_point = -1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t size =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  if (size <= 0) {
    length = 1;
    return 1;
  }
  length = static_cast<size_t>(size);
  return static_cast<size_t>(std::max(0, utf8proc_charwidth(code_point)));
}

}  // namespace

Terminal::Terminal(int fd) : fd_(fd) {
  const char* term = std::getenv("TERM");
  interactive_ = isatty(fd) == 1 && term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  colour_ = interactive_ && !is_set("NO_COLOR");
}

size_t Terminal::width() const {
  size_t columns = 0;
  winsize size{};
  if (ioctl(fd_, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (columns == 0 && is_set("COLUMNS")) columns = std::strtoul(std::getenv("COLUMNS"), nullptr, 10);
  return columns == 0 ? 80 : std::max<size_t>(columns, 20);
}

std::string Terminal::styled(const char* code, std::string_view text) const {
  if (!colour_) return std::string(text);
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

size_t display_width(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    size_t length = 0;
    columns += next_width(text, length);
    text.remove_prefix(length);
  }
  return columns;
}

std::string_view clip_to_width(std::string_view text, size_t columns) {
  size_t end = 0, used = 0;
  while (end < text.size()) {
    size_t length = 0;
    const size_t width = next_width(text.substr(end), length);
    if (used + width > columns) break;
    used += width;
    end += length;
  }
  return text.substr(0, end);
}

std::string_view clip_front_to_width(std::string_view text, size_t columns) {
  for (size_t left = display_width(text); left > columns;) {
    size_t length = 0;
    left -= next_width(text, length);
    text.remove_prefix(length);
  }
  return text;
}

std::string wrap(std::string_view text, size_t width, size_t indent) {
  std::string out;
  size_t column = 0;
  const auto new_line = [&] {
    out += '\n';
    out.append(indent, ' ');
    column = indent;
  };
  bool line_is_empty = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    const size_t word_width = display_width(word);
    if (!line_is_empty && column + 1 + word_width > width) {
      new_line();
    } else if (!line_is_empty) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word_width;
    line_is_empty = false;
    if (end == text.size()) break;
    if (text[end] == '\n') {
      new_line();
      line_is_empty = true;
    }
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string without_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      out += '^';
      out += static_cast<char>(byte ^ 0x40);
    } else if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      // C1 controls, U+0080 to U+009F, of which U+009B starts a sequence as ESC [ does.
      static constexpr char kHex[] = "0123456789abcdef";
      const auto second = static_cast<unsigned char>(text[++i]);
      out += "\\x";
      out += kHex[second >> 4];
      out += kHex[second & 15];
    } else {
      out += static_cast<char>(byte);
    }
  }
  return out;
}

}  // namespace weft::cli
