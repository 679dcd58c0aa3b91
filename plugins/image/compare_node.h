/// image.compare: how far two pictures are apart.
#ifndef WEFT_PLUGINS_IMAGE_COMPARE_NODE_H
#define WEFT_PLUGINS_IMAGE_COMPARE_NODE_H

#include <weft/sdk/plugin.h>

namespace weft::image {

/// What equal pictures get, since their true ratio is infinite.
inline constexpr double kLargestPsnr = 100;  // dB

class CompareNode {
 public:
  explicit CompareNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kCompareNode;

}  // namespace weft::image
#endif
