/// image.control: a picture (edges, depth, a pose) for one of the model's control networks; several chain into one value.
#ifndef WEFT_PLUGINS_IMAGE_CONTROL_NODE_H
#define WEFT_PLUGINS_IMAGE_CONTROL_NODE_H

#include <weft/sdk/plugin.h>

#include <memory>
#include <string>

#include "plugins/image/control.h"

namespace weft::image {

class ControlNode {
 public:
  static Result<std::unique_ptr<ControlNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  std::string network_;
};

extern const weft_node_type kControlNode;

}  // namespace weft::image
#endif
