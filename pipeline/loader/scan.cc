#include "pipeline/loader/scan.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "pipeline/loader/descriptor_cache.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// A library that hangs costs its time limit; several of them together cost it once.
constexpr size_t kMaxChildren = 4;

std::string join(const std::vector<Error>& problems) {
  std::string text;
  for (const Error& problem : problems) text += (text.empty() ? "" : "; ") + to_string(problem);
  return text;
}

struct Candidate {
  std::string path;
  std::optional<PluginDescriptor> descriptor;
  std::string reason;   // why there is no descriptor
  std::string warning;  // of the cache
};

// Every *.so of the folders, in their order, each file once; by name within a folder.
std::vector<Candidate> find_candidates(const std::vector<std::string>& folders) {
  std::vector<Candidate> candidates;
  std::set<std::string> seen;
  for (const std::string& folder : folders) {
    std::vector<std::string> paths;
    std::error_code failure;
    for (fs::directory_iterator it(folder, failure), end; !failure && it != end; it.increment(failure)) {
      if (it->path().extension() == ".so") paths.push_back(it->path().string());
    }
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      const fs::path canonical = fs::canonical(path, failure);
      const std::string file = failure ? path : canonical.string();  // a dangling link: reported as not found
      if (seen.insert(file).second) candidates.push_back({file, {}, {}, {}});
    }
  }
  return candidates;
}

Result<Description> cached_or_described(const std::string& path, const ScanOptions& options,
                                        std::string& warning) {
  const DescriptorCache cache(options.cache_folder);
  Result<FileIdentity> identity = identify_file(path);
  if (!identity.ok()) return identity.status();
  if (std::optional<Description> known = cache.find(path, *identity)) return *std::move(known);
  Result<Description> description = describe_plugin(path, options.describe);
  if (!description.ok()) return description;
  if (Status status = cache.store(*description); !status.ok()) {
    warning = "descriptions of plugins are not kept: " + to_string(status.error());
  }
  return description;
}

void examine(Candidate& candidate, const ScanOptions& options) {
  Result<Description> description = cached_or_described(candidate.path, options, candidate.warning);
  if (!description.ok()) {
    Error error = description.error();
    if (error.where == candidate.path) error.where.clear();  // the problem names the file already
    candidate.reason = to_string(error);
  } else if (!description->problems.empty()) {
    candidate.reason = "its descriptor breaks the plugin contract: " + join(description->problems);
  } else {
    candidate.descriptor = std::move(description->descriptor);
  }
}

std::vector<std::string> split_list(const char* list) {
  std::vector<std::string> parts;
  for (std::string rest = list != nullptr ? list : ""; !rest.empty();) {
    const size_t colon = rest.find(':');
    if (colon != 0) parts.push_back(rest.substr(0, colon));
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return parts;
}

}  // namespace

ScanOptions default_scan_options(const fs::path& prefix) {
  ScanOptions options;
  options.folders = split_list(std::getenv("WEFT_PLUGINS"));
  if (const fs::path data = data_folder(); !data.empty())
    options.folders.push_back((data / "plugins").string());
  if (const fs::path cache = cache_folder(); !cache.empty())
    options.cache_folder = (cache / "descriptors").string();
  if (!prefix.empty()) {
    options.folders.push_back((prefix / "lib/weft/plugins").string());
    options.describe.program = (prefix / "libexec/weft/weft-describe-plugin").string();
  }
  return options;
}

Catalog scan_plugins(const ScanOptions& options, std::vector<std::string>* warnings) {
  std::vector<Candidate> candidates = find_candidates(options.folders);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < candidates.size(); i = next++) examine(candidates[i], options);
  };
  {
    std::vector<std::jthread> others;
    for (size_t i = 1; i < std::min(candidates.size(), kMaxChildren); ++i) others.emplace_back(work);
    work();
  }
  std::vector<PluginDescriptor> plugins;
  std::vector<PluginProblem> problems;
  bool warned = warnings == nullptr;
  for (Candidate& candidate : candidates) {
    if (!warned && !candidate.warning.empty()) {
      warnings->push_back(std::move(candidate.warning));
      warned = true;
    }
    if (candidate.descriptor) {
      plugins.push_back(*std::move(candidate.descriptor));
    } else {
      problems.push_back({std::move(candidate.path), std::move(candidate.reason)});
    }
  }
  return Catalog(std::move(plugins), std::move(problems));
}

Result<PluginDescriptor> scan_plugin(const std::string& path, const ScanOptions& options) {
  std::error_code failure;
  const fs::path canonical = fs::canonical(path, failure);
  if (failure) return Status(StatusCode::kNotFound, "there is no such plugin: " + failure.message()).at(path);
  std::string warning;  // a cache that cannot be written does not matter to one library
  Result<Description> description = cached_or_described(canonical.string(), options, warning);
  if (!description.ok()) return description.status();
  if (!description->problems.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "the descriptor breaks the plugin contract: " + join(description->problems))
        .at(path);
  }
  return std::move(description->descriptor);
}

}  // namespace weft
