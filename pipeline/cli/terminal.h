/// What the program may assume about where its output goes, and text laid out for it.
///
/// Colours and redrawn lines only on a terminal that can: not with TERM=dumb or unset; colours not with NO_COLOR.
#ifndef WEFT_PIPELINE_CLI_TERMINAL_H
#define WEFT_PIPELINE_CLI_TERMINAL_H

#include <cstddef>
#include <string>
#include <string_view>

namespace weft::cli {

class Terminal {
 public:
  /// fd: 1 for standard output, 2 for standard error.
  explicit Terminal(int fd);
  /// Someone sees the lines as they come, and they can be redrawn.
  bool interactive() const { return interactive_; }
  bool colour() const { return colour_; }
  /// Columns, asked anew each time, since windows are resized; 80 where unknown, at least 20.
  size_t width() const;

  /// `text` in bold, red, green or dim, if colours are allowed.
  std::string bold(std::string_view text) const { return styled("1", text); }
  std::string red(std::string_view text) const { return styled("31", text); }
  std::string green(std::string_view text) const { return styled("32", text); }
  std::string dim(std::string_view text) const { return styled("2", text); }

 private:
  std::string styled(const char* code, std::string_view text) const;
  int fd_;
  bool interactive_ = false, colour_ = false;
};

/// Columns that UTF-8 text takes on a terminal; invalid bytes count as one each.
size_t display_width(std::string_view text);
/// The longest prefix of at most `columns` columns.
std::string_view clip_to_width(std::string_view text, size_t columns);
/// The longest suffix of at most `columns` columns.
std::string_view clip_front_to_width(std::string_view text, size_t columns);
/// Breaks at blanks so that no line is wider than `width`; further lines begin with `indent` blanks. Longer words stay
/// whole. Line feeds in the text are kept. No line feed at the end.
std::string wrap(std::string_view text, size_t width, size_t indent);
/// The text with control characters other than line feed and tab shown as "^[" or "\x9b", for a terminal: text of models
/// and files must not drive it. Works piece by piece; bytes of UTF-8 sequences pass.
std::string without_controls(std::string_view text);

}  // namespace weft::cli
#endif
