// The vision plugin's descriptor and its one exported symbol. Each node's own file holds its ports and parameters.
#include <weft/sdk/plugin.h>

#include "plugins/vision/bench_node.h"
#include "plugins/vision/encode_nodes.h"
#include "plugins/vision/index_nodes.h"
#include "plugins/vision/match_nodes.h"
#include "plugins/vision/vision_model.h"

namespace weft::vision {
namespace {

const weft_model_type kModels[] = {
    sdk::model<VisionModel>({.name = "vision.encoder",
                             .help = "An encoder of pictures, and of texts where it has one: a Hugging Face "
                                     "folder of CLIP, SigLIP, ViT or DINOv2.",
                             .parameters = VisionModel::parameters()})};

const weft_node_type kNodes[] = {kEncodeNode, kEncodeTextNode, kSimilarityNode, kClassifyNode,
                                 kRankNode,   kIndexNode,      kSearchNode,     kBenchNode};

const weft_plugin kPlugin =
    sdk::plugin({.name = "vision",
                 .version = "0.1.0",
                 .license = "Apache-2.0",
                 .help = "Pictures as vectors: encode, compare with texts, classify, rank, search.",
                 .nodes = kNodes,
                 .models = kModels});

}  // namespace
}  // namespace weft::vision

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::vision::kPlugin;
}
