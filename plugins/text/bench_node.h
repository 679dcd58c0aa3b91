/// text.bench: how fast a model reads and writes on this machine; what `weft bench text` runs.
///
/// Reading: `batch` sequences of `prompt_tokens` different tokens, from empty contexts, logits of the last token only.
/// Writing: `batch` sequences, one token each a step, from a context of `depth` tokens, greedy, sampling included.
/// Each is repeated and the median taken.
#ifndef WEFT_PLUGINS_TEXT_BENCH_NODE_H
#define WEFT_PLUGINS_TEXT_BENCH_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "plugins/text/engine.h"
#include "plugins/text/language_model.h"

namespace weft::text {

/// Any token will do for timing; sequence and position decide which.
TokenId some_token(const Tokenizer& tokenizer, int64_t sequence, int64_t position);

class BenchNode {
 public:
  static Result<std::unique_ptr<BenchNode>> create(const sdk::NodeConfig& config);
  explicit BenchNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  struct Machine;
  PassLimits pass_limits() const;

  LanguageModel* model_;
  KvLayout kv_layout_;
  int64_t prompt_tokens_, gen_tokens_, batch_, depth_, repetitions_;
  EngineLimits limits_;
};

extern const weft_node_type kBenchNode;

}  // namespace weft::text
#endif
