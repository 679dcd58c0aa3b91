#include "tests/text/text_pipeline.h"

#include <stdlib.h>
#include <weft/abi/plugin.h>

#include <fstream>
#include <iterator>

#include "kernels/cpu/isa.h"
#include "pipeline/files/folders.h"
#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/catalog.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"

extern "C" const weft_plugin* weft_plugin_entry(
    uint32_t host_abi_version);  // plugins/text/plugin.cc, linked in

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

const weft_plugin* text_plugin() { return weft_plugin_entry(WEFT_ABI_VERSION); }

const Catalog& text_catalog() {
  static const Catalog catalog = [] {
    PluginDescriptor descriptor = read_descriptor(text_plugin()).descriptor;
    descriptor.path = "/proc/self/exe";
    return Catalog({descriptor}, {});
  }();
  return catalog;
}

}  // namespace

Host& TextPipelineTest::host() {
  static Host host([] {
    HostOptions options;
    options.threads = 2;
    options.model_folders = model_folders();
    return options;
  }());
  return host;
}

TextPipelineTest::TextPipelineTest() {
  std::string pattern = (fs::temp_directory_path() / "weft-text-XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
}

TextPipelineTest::~TextPipelineTest() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

fs::path TextPipelineTest::find_model(const std::string& name) {
  for (const fs::path& folder : model_folders()) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return folder / name;
  }
  return {};
}

void TextPipelineTest::SetUp() {
  if (find_model(kSmolLm2).empty())
    GTEST_SKIP() << "skipped: the model is not there; run scripts/fetch_models smollm2";
}

Result<Json> TextPipelineTest::run(const Json& pipeline) {
  Json text = {{"weft", 1}, {"name", "test"}, {"models", {{"m", {{"path", kSmolLm2}}}}}};
  text.update(pipeline);
  write("test.json", text.dump(1));
  ParsedPipeline parsed = parse_pipeline_file((folder_ / "test.json").string(), text_catalog());
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    ADD_FAILURE() << to_text(diagnostic, Excerpt::kShow);
  if (!parsed.graph) return Status(StatusCode::kInternal, "the pipeline cannot be parsed");
  RunOptions options;
  options.out_folder = folder_ / "out";
  options.isa_level = to_string(active_isa());
  const auto provider = [](const PluginDescriptor&) -> Result<const weft_plugin*> { return text_plugin(); };
  auto prepared = prepare_run(*parsed.graph, provider, host(), options);
  if (!prepared.ok()) return prepared.status();
  auto result = execute(*prepared, options, nullptr, nullptr);
  if (!result.ok()) return result.status();
  Json outputs = Json::object();
  for (const auto& [name, value] : result->outputs_json) outputs[name] = Json::parse(value);
  return outputs;
}

Json TextPipelineTest::outputs(const Json& pipeline) {
  Result<Json> result = run(pipeline);
  if (result.ok()) return *result;
  ADD_FAILURE() << to_string(result.error());
  return Json::object();
}

Json TextPipelineTest::pipeline_of(const std::string& uses, const Json& with,
                                   const std::vector<std::string>& ports) {
  Json node = {{"uses", uses}, {"with", with}};
  node["with"]["model"] = "m";
  Json pipeline = {{"nodes", {{"n", node}}}};
  for (const std::string& port : ports) pipeline["outputs"][port] = "n." + port;
  return pipeline;
}

std::string TextPipelineTest::refusal(const std::string& uses, const Json& with, StatusCode code) {
  Result<Json> result = run(pipeline_of(uses, with, {}));
  if (result.ok()) {
    ADD_FAILURE() << "accepted: " << with.dump();
    return "accepted";
  }
  EXPECT_EQ(result.code(), code) << to_string(result.error());
  return to_string(result.error());
}

std::vector<int32_t> TextPipelineTest::tokens_of(const std::string& text, bool parse_special) {
  return run_node("text.tokenize", {{"text", text}, {"parse_special", parse_special}}, {"tokens"})["tokens"];
}

void TextPipelineTest::write(const std::string& name, const std::string& content) const {
  std::ofstream(folder_ / name, std::ios::binary) << content;
}

std::string TextPipelineTest::read(const std::string& name) const {
  std::ifstream stream(folder_ / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace weft::testing
