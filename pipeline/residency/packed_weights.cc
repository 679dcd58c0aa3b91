#include "pipeline/residency/packed_weights.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft/sdk/error.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kHeaderBytes = 4096;  // a page, so that the content starts on one
constexpr uint32_t kVersion = 1;
constexpr size_t kMaxKey = 200;
constexpr uint64_t kPartBytes = 16ull << 20;  // between two looks at a cancellation: 100 ms on a slow disk
constexpr char kSuffix[] = ".weft-packed";

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
  uint64_t content_bytes;
  uint64_t content_xxh3;
  uint32_t key_size;
  char key[kMaxKey];
};
static_assert(sizeof(Header) <= kHeaderBytes && offsetof(Header, key) == 36);

Header make_header(const std::string& key, uint64_t content_xxh3, uint64_t size_bytes) {
  Header header{};
  std::memcpy(header.magic, "WEFTPACK", 8);
  header.version = kVersion;
  header.content_bytes = size_bytes;
  header.content_xxh3 = content_xxh3;
  header.key_size = static_cast<uint32_t>(key.size());
  std::memcpy(header.key, key.data(), key.size());
  return header;
}

bool is_key(const char* key) {
  if (!key || !*key || *key == '.') return false;
  const std::string_view text(key);
  return text.size() <= kMaxKey && text.find_first_not_of(
                                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._-") == std::string_view::npos;
}

/// Memory that a packed tensor lives in: a mapping of an entry, or heap.
struct Content {
  void* start = nullptr;  // of the mapping, or of the heap block
  const void* data = nullptr;
  uint64_t mapped_bytes = 0;  // 0: heap
};

/// Gives back an entry that was being made, part by part: a thread that does so can be ended between two parts, and not within
/// one system call for gigabytes.
void drop_in_parts(void* start, uint64_t size_bytes, int fd) {
  for (uint64_t end = size_bytes; end > 0;) {
    const uint64_t begin = (end - 1) / kPartBytes * kPartBytes;
    ::munmap(static_cast<char*>(start) + begin, end - begin);
    if (::ftruncate(fd, static_cast<off_t>(begin)) != 0) {
      // Closing the removed file gives the rest back at once.
    }
    end = begin;
  }
}

void free_content(const Content& content) {
  if (content.mapped_bytes != 0) {
    ::munmap(content.start, content.mapped_bytes);
  } else {
    std::free(content.start);
  }
}

}  // namespace
}  // namespace weft

/// One entry in use. The handle that plugins see.
struct weft_packed {
  weft::PackedWeights::State* store = nullptr;
  std::string key;
  weft::Content content;
  uint64_t size_bytes = 0;
  uint32_t references = 0;  // guarded by the store's mutex
};

namespace weft {

using Fill = std::function<weft_status(void* destination, weft_error* error)>;

struct PackedWeights::State {
  explicit State(Options given) : options(std::move(given)) {}

  weft_status get(const char* key, uint64_t size_bytes, const Fill& fill, weft_packed** out,
                  weft_error* error);
  Status make(const std::string& key, uint64_t size_bytes, const Fill& fill, Content& content);
  /// Nothing: there is no valid entry. Errors: kCancelled.
  Result<std::optional<Content>> map_entry(const std::string& key, uint64_t size_bytes);
  /// step(offset, bytes) for all parts of size_bytes as long as it returns 0; what it returned last. Errors: kCancelled.
  Result<int> in_parts(uint64_t size_bytes, const std::function<int(uint64_t, uint64_t)>& step) const;
  Result<uint64_t> hash(const void* content, uint64_t size_bytes) const;
  /// Nothing: the disk does not serve. A Status: what fill returned, or success with `content` set.
  std::optional<Status> make_on_disk(const std::string& key, uint64_t size_bytes, const Fill& fill,
                                     Content& content);
  Status make_in_memory(uint64_t size_bytes, const Fill& fill, Content& content);
  void release(weft_packed* packed);
  void trim(const std::string& keep);
  void warn_once(const std::string& why);

  fs::path path_of(const std::string& key) const { return options.folder / (key + kSuffix); }

