#include "tests/image/image_pipeline.h"

#include <stdlib.h>
#include <weft/abi/plugin.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <memory>

#include "kernels/cpu/isa.h"
#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/catalog.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/plan/plan.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"

extern "C" const weft_plugin* weft_plugin_entry(
    uint32_t host_abi_version);  // plugins/image/plugin.cc, linked in

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

const weft_plugin* image_plugin() { return weft_plugin_entry(WEFT_ABI_VERSION); }

const Catalog& image_catalog() {
  static const Catalog catalog = [] {
    PluginDescriptor descriptor = read_descriptor(image_plugin()).descriptor;
    descriptor.path = "/proc/self/exe";
    return Catalog({descriptor}, {});
  }();
  return catalog;
}

}  // namespace

Host& ImagePipelineTest::host(uint32_t threads) {
  static std::map<uint32_t, std::unique_ptr<Host>> hosts;
  std::unique_ptr<Host>& host = hosts[threads];
  if (host == nullptr) {
    HostOptions options;
    options.threads = threads;
    options.guards = HostOptions::Guards::kOn;
    host = std::make_unique<Host>(options);
  }
  return *host;
}

ImagePipelineTest::ImagePipelineTest() {
  std::string pattern = (fs::temp_directory_path() / "weft-image-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
}

ImagePipelineTest::~ImagePipelineTest() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<Json> ImagePipelineTest::run(const Json& pipeline, const Watch& watch) {
  const std::string model = fs::absolute("assets/models/emoji").string();
  Json text = {{"weft", 1}, {"name", "test"}, {"models", {{"m", {{"path", model}, {"precision", "f32"}}}}}};
  text.update(pipeline);
  std::ofstream(folder_ / "test.json") << text.dump(1);
  ParsedPipeline parsed = parse_pipeline_file((folder_ / "test.json").string(), image_catalog());
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    ADD_FAILURE() << to_text(diagnostic, Excerpt::kShow);
  if (!parsed.graph) return Status(StatusCode::kInternal, "the pipeline cannot be parsed");
  RunOptions options;
  options.out_folder = folder_ / "out";
  options.isa_level = to_string(active_isa());
  const auto provider = [](const PluginDescriptor&) -> Result<const weft_plugin*> { return image_plugin(); };
  auto prepared = prepare_run(*parsed.graph, provider, host(watch.threads), options);
  if (!prepared.ok()) return prepared.status();
  auto result = execute(*prepared, options, watch.on_event, watch.cancel);
  if (!result.ok()) return result.status();
  Json outputs = Json::object();
  for (const auto& [name, value] : result->outputs_json) outputs[name] = Json::parse(value);
  return outputs;
}

Json ImagePipelineTest::outputs(const Json& pipeline) {
  Result<Json> result = run(pipeline);
  if (result.ok()) return *result;
  ADD_FAILURE() << to_string(result.error());
  return Json::object();
}

Json ImagePipelineTest::pipeline_of(const std::string& uses, const Json& with,
                                    const std::vector<std::string>& ports) {
  Json node = {{"uses", uses}, {"with", with}};
  node["with"]["model"] = "m";
  Json pipeline = {{"nodes", {{"n", node}}}};
  for (const std::string& port : ports) pipeline["outputs"][port] = "n." + port;
  return pipeline;
}

std::vector<int> ImagePipelineTest::generate(const Json& with) {
  return pixels_of(run_node("image.generate", with, {"image"})["image"]);
}

std::string ImagePipelineTest::refusal(const Json& pipeline, StatusCode code) {
  Result<Json> result = run(pipeline);
  if (result.ok()) {
    ADD_FAILURE() << "accepted: " << pipeline.dump();
    return "accepted";
  }
  EXPECT_EQ(result.code(), code) << to_string(result.error());
  return to_string(result.error());
}

std::vector<int> ImagePipelineTest::pixels_of(const Json& tensor) {
  std::vector<int> pixels;
  const std::function<void(const Json&)> collect = [&](const Json& value) {
    if (value.is_number()) return pixels.push_back(value.get<int>());
    for (const Json& item : value) collect(item);
  };
  if (tensor.contains("data")) collect(tensor["data"]);
  return pixels;
}

double peak_signal_to_noise(const std::vector<int>& a, const std::vector<int>& b) {
  if (a.size() != b.size() || a.empty()) return -std::numeric_limits<double>::infinity();
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += static_cast<double>((a[i] - b[i]) * (a[i] - b[i]));
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / squares);
}

}  // namespace weft::testing
