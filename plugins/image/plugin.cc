// The image plugin's descriptor and its one exported symbol. Each node's own file holds its ports and parameters.
#include <weft/sdk/plugin.h>

#include "plugins/image/adjust_node.h"
#include "plugins/image/bench_node.h"
#include "plugins/image/compare_node.h"
#include "plugins/image/control_node.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/file_nodes.h"
#include "plugins/image/frame_nodes.h"
#include "plugins/image/generate_node.h"
#include "plugins/image/latent_edit_nodes.h"
#include "plugins/image/latent_nodes.h"
#include "plugins/image/mix_nodes.h"
#include "plugins/image/resize_node.h"
#include "plugins/image/sample_node.h"
#include "plugins/image/sheet_nodes.h"

namespace weft::image {
namespace {

const weft_model_type kModels[] = {sdk::model<DiffusionModel>(
    {.name = "image.diffusion",
     .help = "A Stable Diffusion model: a diffusers folder, or a single safetensors file.",
     .parameters = DiffusionModel::parameters()})};

const weft_node_type kNodes[] = {
    kGenerateNode,        kTextEncodeNode,  kEmptyLatentNode, kSampleNode,
    kVaeEncodeNode,       kVaeDecodeNode,   kControlNode,     kLatentUpscaleNode,
    kLatentCompositeNode, kLatentBatchNode, kLoadNode,        kSaveNode,
    kResizeNode,          kCropNode,        kPadNode,         kCompositeNode,
    kBlendNode,           kAdjustNode,      kGridNode,        kAnnotateNode,
    kCompareNode,         kBenchNode,
};

const weft_plugin kPlugin = sdk::plugin({.name = "image",
                                         .version = "0.1.0",
                                         .license = "Apache-2.0",
                                         .help = "Pictures: paint, load, save, change, compare.",
                                         .nodes = kNodes,
                                         .models = kModels});

}  // namespace
}  // namespace weft::image

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::image::kPlugin;
}
