#include "pipeline/batch/line_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "pipeline/files/durable_file.h"

namespace weft {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

Result<LineReader> LineReader::open(const std::string& path) {
  if (path == "-") return LineReader("standard input", ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return LineReader(path, fd);
  const int error = errno;
  const StatusCode code = error == ENOENT   ? StatusCode::kNotFound
                          : error == EACCES ? StatusCode::kPermissionDenied
                                            : StatusCode::kIoError;
  return Status(code, std::generic_category().message(error)).at(path);
}

LineReader::LineReader(LineReader&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      begin_(other.begin_),
      started_(other.started_),
      line_number_(other.line_number_) {}

LineReader::~LineReader() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::string> LineReader::next_bytes() {
  std::string block(kBlockBytes, '\0');
  ssize_t size = 0;
  do {
    size = ::read(fd_, block.data(), block.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) return io_error("reading", path_, errno);
  block.resize(static_cast<size_t>(size));
  if (!started_ && block.starts_with(kByteOrderMark)) block.erase(0, kByteOrderMark.size());
  started_ = true;
  return block;
}

Result<std::optional<std::string>> LineReader::next() {
  size_t searched = begin_;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(begin_, end - begin_);
      begin_ = end + 1;
      if (line.ends_with('\r')) line.pop_back();
      ++line_number_;
      return std::optional<std::string>(std::move(line));
    }
    buffer_.erase(0, std::exchange(begin_, 0));
    searched = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) {
      return Status(StatusCode::kOutOfRange, "a line is too long")
          .at(path_ + ":" + std::to_string(line_number_ + 1))
          .expected("at most 64 MiB");
    }
    Result<std::string> block = next_bytes();
    if (!block.ok()) return block.status();
    if (block->empty()) break;
    buffer_ += *block;
  }
  if (buffer_.empty()) return std::optional<std::string>();
  ++line_number_;
  return std::optional<std::string>(std::exchange(buffer_, {}));
}

}  // namespace weft
