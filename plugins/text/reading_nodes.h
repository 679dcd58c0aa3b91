/// Nodes that read text with a language model and write none: text.tokenize, text.score, text.choose.
#ifndef WEFT_PLUGINS_TEXT_READING_NODES_H
#define WEFT_PLUGINS_TEXT_READING_NODES_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>

#include "plugins/text/prompt.h"
#include "plugins/text/reading_node.h"

namespace weft::text {

class TokenizeNode {
 public:
  explicit TokenizeNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  LanguageModel* model_;
};

class ScoreNode : public ReadingNode {
 public:
  static Result<std::unique_ptr<ScoreNode>> create(const sdk::NodeConfig& config) {
    return create_on_decoder<ScoreNode>(config);
  }
  explicit ScoreNode(const sdk::NodeConfig& config) : ReadingNode(config) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// Scores each option as the answer to the prompt and takes the likeliest. The prompt is read once.
class ChooseNode : public ReadingNode {
 public:
  static Result<std::unique_ptr<ChooseNode>> create(const sdk::NodeConfig& config) {
    return create_on_decoder<ChooseNode>(config);
  }
  explicit ChooseNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  PromptFormat format_;
  bool mean_;
  int64_t today_seconds_;
};

extern const weft_node_type kTokenizeNode, kScoreNode, kChooseNode;

}  // namespace weft::text
#endif
