/// science.design_sequence: sequences that fold into a structure, by ProteinMPNN.
///
/// The structure is encoded once; sequences are sampled side by side and then scored each in its own order of decoding.
#ifndef WEFT_PLUGINS_SCIENCE_DESIGN_NODE_H
#define WEFT_PLUGINS_SCIENCE_DESIGN_NODE_H

#include <weft/sdk/plugin.h>

#include "plugins/science/protein_mpnn_model.h"

namespace weft::science {

class DesignSequenceNode {
 public:
  explicit DesignSequenceNode(const sdk::NodeConfig& config)
      : model_(*config.model<ProteinMpnnModel>("model")), n_(config.parameters().get_int("n")) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  const ProteinMpnnModel& model_;
  int64_t n_;
};

extern const weft_node_type kDesignSequenceNode;

}  // namespace weft::science
#endif
