// The image plugin's descriptor and its one exported symbol. Each node's own file holds its ports and parameters.
#include <weft/sdk/plugin.h>

#include "plugins/image/adjust_node.h"
#include "plugins/image/compare_node.h"
#include "plugins/image/file_nodes.h"
#include "plugins/image/frame_nodes.h"
#include "plugins/image/mix_nodes.h"
#include "plugins/image/resize_node.h"
#include "plugins/image/sheet_nodes.h"

namespace weft::image {
namespace {

const weft_node_type kNodes[] = {
    kLoadNode,  kSaveNode,   kResizeNode, kCropNode,     kPadNode,     kCompositeNode,
    kBlendNode, kAdjustNode, kGridNode,   kAnnotateNode, kCompareNode,
};

const weft_plugin kPlugin = sdk::plugin({.name = "image",
                                         .version = "0.1.0",
                                         .license = "Apache-2.0",
                                         .help = "Pictures: load, save, change, compare.",
                                         .nodes = kNodes});

}  // namespace
}  // namespace weft::image

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::image::kPlugin;
}
