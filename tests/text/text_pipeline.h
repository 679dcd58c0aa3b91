/// Pipelines of text nodes on a real model, SmolLM2, whose name in them is "m". A case is skipped where it is not there.
///
///   TEST_F(TextGenerate, Answers) {
///     const Json got = run_node("text.generate", {{"prompt", "Hello"}, {"seed", 1}}, {"text", "finish_reason"});
///     EXPECT_EQ(got["finish_reason"], "stop");
///   }
#ifndef WEFT_TESTS_TEXT_TEXT_PIPELINE_H
#define WEFT_TESTS_TEXT_TEXT_PIPELINE_H

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/pipeline/plugin_pipeline.h"

namespace weft::testing {

class TextPipelineTest : public PluginPipelineTest {
 protected:
  static constexpr const char* kSmolLm2 = "SmolLM2-135M-Instruct.Q4_1.gguf";
  static constexpr const char* kGemma3 = "gemma-3-270m-Q4_K_M.gguf";

  TextPipelineTest();
  void SetUp() override;

  /// Token ids of a text, as text.tokenize gives them.
  std::vector<int32_t> tokens_of(const std::string& text, bool parse_special = false);
  /// The path of a model, or empty.
  static std::filesystem::path find_model(const std::string& name);
};

}  // namespace weft::testing
#endif
