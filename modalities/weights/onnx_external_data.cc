// check_external_data of onnx_model.h: which files a model may make a library open.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "modalities/weights/onnx_model.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

/// A file descriptor that is closed.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// What is wrong with a location as a text; null if nothing is. '*' begins locations that runtimes read as memory addresses
/// ("*/_ORT_MEM_ADDR_/*"), and a backslash is a separator to some.
const char* wrong_text(const std::string& location) {
  if (location.empty()) return "is empty";
  if (location.front() == '/') return "is absolute";
  for (const char c : location) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '\\' || c == '*' || c == ':')
      return "has a character that no file's name here may have";
  }
  return nullptr;
}

class ExternalFolder {
 public:
  ExternalFolder(const OnnxExternalData& data, const fs::path& model_file)
      : data_(data), model_file_(model_file) {}

  /// The size of the file at data.location.
  Result<uint64_t> size_of_file() const {
    if (const char* wrong = wrong_text(data_.location)) return denied(wrong);
    const fs::path folder = model_file_.parent_path();
    Descriptor at(::open(folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (at.get() < 0) return failed(errno);
    struct stat facts {};
    for (size_t begin = 0; begin <= data_.location.size();) {
      const size_t end = std::min(data_.location.find('/', begin), data_.location.size());
      const std::string name = data_.location.substr(begin, end - begin);
      begin = end + 1;
      if (name == "..") return denied("leaves the model's folder with '..'");
      if (name.empty() || name == ".") continue;
      Descriptor next(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (next.get() < 0 || ::fstat(next.get(), &facts) != 0) return failed(errno);
      if (S_ISLNK(facts.st_mode)) return denied("is reached through a link");
      at = std::move(next);
    }
    if (!S_ISREG(facts.st_mode)) return denied("is no file");
    return static_cast<uint64_t>(facts.st_size);
  }

  Status at(Status status) const {
    return std::move(status).at(model_file_.string() + ", offset " + std::to_string(data_.file_offset) +
                                ", tensor '" + data_.tensor + "'");
  }

 private:
  Status denied(const char* wrong) const {
    return at(Status(StatusCode::kPermissionDenied, std::string("the place of its external data ") + wrong)
                  .expected("a regular file in the model's folder or below, without links")
                  .got("'" + data_.location + "'")
                  .hint("copy the file beside the model"));
  }
  Status failed(int error) const {
    const bool absent = error == ENOENT || error == ENOTDIR;
    return at(
        Status(absent ? StatusCode::kNotFound : StatusCode::kIoError,
               absent ? std::string("the file of its external data is not there")
                      : std::string("the file of its external data cannot be read: ") + std::strerror(error))
            .expected("'" + data_.location + "' beside the model"));
  }

  const OnnxExternalData& data_;
  const fs::path& model_file_;
};

}  // namespace

Result<std::vector<fs::path>> check_external_data(const OnnxModel& model, const fs::path& model_file) {
  std::map<std::string, uint64_t> sizes;  // by location
  for (const OnnxExternalData& data : model.external) {
    const ExternalFolder folder(data, model_file);
    auto known = sizes.find(data.location);
    if (known == sizes.end()) {
      const Result<uint64_t> size = folder.size_of_file();
      if (!size.ok()) return size.status();
      known = sizes.emplace(data.location, *size).first;
    }
    const uint64_t size = known->second;
    if (data.offset > size || (data.length && *data.length > size - data.offset))
      return folder.at(
          Status(StatusCode::kCorruptData, "its external data lies beyond the end of '" + data.location + "'")
              .expected("at most " + std::to_string(size) + " bytes")
              .got("offset " + std::to_string(data.offset) +
                   (data.length ? ", length " + std::to_string(*data.length) : "")));
  }
  std::vector<fs::path> files;
  for (const auto& [location, size] : sizes)
    files.push_back((model_file.parent_path() / location).lexically_normal());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

}  // namespace weft