  Options options;
  weft_packed_weights_api api{};
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, weft_packed*> live;
  std::set<std::string> filling;  // keys that a thread works on
  Statistics statistics;
  std::atomic<bool> warned{false};
};

namespace {

weft_status run_fill(const Fill& fill, void* destination, Status& status) {
  weft_status code = WEFT_OK;
  status = sdk::checked([&](weft_error* error) { return code = fill(destination, error); });
  return code;
}

}  // namespace

void PackedWeights::State::warn_once(const std::string& why) {
  if (warned.exchange(true) || !options.warning) return;
  options.warning("packed weights are kept in memory, not on disk: " + why);
}

Result<int> PackedWeights::State::in_parts(uint64_t size_bytes,
                                           const std::function<int(uint64_t, uint64_t)>& step) const {
  for (uint64_t at = 0; at < size_bytes; at += kPartBytes) {
    if (options.cancelled && options.cancelled())
      return Status(StatusCode::kCancelled, "cancelled while packed weights were read or written");
    if (const int failed = step(at, std::min(kPartBytes, size_bytes - at)); failed != 0) return failed;
  }
  return 0;
}

Result<uint64_t> PackedWeights::State::hash(const void* content, uint64_t size_bytes) const {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash(XXH3_createState(), &XXH3_freeState);
  if (!hash) return Status(StatusCode::kOutOfMemory, "no memory to hash packed weights");
  XXH3_64bits_reset(hash.get());
  const Result<int> done = in_parts(size_bytes, [&](uint64_t at, uint64_t bytes) {
    XXH3_64bits_update(hash.get(), static_cast<const char*>(content) + at, bytes);
    return 0;
  });
  if (!done.ok()) return done.status();
  return XXH3_64bits_digest(hash.get());
}

Result<std::optional<Content>> PackedWeights::State::map_entry(const std::string& key, uint64_t size_bytes) {
  const fs::path path = path_of(key);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return std::optional<Content>();
  Content content;
  struct stat info;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
      uint64_t(info.st_size) == kHeaderBytes + size_bytes) {
    void* start = ::mmap(nullptr, kHeaderBytes + size_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (start != MAP_FAILED) {
      content = {start, static_cast<const char*>(start) + kHeaderBytes, kHeaderBytes + size_bytes};
    }
  }
  ::futimens(fd,
             nullptr);  // used now: what trim() goes by. Fails on a read-only disk, where nothing is trimmed
  ::close(fd);
  if (!content.start) return std::optional<Content>();
  // The whole content is hashed: at memory speed, and a flipped bit in a weight would never be noticed otherwise.
  const Result<uint64_t> hashed = hash(content.data, size_bytes);
  if (hashed.ok()) {
    const Header expected = make_header(key, *hashed, size_bytes);
    if (std::memcmp(content.start, &expected, sizeof(expected)) == 0) return std::optional(content);
  }
  free_content(content);
  if (!hashed.ok()) return hashed.status();
  return std::optional<Content>();
}

std::optional<Status> PackedWeights::State::make_on_disk(const std::string& key, uint64_t size_bytes,
                                                         const Fill& fill, Content& content) {
  std::error_code error;
  fs::create_directories(options.folder, error);
  const fs::path path = path_of(key);
  auto opened = options.temporaries->open_beside(path);
  if (!opened.ok()) {
    warn_once(to_string(opened.error()));
    return std::nullopt;
  }
  const int fd = ::open(opened->path.c_str(), O_RDWR | O_CLOEXEC);
  ::close(opened->fd);
  const auto give_up = [&](int error_number) -> std::optional<Status> {
    if (fd >= 0) ::close(fd);
    options.temporaries->remove(opened->path);
    warn_once(to_string(io_error("writing", path, error_number).error()));
    return std::nullopt;
  };
  if (fd < 0) return give_up(errno);
  const uint64_t total = kHeaderBytes + size_bytes;
  const auto end = [&](Status status) -> std::optional<Status> {
    ::close(fd);
    options.temporaries->remove(opened->path);
    return status;
  };
  // Reserved before it is mapped: writing to a mapping beyond a full disk would be a signal, not an error.
  const Result<int> reserved = in_parts(total, [&](uint64_t at, uint64_t bytes) {
    return ::posix_fallocate(fd, static_cast<off_t>(at), static_cast<off_t>(bytes));
  });
  if (!reserved.ok()) return end(reserved.status());
  if (*reserved != 0) return give_up(*reserved);
  void* start = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (start == MAP_FAILED) return give_up(errno);
  char* data = static_cast<char*>(start) + kHeaderBytes;
  Status filled;
  if (run_fill(fill, data, filled) != WEFT_OK) {
    drop_in_parts(start, total, fd);
    return end(std::move(filled));
  }
  const auto write = [&]() -> Result<int> {
    const Result<uint64_t> hashed = hash(data, size_bytes);
    if (!hashed.ok()) return hashed.status();
    const Header header = make_header(key, *hashed, size_bytes);
    std::memcpy(start, &header, sizeof(header));
    return in_parts(total, [&](uint64_t at, uint64_t bytes) {
      return ::msync(static_cast<char*>(start) + at, bytes, MS_SYNC) == 0 ? 0 : errno;
    });
  };
  const Result<int> written = write();
  if (!written.ok()) {
    drop_in_parts(start, total, fd);
    return end(written.status());
  }
  const bool synced = *written == 0 && ::fsync(fd) == 0;
  const int sync_error = *written != 0 ? *written : errno;
  ::mprotect(start, total, PROT_READ);
  content = {start, data, total};  // good for this process whatever becomes of the file
  ::close(fd);
  if (!synced) {
    options.temporaries->remove(opened->path);
    warn_once(to_string(io_error("syncing", path, sync_error).error()));
  } else if (Status published = options.temporaries->publish(opened->path, path); !published.ok()) {
    warn_once(to_string(published.error()));
  }
  return Status();
}

Status PackedWeights::State::make_in_memory(uint64_t size_bytes, const Fill& fill, Content& content) {
  if (size_bytes > UINT64_MAX - 4096) return Status(StatusCode::kOutOfMemory, "no memory for packed weights");
  void* data = std::aligned_alloc(64, std::max<uint64_t>((size_bytes + 63) & ~uint64_t{63}, 64));
  if (!data)
    return Status(StatusCode::kOutOfMemory,
                  "no memory for " + std::to_string(size_bytes) + " bytes of packed weights");
  Status filled;
  if (run_fill(fill, data, filled) != WEFT_OK) {
    std::free(data);
    return filled;
  }
  content = {data, data, 0};
  return {};
}

Status PackedWeights::State::make(const std::string& key, uint64_t size_bytes, const Fill& fill,
                                  Content& content) {
  if (!options.folder.empty() && options.temporaries && size_bytes <= options.limit_bytes) {
    const Result<std::optional<Content>> mapped = map_entry(key, size_bytes);
    if (!mapped.ok()) return mapped.status();
    if (*mapped) {
      content = **mapped;
      const std::lock_guard lock(mutex);
      ++statistics.hits;
      return {};
    }
    if (auto made = make_on_disk(key, size_bytes, fill, content)) {
      if (made->ok()) {
        const std::lock_guard lock(mutex);
        ++statistics.fills;
        trim(key);
      }
      return *made;
    }
  }
  Status status = make_in_memory(size_bytes, fill, content);
  const std::lock_guard lock(mutex);
  statistics.fills += status.ok();
  statistics.in_memory += status.ok();
  return status;
}

weft_status PackedWeights::State::get(const char* key, uint64_t size_bytes, const Fill& fill,
                                      weft_packed** out, weft_error* error) {
  *out = nullptr;
  return sdk::barrier(error, [&]() -> Status {
    if (!is_key(key)) {
      return Status(StatusCode::kInvalidArgument, "not a key of packed weights").got(key ? key : "nothing");
    }
    const std::string name = key;
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return filling.count(name) == 0; });
    if (const auto found = live.find(name); found != live.end()) {
      if (found->second->size_bytes != size_bytes) {
        return Status(StatusCode::kInvalidArgument, "one key of packed weights with two sizes").got(name);
      }
      ++found->second->references;
      ++statistics.hits;
      *out = found->second;
      return {};
    }
    auto packed = std::make_unique<weft_packed>();
    packed->store = this;
    packed->key = name;
    packed->size_bytes = size_bytes;
    packed->references = 1;
    filling.insert(name);
    lock.unlock();
    Status status = sdk::guarded([&] { return make(name, size_bytes, fill, packed->content); });
    lock.lock();
    filling.erase(name);
    if (status.ok()) {
      live[name] = packed.get();
      *out = packed.release();
      statistics.live_entries = live.size();
    }
    lock.unlock();
    changed.notify_all();
    return status;
  });
}

