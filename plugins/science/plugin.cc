// The science plugin's descriptor and its one exported symbol. Each node's own file holds its ports and parameters.
#include <weft/sdk/plugin.h>

#include "plugins/science/bench_node.h"
#include "plugins/science/design_node.h"
#include "plugins/science/embed_protein_node.h"
#include "plugins/science/protein_bert_model.h"
#include "plugins/science/protein_mpnn_model.h"
#include "plugins/science/score_node.h"
#include "plugins/science/structure_nodes.h"

namespace weft::science {
namespace {

const weft_model_type kModels[] = {
    sdk::model<ProteinMpnnModel>(
        {.name = "science.protein_mpnn", .help = "ProteinMPNN: a .pt file of any of its families."}),
    sdk::model<ProteinBertModel>({.name = "science.protein_bert",
                                  .help = "A BERT of proteins with its vocab.txt: AntiBERTy's folder."})};

const weft_node_type kNodes[] = {kLoadStructureNode, kSaveStructureNode, kDesignSequenceNode,
                                 kScoreSequenceNode, kEmbedProteinNode,  kBenchNode};

const weft_plugin kPlugin = sdk::plugin({.name = "science",
                                         .version = "0.1.0",
                                         .license = "Apache-2.0",
                                         .help = "Proteins: structures, sequences designed for them, scores.",
                                         .nodes = kNodes,
                                         .models = kModels});

}  // namespace
}  // namespace weft::science

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::science::kPlugin;
}
