#include "pipeline/run/run_record.h"

#include <charconv>
#include <filesystem>

#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"
#include "pipeline/memory/value_json.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kVersion = 1;
constexpr JsonLimits kLimits{kMaxPipelineBytes, kMaxPipelineDepth + 8, kMaxPipelineStringBytes,
                             kMaxPipelineValues};

std::string compact(std::string_view json) {
  const auto parsed = JsonTree::parse(json, kLimits);
  const auto* tree = std::get_if<JsonTree>(&parsed);
  return tree != nullptr ? tree->compact(0) : std::string(json);
}

bool is_path_type(std::string_view type) { return type == "path" || type == "list<path>"; }

// {"a": 1} from pairs of a name and JSON text.
std::string object_of(const std::map<std::string, std::string>& members) {
  std::string json;
  for (const auto& [name, text] : members)
    json += (json.empty() ? "{" : ",") + json_string(name) + ":" + text;
  return json + "}";
}

Status corrupt(const std::string& what) {
  return Status(StatusCode::kCorruptData, "the record of how the picture was made is damaged: " + what);
}

std::map<std::string, std::string> members_of(const JsonTree& tree, JsonId object) {
  std::map<std::string, std::string> members;
  for (const JsonId id : tree.children(object)) members[std::string(tree[id].key)] = tree.compact(id);
  return members;
}

Result<std::vector<DrawnSeed>> read_seeds(const JsonTree& tree, JsonId list) {
  std::vector<DrawnSeed> seeds;
  for (const JsonId id : tree.children(list)) {
    const JsonId node = tree.find(id, "node"), parameter = tree.find(id, "parameter"),
                 value = tree.find(id, "value");
    DrawnSeed seed;
    const bool named = node != kNoJson && parameter != kNoJson && value != kNoJson &&
                       tree.kind(node) == JsonKind::kString && tree.kind(parameter) == JsonKind::kString &&
                       tree.kind(value) == JsonKind::kNumber;
    if (!named) return corrupt("a seed lacks its node, parameter or value");
    const std::string_view digits = tree[value].text;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), seed.value);
    if (code != std::errc() || end != digits.data() + digits.size()) return corrupt("a seed is no integer");
    seed.node = tree[node].text;
    seed.parameter = tree[parameter].text;
    seeds.push_back(std::move(seed));
  }
  return seeds;
}

}  // namespace

std::string from_folder(const std::string& file, const std::string& folder) {
  const fs::path relative = fs::path(file).lexically_normal().lexically_relative(
      folder.empty() ? fs::path(".") : fs::path(folder).lexically_normal());
  return relative.empty() ? file : relative.generic_string();
}

RunRecord make_run_record(std::span<const PipelineSource> sources, const Graph& graph,
                          std::span<const Value> inputs, std::span<const DrawnSeed> seeds) {
  RunRecord record;
  if (sources.empty()) return record;
  record.pipeline = compact(sources[0].text);
  for (const PipelineSource& source : sources.subspan(1)) {
    record.pipelines[from_folder(source.file, graph.folder)] = compact(source.text);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const PipelineInput& input = graph.inputs[i];
    if (!is_path_type(input.type) && inputs[i] && inputs[i].content_bytes() <= kMaxRecordedInputBytes)
      record.inputs_json[input.name] = value_to_json(inputs[i], UINT64_MAX);
  }
  record.seeds.assign(seeds.begin(), seeds.end());
  return record;
}

std::string to_json(const RunRecord& record) {
  if (record.pipeline.empty()) return {};
  std::string json = "{\"weft_record\":" + std::to_string(kVersion) + ",\"pipeline\":" + record.pipeline;
  if (!record.pipelines.empty()) json += ",\"pipelines\":" + object_of(record.pipelines);
  if (!record.inputs_json.empty()) json += ",\"inputs\":" + object_of(record.inputs_json);
  const char* separator = ",\"seeds\":[";
  for (const DrawnSeed& seed : record.seeds) {
    json += separator + ("{\"node\":" + json_string(seed.node)) +
            ",\"parameter\":" + json_string(seed.parameter) + ",\"value\":" + std::to_string(seed.value) +
            "}";
    separator = ",";
  }
  return json + (record.seeds.empty() ? "}" : "]}");
}

Result<RunRecord> parse_run_record(std::string_view json) {
  const auto parsed = JsonTree::parse(json, kLimits);
  if (const auto* broken = std::get_if<JsonError>(&parsed)) return corrupt(broken->message);
  const JsonTree& tree = std::get<JsonTree>(parsed);
  if (tree.kind(0) != JsonKind::kObject) return corrupt("it is no JSON object");
  const JsonId version = tree.find(0, "weft_record"), pipeline = tree.find(0, "pipeline");
  if (version == kNoJson || pipeline == kNoJson || tree.kind(version) != JsonKind::kNumber) {
    return corrupt("it has no pipeline or no version");
  }
  if (tree[version].text != std::to_string(kVersion)) {
    return Status(StatusCode::kVersionMismatch, "the picture's record was written by a newer Weft")
        .expected("version " + std::to_string(kVersion))
        .got(std::string(tree[version].text));
  }
  RunRecord record;
  record.pipeline = tree.compact(pipeline);
  if (const JsonId files = tree.find(0, "pipelines"); files != kNoJson)
    record.pipelines = members_of(tree, files);
  if (const JsonId inputs = tree.find(0, "inputs"); inputs != kNoJson)
    record.inputs_json = members_of(tree, inputs);
  if (const JsonId list = tree.find(0, "seeds"); list != kNoJson) {
    Result<std::vector<DrawnSeed>> seeds = read_seeds(tree, list);
    if (!seeds.ok()) return seeds.status();
    record.seeds = *std::move(seeds);
  }
  return record;
}

ParsedPipeline parse_recorded_pipeline(const RunRecord& record, const std::string& file,
                                       const Catalog& catalog) {
  const std::string folder = fs::path(file).parent_path().string();
  const PipelineReader read = [&](const std::string& path) -> Result<std::string> {
    const auto known = record.pipelines.find(from_folder(path, folder));
    if (known != record.pipelines.end()) return known->second;
    return Status(StatusCode::kPermissionDenied, "a pipeline from a picture uses no other pipeline files")
        .at(path);
  };
  return parse_pipeline(record.pipeline, file, catalog, read);
}

}  // namespace weft