void PackedWeights::State::release(weft_packed* packed) {
  {
    const std::lock_guard lock(mutex);
    if (--packed->references != 0) return;
    live.erase(packed->key);
    statistics.live_entries = live.size();
  }
  free_content(packed->content);
  delete packed;
}

/// Removes the entries used longest ago until the rest fits, never `keep`. With `mutex` held.
void PackedWeights::State::trim(const std::string& keep) {
  struct Entry {
    fs::file_time_type used;
    fs::path path;
    uint64_t size_bytes;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(options.folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;  // another process may remove entries meanwhile
    if (it->path().extension() == ".tmp" &&
        fs::file_time_type::clock::now() - it->last_write_time(gone) > std::chrono::hours(24)) {
      fs::remove(it->path(), gone);  // left by a process that was killed
      continue;
    }
    const uint64_t size = it->path().extension() == kSuffix ? it->file_size(gone) : 0;
    if (gone || size == 0) continue;
    total += size;
    if (it->path() != path_of(keep)) entries.push_back({it->last_write_time(gone), it->path(), size});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& entry : entries) {
    if (total <= options.limit_bytes) return;
    if (fs::remove(entry.path, error)) total -= entry.size_bytes;
  }
}

PackedWeights::PackedWeights(Options options) : state_(std::make_unique<State>(std::move(options))) {
  weft_packed_weights_api& api = state_->api;
  api.struct_size = sizeof(api);
  api.self = state_.get();
  api.get = [](void* self, const char* key, uint64_t size_bytes,
               weft_status (*fill)(void* context, void* destination, weft_error* error), void* context,
               weft_packed** out, weft_error* error) {
    return static_cast<State*>(self)->get(
        key, size_bytes,
        [=](void* destination, weft_error* failed) { return fill(context, destination, failed); }, out,
        error);
  };
  api.data = [](const weft_packed* packed) { return packed->content.data; };
  api.release = [](weft_packed* packed) {
    if (packed) packed->store->release(packed);
  };
}

PackedWeights::~PackedWeights() = default;

const weft_packed_weights_api* PackedWeights::api() const { return &state_->api; }

PackedWeights::Statistics PackedWeights::statistics() const {
  const std::lock_guard lock(state_->mutex);
  return state_->statistics;
}

}  // namespace weft
