#include "tests/text/text_pipeline.h"

#include "pipeline/files/folders.h"

namespace weft::testing {

namespace fs = std::filesystem;

TextPipelineTest::TextPipelineTest()
    : PluginPipelineTest(weft_plugin_entry(WEFT_ABI_VERSION),  // plugins/text/plugin.cc, linked in
                         {{"path", kSmolLm2}}) {}

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

std::vector<int32_t> TextPipelineTest::tokens_of(const std::string& text, bool parse_special) {
  return run_node("text.tokenize", {{"text", text}, {"parse_special", parse_special}}, {"tokens"})["tokens"];
}

}  // namespace weft::testing
