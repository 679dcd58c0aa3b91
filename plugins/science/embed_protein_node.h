/// science.embed_protein: what a language model of proteins makes of sequences: a vector for each residue, and how likely each
/// residue is where it stands.
#ifndef WEFT_PLUGINS_SCIENCE_EMBED_PROTEIN_NODE_H
#define WEFT_PLUGINS_SCIENCE_EMBED_PROTEIN_NODE_H

#include <weft/sdk/plugin.h>

#include "plugins/science/protein_bert_model.h"

namespace weft::science {

class EmbedProteinNode {
 public:
  explicit EmbedProteinNode(const sdk::NodeConfig& config)
      : host_(config.host()), model_(*config.model<ProteinBertModel>("model")) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const ProteinBertModel& model_;
};

extern const weft_node_type kEmbedProteinNode;

}  // namespace weft::science
#endif
