#include "pipeline/run/result_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <utility>

#include "pipeline/files/content_hash.h"
#include "pipeline/memory/value_codec.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t n_outputs;
  uint64_t payload_bytes;
  uint64_t payload_xxh3;
};
static_assert(sizeof(Header) == 32);
constexpr uint32_t kVersion = 1;
constexpr char kMagic[] = "WEFTRSLT";
constexpr char kSuffix[] = ".weft-result";

Header make_header(size_t n_outputs, std::string_view payload) {
  Header header{};
  std::memcpy(header.magic, kMagic, 8);
  header.version = kVersion;
  header.n_outputs = static_cast<uint32_t>(n_outputs);
  header.payload_bytes = payload.size();
  header.payload_xxh3 = XXH3_64bits(payload.data(), payload.size());
  return header;
}

std::optional<ResultCache::Outputs> decode(const std::string& file, size_t n_outputs, Pool& pool) {
  if (file.size() < sizeof(Header)) return std::nullopt;
  std::string_view payload(file.data() + sizeof(Header), file.size() - sizeof(Header));
  const Header expected = make_header(n_outputs, payload);
  if (std::memcmp(file.data(), &expected, sizeof(expected)) != 0) return std::nullopt;
  ResultCache::Outputs outputs(n_outputs);
  for (Value& output : outputs) {
    if (payload.empty()) return std::nullopt;
    const char present = payload.front();
    payload.remove_prefix(1);
    if (present == 0) continue;
    auto value = decode_value(payload, pool);
    if (!value.ok()) return std::nullopt;
    output = std::move(*value);
  }
  if (!payload.empty()) return std::nullopt;
  return outputs;
}

}  // namespace

std::string ResultKey::digest() const {
  Sha256 hash;
  const auto add = [&](const std::string& text) {
    hash.update(std::to_string(text.size()) + ":");
    hash.update(text);
  };
  add("weft result " + std::to_string(kVersion));
  add(plugin_sha256);
  add(node_type);
  add(std::to_string(node_version));
  add(isa_level);
  add(numerics_profile);
  for (const auto* list : {&parameters, &model_hashes, &inputs, &outputs}) {
    add(std::to_string(list->size()));
    for (const std::string& item : *list) add(item);
  }
  return hash.finish();
}

ResultCache::ResultCache(fs::path folder, uint64_t limit_bytes, TemporaryFiles& temporaries)
    : folder_(std::move(folder)), limit_bytes_(limit_bytes), temporaries_(temporaries) {}

fs::path ResultCache::entry_path(const std::string& digest) const {
  return folder_ / digest.substr(0, 2) / (digest + kSuffix);
}

std::optional<ResultCache::Outputs> ResultCache::find(const std::string& digest, size_t n_outputs,
                                                      Pool& pool) {
  const fs::path path = entry_path(digest);
  std::optional<Outputs> outputs;
  if (std::ifstream stream(path, std::ios::binary); stream) {
    const std::string file{std::istreambuf_iterator<char>(stream), {}};
    outputs = decode(file, n_outputs, pool);
    std::error_code ignored;
    if (outputs) {
      fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);  // used now: what trim() goes by
    } else {
      fs::remove(path, ignored);
    }
  }
  const std::lock_guard lock(mutex_);
  ++(outputs ? statistics_.hits : statistics_.misses);
  return outputs;
}

Status ResultCache::store(const std::string& digest, const Outputs& outputs) {
  std::string payload;
  for (const Value& output : outputs) {
    payload += output ? '\1' : '\0';
    if (!output) continue;
    const Status encoded = encode_value(output, [&](std::string_view piece) { payload += piece; });
    if (!encoded.ok()) return encoded;
  }
  if (sizeof(Header) + payload.size() > limit_bytes_) return {};
  const fs::path path = entry_path(digest);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return io_error("creating the folder", path.parent_path(), error.value());
  auto file = DurableFile::create(temporaries_, path);
  if (!file.ok()) return file.status();
  const Header header = make_header(outputs.size(), payload);
  Status status = file->write({reinterpret_cast<const char*>(&header), sizeof(header)});
  if (status.ok()) status = file->write(payload);
  if (status.ok()) status = file->commit(Sync::kNo);  // find() checks the checksum
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  ++statistics_.stores;
  stored_bytes_ += sizeof(header) + payload.size();
  if (!counted_ || stored_bytes_ > limit_bytes_) trim();
  return {};
}

/// Counts what is there and, beyond the limit, removes the entries used longest ago until a tenth is free, so that not
/// every store has to look. With the mutex held.
void ResultCache::trim() {
  struct Entry {
    fs::file_time_type used;
    fs::path path;
    uint64_t size_bytes;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;  // another process may remove entries meanwhile
    if (!it->is_regular_file(gone)) continue;
    const fs::file_time_type used = it->last_write_time(gone);
    if (it->path().extension() == ".tmp") {
      // Left by a process that was killed.
      if (!gone && fs::file_time_type::clock::now() - used > std::chrono::hours(24))
        fs::remove(it->path(), gone);
      continue;
    }
    const uint64_t size = it->file_size(gone);
    if (gone || it->path().extension() != kSuffix) continue;
    entries.push_back({used, it->path(), size});
    total += size;
  }
  if (total > limit_bytes_) {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
    for (const Entry& entry : entries) {
      if (total <= limit_bytes_ - limit_bytes_ / 10) break;
      if (fs::remove(entry.path, error)) total -= entry.size_bytes;
    }
  }
  stored_bytes_ = total;
  counted_ = true;
}

ResultCache::Statistics ResultCache::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace weft
