/// Nodes that read text with a language model and write none: text.tokenize, text.score, text.choose, text.embed.
#ifndef WEFT_PLUGINS_TEXT_READING_NODES_H
#define WEFT_PLUGINS_TEXT_READING_NODES_H

#include <weft/sdk/plugin.h>

#include <cstdint>

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
  explicit ScoreNode(const sdk::NodeConfig& config) : ReadingNode(config) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// Scores each option as the answer to the prompt and takes the likeliest. The prompt is read once.
class ChooseNode : public ReadingNode {
 public:
  explicit ChooseNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  PromptFormat format_;
  bool mean_;
  int64_t today_seconds_;
};

class EmbedNode : public ReadingNode {
 public:
  explicit EmbedNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  enum class Pooling : uint8_t { kMean, kLast, kFirst };
  Pooling pooling_;
  bool normalize_;
};

extern const weft_node_type kTokenizeNode, kScoreNode, kChooseNode, kEmbedNode;

}  // namespace weft::text
#endif
