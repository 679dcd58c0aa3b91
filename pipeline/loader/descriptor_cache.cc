#include "pipeline/loader/descriptor_cache.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "pipeline/files/durable_file.h"
#include "pipeline/loader/descriptor_json.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 512;                   // of a few KiB each
constexpr std::chrono::milliseconds kClockTick{100};  // longer than any file system's

// FNV-1a, 64 bits; two paths with one name only cost a description.
std::string digest(const std::string& path) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : path) hash = (hash ^ c) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace

std::string DescriptorCache::entry_path(const std::string& path) const {
  return (fs::path(folder_) / (digest(path) + ".json")).string();
}

std::optional<Description> DescriptorCache::find(const std::string& path,
                                                 const FileIdentity& identity) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream file(entry_path(path), std::ios::binary);
  if (!file) return std::nullopt;
  const std::string json{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  Result<Description> description = description_from_json(json);
  if (!description.ok()) return std::nullopt;
  const PluginDescriptor& descriptor = description->descriptor;
  if (descriptor.path != path || descriptor.file != identity) return std::nullopt;
  return *std::move(description);
}

Status DescriptorCache::store(const Description& description) const {
  const PluginDescriptor& descriptor = description.descriptor;
  if (folder_.empty() || !settled_for(descriptor.file, kClockTick)) return {};
  std::error_code failure;
  fs::create_directories(folder_, failure);
  if (failure) return Status(StatusCode::kIoError, failure.message()).at(folder_);
  trim();
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  return write_durably(temporaries, entry_path(descriptor.path), description_to_json(description));
}

void DescriptorCache::trim() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  std::error_code failure;
  for (fs::directory_iterator it(folder_, failure), end; !failure && it != end; it.increment(failure)) {
    std::error_code ignored;
    entries.emplace_back(it->last_write_time(ignored), it->path());
  }
  if (entries.size() < kMaxEntries) return;
  std::sort(entries.begin(), entries.end());
  for (size_t i = 0; i + kMaxEntries / 2 < entries.size(); ++i) fs::remove(entries[i].second, failure);
}

}  // namespace weft
