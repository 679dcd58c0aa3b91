#include "pipeline/files/content_hash.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <vector>

#include "pipeline/files/durable_file.h"
#include "pipeline/files/file_identity.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

Status read_error(const std::string& operation, const fs::path& path, int error_number) {
  if (error_number == ENOENT || error_number == ENOTDIR) {
    return Status(StatusCode::kNotFound, "no such file").at(path.string());
  }
  return io_error(operation, path, error_number);
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// File systems count in ticks of some milliseconds.
constexpr std::chrono::milliseconds kClockTick{50};

std::string entry_name(const FileIdentity& file) {
  std::string name = std::to_string(file.device) + '-' + std::to_string(file.inode);
  name += '-' + std::to_string(file.size_bytes) + '-' + std::to_string(file.modified_ns);
  return name + '-' + std::to_string(file.changed_ns);
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) std::abort();
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view data) { EVP_DigestUpdate(state_->context, data.data(), data.size()); }

std::string Sha256::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, digest, &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

std::string sha256_of_text(std::string_view data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

Result<std::string> sha256_of_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return read_error("opening", path, errno);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 hash;
  std::vector<char> piece(size_t{1} << 20);
  for (;;) {
    const ssize_t size = ::read(fd, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      const int error_number = errno;
      ::close(fd);
      return read_error("reading", path, error_number);
    }
    if (size == 0) break;
    hash.update({piece.data(), static_cast<size_t>(size)});
  }
  ::close(fd);
  return hash.finish();
}

FileHashCache::FileHashCache(fs::path folder) : folder_(std::move(folder)) {}

Result<std::string> FileHashCache::sha256(const fs::path& file) const {
  auto identity = identify_file(file.string());
  if (!identity.ok()) return identity.status();
  const fs::path entry = folder_ / entry_name(*identity);
  if (!folder_.empty()) {
    std::string known;
    if (std::ifstream stream(entry); stream && std::getline(stream, known) && is_sha256(known)) return known;
  }
  auto hash = sha256_of_file(file);
  if (!hash.ok() || folder_.empty()) return hash;
  // A file that changed while it was read would leave a wrong hash under its old identity.
  auto after = identify_file(file.string());
  if (!after.ok() || *after != *identity || !settled_for(*after, kClockTick)) return hash;
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  (void)write_durably(temporaries, entry, *hash + "\n");  // a cache that cannot be written is only slower
  return hash;
}

Result<std::string> FileHashCache::sha256_of_tree(const fs::path& file_or_folder) const {
  std::error_code error;
  if (!fs::is_directory(file_or_folder, error)) return sha256(file_or_folder);
  constexpr size_t kMaxFiles = 10'000;
  std::vector<std::string> names;
  for (fs::recursive_directory_iterator it(file_or_folder, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    if (names.size() == kMaxFiles) {
      return Status(StatusCode::kOutOfRange, "a folder of more than 10,000 files is no model")
          .at(file_or_folder.string());
    }
    names.push_back(it->path().lexically_relative(file_or_folder).generic_string());
  }
  if (error) return read_error("listing", file_or_folder, error.value());
  std::sort(names.begin(), names.end());
  Sha256 tree;
  for (const std::string& name : names) {
    auto hash = sha256(file_or_folder / name);
    if (!hash.ok()) return hash;
    tree.update(name);
    tree.update(std::string_view("\0", 1));
    tree.update(*hash);
    tree.update("\n");
  }
  return tree.finish();
}

}  // namespace weft
