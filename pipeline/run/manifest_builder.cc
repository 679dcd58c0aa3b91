#include "pipeline/run/manifest_builder.h"

#include <weft/sdk/device.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "pipeline/files/content_hash.h"
#include "pipeline/memory/value_codec.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/residency/models.h"
#include "pipeline/run/host.h"
#include "pipeline/run/output_folder.h"
#include "pipeline/run/version.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  return error ? 0 : size;  // a folder has none
}

void visit_graphs(const Graph& graph, std::vector<const Graph*>& graphs) {
  graphs.push_back(&graph);
  for (const Node& node : graph.nodes) {
    if (node.subgraph) visit_graphs(*node.subgraph, graphs);
  }
}

Result<ManifestFile> file_entry(const fs::path& path) {
  auto hash = sha256_of_file(path);
  if (!hash.ok()) return hash.status();
  return ManifestFile{fs::absolute(path).lexically_normal().string(), *hash, size_of(path)};
}

Status add_sources(Manifest& manifest, const PreparedRun::State& state) {
  std::vector<const Graph*> graphs;
  visit_graphs(state.graph, graphs);
  std::set<std::string> seen;
  std::map<std::string, Manifest::Plugin> plugins;
  for (const Graph* graph : graphs) {
    std::error_code error;
    if (seen.insert(graph->file).second && fs::is_regular_file(graph->file, error)) {
      auto entry = file_entry(graph->file);
      if (!entry.ok()) return entry.status();
      manifest.pipelines.push_back(std::move(*entry));
    }
    for (const Node& node : graph->nodes) {
      const PluginDescriptor* plugin = node.type.plugin;
      if (!plugin) continue;
      plugins[plugin->name] = {
          {plugin->path, plugin->sha256, size_of(plugin->path)}, plugin->name, plugin->version};
    }
  }
  for (auto& [name, plugin] : plugins) manifest.plugins.push_back(std::move(plugin));
  for (const PlannedModelEntry& entry : state.plan.models) {
    const Model& model = *state.models.at(entry.model.handle);
    Manifest::ModelFile& file = manifest.models.emplace_back();
    file = {{model.path().string(), model.sha256(), size_of(model.path())}, entry.name, entry.type, {}};
    for (const ModelPart& part : model.parts()) {
      file.parts.push_back({part.path.string(), part.sha256, size_of(part.path)});
    }
  }
  return {};
}

Status add_outputs(Manifest& manifest, const PreparedRun::State& state, const OutputFolder& folder,
                   const std::vector<Value>& outputs) {
  std::error_code error;
  const fs::path root = fs::canonical(folder.path(), error);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Value& value = outputs[i];
    if (!value) continue;
    Manifest::Output output;
    output.type = value.type();
    if (value.type() == "path") {
      // Where the output folder is must not matter: a written file counts by its place in it.
      const fs::path relative = fs::path(value.bytes_view()).lexically_relative(root);
      const bool inside = !relative.empty() && *relative.begin() != "..";
      output.sha256 = sha256_of_text(inside ? relative.generic_string() : std::string(value.bytes_view()));
    } else {
      auto hash = content_sha256(value);
      if (!hash.ok()) return hash.status();
      output.sha256 = *hash;
    }
    manifest.outputs[state.graph.outputs[i].name] = std::move(output);
  }
  for (const WrittenFile& file : folder.written()) {
    auto hash = sha256_of_file(root / file.path);
    if (!hash.ok()) return hash.status();
    manifest.output_files.push_back({file.path, *hash, file.size_bytes});
  }
  return {};
}

}  // namespace

Result<Manifest> build_manifest(const PreparedRun::State& state, const ItemValues& item,
                                const RunOptions& options, const std::unordered_set<std::string>& input_files,
                                const OutputFolder& folder, const std::vector<Value>& outputs,
                                const RunResult& result, std::chrono::system_clock::time_point started) {
  Manifest manifest;
  manifest.weft_version = kVersion;
  manifest.pipeline_name = state.graph.name;
  if (Status status = add_sources(manifest, state); !status.ok()) return status;
  for (size_t i = 0; i < item.inputs.size(); ++i) {
    const std::string& name = state.graph.inputs[i].name;
    // A program's own tensor may be huge; what came as text is not, and the run can be repeated from it.
    const auto given = options.inputs.find(name);
    const bool shared = given != options.inputs.end() && given->second.value;
    manifest.inputs_json[name] =
        value_to_json(item.inputs[i], shared ? options.max_json_elements : UINT64_MAX);
  }
  std::vector<std::string> read(input_files.begin(), input_files.end());
  std::sort(read.begin(), read.end());
  for (const std::string& path : read) {
    auto entry = file_entry(path);
    if (!entry.ok()) return entry.status();
    manifest.input_files.push_back(std::move(*entry));
  }
  manifest.seeds = item.seeds;
  manifest.isa_level = options.isa_level;
  manifest.numerics_profile = options.numerics_profile;
  for (const DeviceMemory& memory : state.plan.devices)
    manifest.device += (manifest.device.empty() ? "" : ", ") + sdk::device_name(memory.device);
  manifest.default_device = options.device;
  if (Status status = add_outputs(manifest, state, folder, outputs); !status.ok()) return status;
  manifest.timings = result.timings;
  manifest.started_utc = utc_text(started);
  manifest.seconds = result.seconds;
  return manifest;
}

}  // namespace weft
