// The ONNX plugin's descriptor and its one exported symbol. A plugin of its own: OpenVINO's libraries are large.
#include <weft/sdk/plugin.h>

#include "plugins/onnx/network.h"
#include "plugins/onnx/run_node.h"
#include "plugins/onnx/safety_node.h"

namespace weft::onnx {
namespace {

const weft_model_type kModels[] = {
    sdk::model<Network>({.name = "onnx.model",
                         .help = "An ONNX file. Data outside of it is read from beside it only.",
                         .parameters = Network::parameters()})};

const weft_node_type kNodes[] = {kRunNode, kSafetyNode};

const weft_plugin kPlugin = sdk::plugin({.name = "onnx",
                                         .version = "0.1.0",
                                         .license = "Apache-2.0",
                                         .help = "ONNX models on the CPU, by OpenVINO.",
                                         .nodes = kNodes,
                                         .models = kModels});

}  // namespace
}  // namespace weft::onnx

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::onnx::kPlugin;
}
