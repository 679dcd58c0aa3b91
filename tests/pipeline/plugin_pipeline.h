/// Runs pipelines of one plugin's nodes in the test's process: graph, plan, scheduler and plugin are those of `weft run`,
/// without the program around them.
///
/// The plugin is linked into the test program. Models stay loaded for all cases of one test program.
///
///   class TextTest : public PluginPipelineTest {
///    protected:
///     TextTest() : PluginPipelineTest(weft_plugin_entry(WEFT_ABI_VERSION), {{"path", "model.gguf"}}) {}
///   };
///   TEST_F(TextTest, Answers) {
///     const Json got = run_node("text.generate", {{"prompt", "Hello"}, {"seed", 1}}, {"text", "finish_reason"});
///     EXPECT_EQ(got["finish_reason"], "stop");
///   }
#ifndef WEFT_TESTS_PIPELINE_PLUGIN_PIPELINE_H
#define WEFT_TESTS_PIPELINE_PLUGIN_PIPELINE_H

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pipeline/run/cancel.h"
#include "pipeline/run/events.h"

namespace weft {
class Catalog;
class Host;
class TemporaryFiles;
struct Graph;
struct PluginDescriptor;
struct RunOptions;
}  // namespace weft

namespace weft::testing {

using Json = nlohmann::ordered_json;

class PluginPipelineTest : public ::testing::Test {
 protected:
  /// model: the entry of the model "m" in pipelines that name no models of their own.
  PluginPipelineTest(const weft_plugin* plugin, Json model);
  ~PluginPipelineTest() override;

  /// What a run is watched and stopped by; all may be empty.
  struct Watch {
    std::function<void(const Event&)> on_event;
    const CancelToken* cancel = nullptr;
    uint32_t threads = 2;
    std::filesystem::path preview_folder = {};
    TemporaryFiles* temporaries = nullptr;  // null: the host's own; else the host is this run's alone
  };
  /// The outputs of a pipeline, by name; those of skipped nodes are absent. `pipeline` has "nodes", "outputs" and what
  /// else it needs.
  Result<Json> run(const Json& pipeline, const Watch& watch);
  Result<Json> run(const Json& pipeline) { return run(pipeline, Watch{}); }
  /// The same for a pipeline that has to succeed.
  Json outputs(const Json& pipeline);
  /// The outputs of items that are under way at the same time in runs that they share: the inputs of each, by name. A case
  /// fails with an item.
  std::vector<Json> outputs_of_items(const Json& pipeline, const std::vector<Json>& items);
  /// The same, each watched and stopped by its own.
  std::vector<Result<Json>> run_items(const Json& pipeline, const std::vector<Json>& items,
                                      const std::vector<Watch>& watches);
  /// A pipeline of one node "n" that uses the model "m", and these of its ports.
  static Json pipeline_of(const std::string& uses, const Json& with, const std::vector<std::string>& ports);
  Json run_node(const std::string& uses, const Json& with, const std::vector<std::string>& ports) {
    return outputs(pipeline_of(uses, with, ports));
  }
  /// The error of a pipeline, as `weft run` prints it; its code has to be `code`.
  std::string refusal(const Json& pipeline, StatusCode code);
  std::string refusal(const std::string& uses, const Json& with, StatusCode code) {
    return refusal(pipeline_of(uses, with, {}), code);
  }

  const std::filesystem::path& folder() const { return folder_; }  // the pipeline's; out/ below it
  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;

 private:
  const Catalog& catalog() const;
  std::shared_ptr<const Graph> parse(const Json& pipeline);
  RunOptions options() const;
  std::function<Result<const weft_plugin*>(const PluginDescriptor&)> provider() const;
  static std::shared_ptr<Host> host(const Watch& watch);

  const weft_plugin* plugin_;
  Json model_;
  std::filesystem::path folder_;
};

}  // namespace weft::testing
#endif
