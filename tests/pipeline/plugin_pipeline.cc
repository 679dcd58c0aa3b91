#include "tests/pipeline/plugin_pipeline.h"

#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "kernels/cpu/isa.h"
#include "pipeline/files/folders.h"
#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/catalog.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"

namespace weft::testing {

namespace fs = std::filesystem;

const Catalog& PluginPipelineTest::catalog() const {
  static const Catalog catalog = [this] {
    PluginDescriptor descriptor = read_descriptor(plugin_).descriptor;
    descriptor.path = "/proc/self/exe";
    return Catalog({descriptor}, {});
  }();
  return catalog;
}

Host& PluginPipelineTest::host(uint32_t threads) {
  static std::map<uint32_t, std::unique_ptr<Host>> hosts;
  std::unique_ptr<Host>& host = hosts[threads];
  if (host == nullptr) {
    HostOptions options;
    options.threads = threads;
    options.model_folders = model_folders();
    options.guards = HostOptions::Guards::kOn;
    host = std::make_unique<Host>(options);
  }
  return *host;
}

PluginPipelineTest::PluginPipelineTest(const weft_plugin* plugin, Json model)
    : plugin_(plugin), model_(std::move(model)) {
  std::string pattern = (fs::temp_directory_path() / "weft-test-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
}

PluginPipelineTest::~PluginPipelineTest() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<Json> PluginPipelineTest::run(const Json& pipeline, const Watch& watch) {
  Json text = {{"weft", 1}, {"name", "test"}, {"models", {{"m", model_}}}};
  text.update(pipeline);
  write("test.json", text.dump(1));
  ParsedPipeline parsed = parse_pipeline_file((folder_ / "test.json").string(), catalog());
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    ADD_FAILURE() << to_text(diagnostic, Excerpt::kShow);
  if (!parsed.graph) return Status(StatusCode::kInternal, "the pipeline cannot be parsed");
  RunOptions options;
  options.out_folder = folder_ / "out";
  options.isa_level = to_string(active_isa());
  const auto provider = [this](const PluginDescriptor&) -> Result<const weft_plugin*> { return plugin_; };
  auto prepared = prepare_run(*parsed.graph, provider, host(watch.threads), options);
  if (!prepared.ok()) return prepared.status();
  auto result = execute(*prepared, options, watch.on_event, watch.cancel);
  if (!result.ok()) return result.status();
  Json outputs = Json::object();
  for (const auto& [name, value] : result->outputs_json) outputs[name] = Json::parse(value);
  return outputs;
}

Json PluginPipelineTest::outputs(const Json& pipeline) {
  Result<Json> result = run(pipeline);
  if (result.ok()) return *result;
  ADD_FAILURE() << to_string(result.error());
  return Json::object();
}

Json PluginPipelineTest::pipeline_of(const std::string& uses, const Json& with,
                                     const std::vector<std::string>& ports) {
  Json node = {{"uses", uses}, {"with", with}};
  node["with"]["model"] = "m";
  Json pipeline = {{"nodes", {{"n", node}}}};
  for (const std::string& port : ports) pipeline["outputs"][port] = "n." + port;
  return pipeline;
}

std::string PluginPipelineTest::refusal(const Json& pipeline, StatusCode code) {
  Result<Json> result = run(pipeline);
  if (result.ok()) {
    ADD_FAILURE() << "accepted: " << pipeline.dump();
    return "accepted";
  }
  EXPECT_EQ(result.code(), code) << to_string(result.error());
  return to_string(result.error());
}

void PluginPipelineTest::write(const std::string& name, const std::string& content) const {
  std::ofstream(folder_ / name, std::ios::binary) << content;
}

std::string PluginPipelineTest::read(const std::string& name) const {
  std::ifstream stream(folder_ / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace weft::testing
