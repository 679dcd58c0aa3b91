/// Items of a batch through the text nodes: they decode together, and each gets what it gets alone.
#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

class TextItems : public TextPipelineTest {
 protected:
  /// With inputs "p" and "s"; max_tokens is the same for all, so items end by their own stop text.
  static Json pipeline(const char* node) {
    return {{"inputs", {{"p", {{"type", "text"}}}, {"s", {{"type", "int"}}}}},
            {"nodes",
             {{"n",
               {{"uses", node},
                {"with",
                 {{"model", "m"},
                  {"prompt", "Say something about ${inputs.p}."},
                  {"seed", "${inputs.s}"},
                  {"max_tokens", 16},
                  {"n_ctx", 256},
                  {"stop", {"e", "."}},
                  {"max_batch", 3}}}}}}},
            {"outputs", {{"text", "n.text"}, {"tokens", "n.tokens"}, {"why", "n.finish_reason"}}}};
  }
};

TEST_F(TextItems, DecodeTogetherAndGetTheTextsThatTheyGetAlone) {
  std::vector<Json> items;
  for (const char* topic : {"the sea", "an old bicycle", "rain", "twelve", "C++", "a red apple", "Tuesday"})
    items.push_back({{"p", topic}, {"s", items.size()}});
  for (const char* node : {"text.generate", "text.chat"}) {
    const std::vector<Json> together = outputs_of_items(pipeline(node), items);
    for (size_t i = 0; i < items.size(); ++i) {
      Json alone = pipeline(node);
      for (const auto& [name, value] : items[i].items()) alone["inputs"][name]["default"] = value;
      EXPECT_EQ(together[i], outputs(alone)) << node << " of " << items[i];
    }
  }
}

}  // namespace
}  // namespace weft::testing
