/// image.adjust: brightness, contrast, saturation, gamma.
#ifndef WEFT_PLUGINS_IMAGE_ADJUST_NODE_H
#define WEFT_PLUGINS_IMAGE_ADJUST_NODE_H

#include <weft/sdk/plugin.h>

namespace weft::image {

class AdjustNode {
 public:
  explicit AdjustNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kAdjustNode;

}  // namespace weft::image
#endif
