/// Runs pipelines of text nodes on a real model, in the test's process: graph, plan, scheduler and plugin are those of
/// `weft run`, without the program around them.
///
/// Models stay loaded for all cases of one test program. A case is skipped where SmolLM2 is not there.
///
///   TEST_F(TextGenerate, Answers) {
///     const Json got = run_node("text.generate", {{"prompt", "Hello"}, {"seed", 1}}, {"text", "finish_reason"});
///     EXPECT_EQ(got["finish_reason"], "stop");
///   }
#ifndef WEFT_TESTS_TEXT_TEXT_PIPELINE_H
#define WEFT_TESTS_TEXT_TEXT_PIPELINE_H

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace weft {
class Host;
}

namespace weft::testing {

using Json = nlohmann::ordered_json;

class TextPipelineTest : public ::testing::Test {
 protected:
  static constexpr const char* kSmolLm2 = "SmolLM2-135M-Instruct.Q4_1.gguf";
  static constexpr const char* kGemma3 = "gemma-3-270m-Q4_K_M.gguf";

  TextPipelineTest();
  ~TextPipelineTest() override;
  void SetUp() override;

  /// The outputs of a pipeline, by name; those of skipped nodes are absent. `pipeline` has "nodes", "outputs" and what
  /// else it needs; the model "m" is SmolLM2 unless "models" says otherwise.
  Result<Json> run(const Json& pipeline);
  /// The same for a pipeline that has to succeed.
  Json outputs(const Json& pipeline);
  /// A pipeline of one node "n" that uses the model "m", and these of its ports.
  static Json pipeline_of(const std::string& uses, const Json& with, const std::vector<std::string>& ports);
  Json run_node(const std::string& uses, const Json& with, const std::vector<std::string>& ports) {
    return outputs(pipeline_of(uses, with, ports));
  }
  /// The error of such a pipeline, as `weft run` prints it; its code has to be `code`.
  std::string refusal(const std::string& uses, const Json& with, StatusCode code);

  /// Token ids of a text, as text.tokenize gives them.
  std::vector<int32_t> tokens_of(const std::string& text, bool parse_special = false);

  const std::filesystem::path& folder() const { return folder_; }  // the pipeline's; out/ below it
  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;
  /// The path of a model, or empty.
  static std::filesystem::path find_model(const std::string& name);

 private:
  static Host& host();

  std::filesystem::path folder_;
};

}  // namespace weft::testing
#endif
