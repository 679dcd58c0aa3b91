/// text.rank: orders texts by how near their vectors lie to another one; any embeddings will do. Needs no model.
#ifndef WEFT_PLUGINS_TEXT_RANK_NODE_H
#define WEFT_PLUGINS_TEXT_RANK_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>

namespace weft::text {

class RankNode {
 public:
  explicit RankNode(const sdk::NodeConfig& config) : most_(config.parameters().get_int("top")) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  int64_t most_;
};

extern const weft_node_type kRankNode;

}  // namespace weft::text
#endif
