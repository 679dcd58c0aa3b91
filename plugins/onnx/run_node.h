/// onnx.run: an ONNX model as a node. Its inputs are links named as the model's inputs are, its outputs those of the model that
/// something refers to, by their names; and "output", which is the model's output of that name if it has one, else its first.
///
/// Ownership: borrows the network. Thread safety: as any node.
#ifndef WEFT_PLUGINS_ONNX_RUN_NODE_H
#define WEFT_PLUGINS_ONNX_RUN_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "plugins/onnx/input_tensor.h"
#include "plugins/onnx/network.h"

namespace weft::onnx {

class RunNode {
 public:
  /// Errors: kInvalidArgument for an input or output that the model does not have, or an input without a link, with what the model
  /// has.
  static Result<std::unique_ptr<RunNode>> create(const sdk::NodeConfig& config);
  explicit RunNode(const sdk::NodeConfig& config);

  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Status connect(const sdk::NodeConfig& config);
  Status connect_outputs(const sdk::NodeConfig& config);
  Status take_output(sdk::Request& request, const sdk::Execution& execution, size_t output,
                     const weft_tensor& made) const;

  sdk::Host host_;
  const Network& network_;
  PictureValues picture_values_;
  std::vector<size_t> port_of_input_;   // by the model's input: the node's port
  std::vector<size_t> output_of_port_;  // by the node's port: the model's output
  std::vector<size_t> wanted_;          // of the model's outputs, each once
};

extern const weft_node_type kRunNode;

}  // namespace weft::onnx
#endif
