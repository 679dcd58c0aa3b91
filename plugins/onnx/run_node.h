/// onnx.run: an ONNX model as a node. Its inputs are links named as the model's inputs are. Its outputs are the ports "output",
/// "output_2" ... "output_8": a node's outputs are declared before a model is known, so that parameter "outputs" says which of the
/// model's they are, its first eight unless it is given.
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
  /// Errors: kInvalidArgument for an input or output that the model does not have, more outputs than ports, or an input without a
  /// link, with what the model has.
  static Result<std::unique_ptr<RunNode>> create(const sdk::NodeConfig& config);
  explicit RunNode(const sdk::NodeConfig& config);

  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Status connect(const sdk::NodeConfig& config);
  Status choose_outputs(const sdk::Parameters& parameters);
  Status take_output(sdk::Request& request, const sdk::Execution& execution, size_t port,
                     const weft_tensor& made) const;

  sdk::Host host_;
  const Network& network_;
  PictureValues picture_values_;
  std::vector<size_t> port_of_input_;   // by the model's input: the node's port
  std::vector<size_t> output_of_port_;  // by the node's port: the model's output
};

extern const weft_node_type kRunNode;

}  // namespace weft::onnx
#endif
