/// Nodes that put two pictures together: image.composite, image.blend.
#ifndef WEFT_PLUGINS_IMAGE_MIX_NODES_H
#define WEFT_PLUGINS_IMAGE_MIX_NODES_H

#include <weft/sdk/plugin.h>

#include "plugins/image/frame_nodes.h"

namespace weft::image {

/// Lays a picture over another one, through its alpha and a mask.
class CompositeNode {
 public:
  explicit CompositeNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// Mixes two pictures of one size, pixel by pixel.
class BlendNode {
 public:
  explicit BlendNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kCompositeNode, kBlendNode;

}  // namespace weft::image
#endif
