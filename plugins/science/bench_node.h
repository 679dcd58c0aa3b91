/// science.bench: how fast ProteinMPNN scores and designs on this machine; what scripts/compare/protein_mpnn runs.
///
/// Encoding with scoring (a forward pass), sampling one sequence with its encoding, and a batch of sequences with theirs. Repeated;
/// the median of each is reported.
#ifndef WEFT_PLUGINS_SCIENCE_BENCH_NODE_H
#define WEFT_PLUGINS_SCIENCE_BENCH_NODE_H

#include <weft/sdk/plugin.h>

#include "plugins/science/protein_mpnn_model.h"

namespace weft::science {

class BenchNode {
 public:
  explicit BenchNode(const sdk::NodeConfig& config) : model_(*config.model<ProteinMpnnModel>("model")) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  const ProteinMpnnModel& model_;
};

extern const weft_node_type kBenchNode;

}  // namespace weft::science
#endif
