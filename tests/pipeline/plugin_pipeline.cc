#include "tests/pipeline/plugin_pipeline.h"

#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "kernels/cpu/isa.h"
#include "pipeline/files/folders.h"
#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/catalog.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"
#include "pipeline/run/shared_runs.h"

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

std::shared_ptr<Host> PluginPipelineTest::host(const Watch& watch) {
  static std::map<std::pair<uint32_t, fs::path>, std::shared_ptr<Host>> hosts;
  std::shared_ptr<Host> own;
  std::shared_ptr<Host>& host = watch.temporaries ? own : hosts[{watch.threads, watch.preview_folder}];
  if (host == nullptr) {
    HostOptions options;
    options.threads = watch.threads;
    options.preview_folder = watch.preview_folder;
    options.temporaries = watch.temporaries;
    options.model_folders = model_folders();
    options.guards = HostOptions::Guards::kOn;
    host = std::make_shared<Host>(options);
  }
  return host;
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

namespace {

Json outputs_json(const RunResult& result) {
  Json outputs = Json::object();
  for (const auto& [name, value] : result.outputs_json) outputs[name] = Json::parse(value);
  return outputs;
}

}  // namespace

std::shared_ptr<const Graph> PluginPipelineTest::parse(const Json& pipeline) {
  Json text = {{"weft", 1}, {"name", "test"}, {"models", {{"m", model_}}}};
  text.update(pipeline);
  write("test.json", text.dump(1));
  ParsedPipeline parsed = parse_pipeline_file((folder_ / "test.json").string(), catalog());
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    ADD_FAILURE() << to_text(diagnostic, Excerpt::kShow);
  return parsed.graph;
}

RunOptions PluginPipelineTest::options() const {
  RunOptions options;
  options.out_folder = folder_ / "out";
  options.isa_level = to_string(active_isa());
  return options;
}

PluginProvider PluginPipelineTest::provider() const {
  return [this](const PluginDescriptor&) -> Result<const weft_plugin*> { return plugin_; };
}

Result<Json> PluginPipelineTest::run(const Json& pipeline, const Watch& watch) {
  const auto graph = parse(pipeline);
  if (!graph) return Status(StatusCode::kInternal, "the pipeline cannot be parsed");
  const std::shared_ptr<Host> used = host(watch);
  auto prepared = prepare_run(*graph, provider(), *used, options());
  if (!prepared.ok()) return prepared.status();
  auto result = execute(*prepared, options(), watch.on_event, watch.cancel);
  if (!result.ok()) return result.status();
  return outputs_json(*result);
}

std::vector<Json> PluginPipelineTest::outputs_of_items(const Json& pipeline, const std::vector<Json>& items) {
  std::vector<Json> outputs(items.size());
  std::vector<Result<Json>> results = run_items(pipeline, items, std::vector<Watch>(items.size()));
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].ok()) outputs[i] = *std::move(results[i]);
    else ADD_FAILURE() << to_string(results[i].error());
  }
  return outputs;
}

std::vector<Result<Json>> PluginPipelineTest::run_items(const Json& pipeline, const std::vector<Json>& items,
                                                        const std::vector<Watch>& watches) {
  std::vector<Result<Json>> results(items.size(), Status(StatusCode::kInternal, "the item did not run"));
  const auto graph = parse(pipeline);
  if (!graph) return results;
  const PluginProvider plugins = provider();
  SharedRuns runs(*graph, plugins, *host(Watch{}), {.at_once = static_cast<uint32_t>(items.size())});
  std::vector<std::thread> threads;
  for (size_t i = 0; i < items.size(); ++i) {
    RunOptions item = options();
    item.out_folder /= std::to_string(i);
    for (const auto& [name, value] : items[i].items()) item.inputs[name].json = value.dump();
    auto prepared = runs.find(item);
    if (!prepared.ok()) {
      results[i] = prepared.status();
      continue;
    }
    threads.emplace_back([&result = results[i], &watch = watches[i], run = *prepared, item] {
      auto executed = execute(*run, item, watch.on_event, watch.cancel);
      result = executed.ok() ? Result<Json>(outputs_json(*executed)) : Result<Json>(executed.status());
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
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
