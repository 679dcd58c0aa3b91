/// weft cache: what is kept on disk between runs, and how to get rid of it.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/files/folders.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Options {
  std::string action;
  std::vector<std::string> parts;
  bool as_json = false;
};

/// One folder of the cache: "results", "packed", "hashes", "descriptors".
struct Part {
  std::string name;
  fs::path path;
  uint64_t entries = 0, size_bytes = 0;
};

std::vector<Part> find_parts() {
  std::vector<Part> parts;
  std::error_code error;
  const fs::path root = cache_folder();
  if (root.empty()) return parts;
  for (auto it = fs::directory_iterator(root, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || !it->is_directory(ignored)) continue;
    Part part{it->path().filename().string(), it->path()};
    // Another process may remove entries meanwhile: what cannot be looked at any more does not count.
    std::error_code walk;
    for (auto entry = fs::recursive_directory_iterator(it->path(), walk);
         !walk && entry != fs::recursive_directory_iterator(); entry.increment(walk)) {
      struct stat status {};
      if (lstat(entry->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      ++part.entries;
      part.size_bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
    parts.push_back(std::move(part));
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.name < b.name; });
  return parts;
}

int list(const std::vector<Part>& parts, const Options& options) {
  uint64_t total_bytes = 0;
  Json json{{"folder", cache_folder().string()}, {"parts", Json::array()}};
  for (const Part& part : parts) {
    total_bytes += part.size_bytes;
    json["parts"].push_back(
        {{"name", part.name}, {"entries", part.entries}, {"size_bytes", part.size_bytes}});
  }
  if (options.as_json) {
    json["size_bytes"] = total_bytes;
    print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return kSuccess;
  }
  print(cache_folder().string() + ": " + format_byte_size(total_bytes) + "\n");
  for (const Part& part : parts) {
    std::string left = "  " + part.name;
    left.resize(std::max<size_t>(left.size() + 2, 18), ' ');
    print(left + std::to_string(part.entries) + (part.entries == 1 ? " entry, " : " entries, ") +
          format_byte_size(part.size_bytes) + "\n");
  }
  return kSuccess;
}

int clear(const std::vector<Part>& parts, const Options& options) {
  for (const std::string& name : options.parts) {
    if (std::any_of(parts.begin(), parts.end(), [&](const Part& p) { return p.name == name; })) continue;
    std::string known;
    for (const Part& part : parts) known += (known.empty() ? "" : ", ") + part.name;
    return report_error(Error{StatusCode::kNotFound,
                              "the cache has no part '" + name + "'",
                              {},
                              known.empty() ? "nothing: it is empty" : known,
                              {},
                              {}});
  }
  uint64_t freed_bytes = 0;
  for (const Part& part : parts) {
    const bool wanted = options.parts.empty() || std::find(options.parts.begin(), options.parts.end(),
                                                           part.name) != options.parts.end();
    if (!wanted) continue;
    std::error_code error;
    fs::remove_all(part.path, error);
    if (error)
      return report_error(Error{StatusCode::kIoError, error.message(), part.path.string(), {}, {}, {}});
    freed_bytes += part.size_bytes;
  }
  print("Freed " + format_byte_size(freed_bytes) + ".\n");
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  options->action = "ls";
  arguments.choice("ACTION", options->action, {"ls", "clear"},
                   "ls: what is kept, and its size (default). clear: remove it");
  arguments.positionals("PART", options->parts, 0, "Parts to clear, as ls names them; none: all");
  arguments.flag("--json", options->as_json, "ls: print one JSON object");
  return [options] {
    const std::vector<Part> parts = find_parts();
    return options->action == "clear" ? clear(parts, *options) : list(parts, *options);
  };
}

}  // namespace

const Command kCacheCommand = {
    "cache", "what is kept on disk between runs: ls, clear",
    "The cache is in ${XDG_CACHE_HOME:-~/.cache}/weft: results of pure nodes, packed weights, hashes of "
    "files, descriptors "
    "of plugins. Everything in it is made again when it is needed; models are not part of it.",
    "weft cache ls\nweft cache ls --json\nweft cache clear results", declare};

}  // namespace weft::cli
