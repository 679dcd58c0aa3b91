/// Lines of a file that may be of any size, one at a time.
///
/// Takes LF and CRLF, leaves out a byte order mark at the beginning, and gives a last line without its line feed too.
/// Ownership: owns the descriptor. Thread safety: one thread.
#ifndef WEFT_PIPELINE_BATCH_LINE_READER_H
#define WEFT_PIPELINE_BATCH_LINE_READER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>
#include <string>

namespace weft {

class LineReader {
 public:
  static constexpr size_t kMaxLineBytes = size_t{64} << 20;

  /// path: "-" for standard input. Errors: kNotFound, kPermissionDenied, kIoError.
  static Result<LineReader> open(const std::string& path);
  LineReader(LineReader&& other) noexcept;
  LineReader(const LineReader&) = delete;
  ~LineReader();

  /// The next line without its end; nothing at the end of the file. Errors: kIoError, kOutOfRange beyond kMaxLineBytes.
  Result<std::optional<std::string>> next();
  /// Of the line that next() gave last, from 1.
  uint64_t line_number() const { return line_number_; }
  /// The next bytes as they are, for a reader that finds its own lines; empty at the end. Errors: kIoError.
  Result<std::string> next_bytes();

 private:
  LineReader(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_ = -1;
  std::string buffer_;
  size_t begin_ = 0;
  bool started_ = false;
  uint64_t line_number_ = 0;
};

}  // namespace weft
#endif
