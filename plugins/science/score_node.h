/// science.score_sequence: how well sequences fit a structure, by ProteinMPNN.
///
/// A score depends on the order in which residues are seen; it is the mean over several drawn orders.
#ifndef WEFT_PLUGINS_SCIENCE_SCORE_NODE_H
#define WEFT_PLUGINS_SCIENCE_SCORE_NODE_H

#include <weft/sdk/plugin.h>

#include "plugins/science/protein_mpnn_model.h"

namespace weft::science {

class ScoreSequenceNode {
 public:
  explicit ScoreSequenceNode(const sdk::NodeConfig& config)
      : model_(*config.model<ProteinMpnnModel>("model")) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  const ProteinMpnnModel& model_;
};

extern const weft_node_type kScoreSequenceNode;

}  // namespace weft::science
#endif
