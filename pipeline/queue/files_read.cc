#include "pipeline/queue/files_read.h"

#include <filesystem>
#include <system_error>

#include "pipeline/graph/find_input.h"
#include "pipeline/graph/json_tree.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

fs::path place_of(const Graph& graph, const std::string& path) { return fs::path(graph.folder) / path; }

std::vector<std::string> paths_of(const Graph& graph, const JsonTree& inputs) {
  std::vector<std::string> paths;
  const auto add = [&](JsonId id) {
    if (inputs.kind(id) == JsonKind::kString) paths.emplace_back(inputs[id].text);
  };
  for (const JsonId id : inputs.children(0)) {
    const PipelineInput* input = find_input(graph, std::string(inputs[id].key));
    if (input && input->type == "path") add(id);
    if (!input || input->type != "list<path>") continue;
    for (const JsonId element : inputs.children(id)) add(element);
  }
  return paths;
}

}  // namespace

Result<std::vector<ItemFile>> find_files_read(const Graph& graph, const std::string& inputs_json,
                                              const FileHashCache& hashes) {
  const auto parsed =
      JsonTree::parse(inputs_json, {inputs_json.size(), 64, inputs_json.size(), inputs_json.size() + 1});
  const auto* inputs = std::get_if<JsonTree>(&parsed);
  std::vector<ItemFile> files;
  if (!inputs || inputs->kind(0) != JsonKind::kObject) return files;
  for (const std::string& path : paths_of(graph, *inputs)) {
    const fs::path place = place_of(graph, path);
    std::error_code error;
    if (path.empty() || !fs::exists(place, error)) continue;
    Result<std::string> hash = hashes.sha256_of_tree(place);
    if (!hash.ok()) return hash.status();
    const uint64_t size = fs::is_regular_file(place, error) ? fs::file_size(place, error) : 0;
    files.push_back({path, error ? 0 : size, *std::move(hash)});
  }
  return files;
}

Status check_files_read(const Graph& graph, const std::vector<ItemFile>& files, const FileHashCache& hashes) {
  for (const ItemFile& file : files) {
    const fs::path place = place_of(graph, file.path);
    const Result<std::string> hash = hashes.sha256_of_tree(place);
    if (hash.code() == StatusCode::kNotFound) {
      return Status(StatusCode::kNotFound, "a file that the item reads is not on this machine")
          .at(place.string())
          .hint("keep it on storage that all machines see, at the same path");
    }
    if (!hash.ok()) return hash.status();
    if (*hash == file.sha256) continue;
    return Status(StatusCode::kVersionMismatch, "a file that the item reads is not what was submitted")
        .at(place.string())
        .expected("sha256 " + file.sha256)
        .got(*hash);
  }
  return {};
}

}  // namespace weft
