/// text.embed_bench: how many texts an encoder turns into vectors on this machine; what `weft bench embed` runs.
///
/// `batch` texts of `tokens` different tokens each, in the passes that text.embed makes. Repeated; the median is reported.
#ifndef WEFT_PLUGINS_TEXT_EMBED_BENCH_NODE_H
#define WEFT_PLUGINS_TEXT_EMBED_BENCH_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>

#include "plugins/text/language_model.h"
#include "plugins/text/text_embedder.h"

namespace weft::text {

class EmbedBenchNode {
 public:
  static Result<std::unique_ptr<EmbedBenchNode>> create(const sdk::NodeConfig& config);
  explicit EmbedBenchNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const LanguageModel& model_;
  int64_t batch_, tokens_, repetitions_;
  EmbeddingLimits limits_;
};

extern const weft_node_type kEmbedBenchNode;

}  // namespace weft::text
#endif
