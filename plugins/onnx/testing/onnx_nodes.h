/// Nodes of this plugin on a model file, without a pipeline around them.
#ifndef WEFT_PLUGINS_ONNX_TESTING_ONNX_NODES_H
#define WEFT_PLUGINS_ONNX_TESTING_ONNX_NODES_H

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugins/image/testing/picture_values.h"
#include "plugins/onnx/network.h"
#include "plugins/onnx/run_node.h"

namespace weft::onnx::testing {

inline const std::string kModels = "assets/golden/onnx/";

class OnnxNodesTest : public image::testing::NodeTest {
 protected:
  Result<std::unique_ptr<Network>> open(const std::string& path, const std::string& precision = "f32") {
    return open_model<Network>(path, {{"precision", precision}});
  }
  /// The model of the nodes that run from here on, of assets/golden/onnx or a path.
  void use_model(const std::string& name, const std::string& precision = "f32") {
    network_ = load_model<Network>(name.front() == '/' ? name : kModels + name + ".onnx",
                                   {{"precision", precision}});
  }

  /// One request of onnx.run, which must not breach the contract. inputs: by port; outputs: names of the model's, which the
  /// result has in this order; none: port "output".
  NodeResult run_model(const std::map<std::string, Value>& inputs, const std::vector<std::string>& outputs,
                       std::map<std::string, std::string> parameters = {}) {
    NodeRunnerOptions options;
    std::vector<Value> values;
    options.parameters_json = std::move(parameters);
    options.parameters_json["model"] = "\"m\"";
    options.models = models_;
    options.extra_outputs = outputs;
    for (const auto& [name, value] : inputs) {
      options.extra_inputs.push_back(name);
      values.push_back(value);
    }
    NodeResult result = run_with(kRunNode, std::move(values), std::move(options));
    if (!outputs.empty() && !result.outputs.empty()) result.outputs.erase(result.outputs.begin());
    return result;
  }

  Value tensor(weft_dtype dtype, const std::vector<int64_t>& shape, const void* data) {
    weft_tensor view = sdk::contiguous_tensor(nullptr, dtype, shape);
    const auto bytes = static_cast<size_t>(sdk::element_count(view) * sdk::element_size_bytes(dtype));
    auto buffer = allocate_buffer(host_.cpu_pool(), std::max<size_t>(bytes, 1), 0, nullptr, "test");
    if (bytes > 0) std::memcpy(buffer->data(), data, bytes);
    view.data = buffer->data();
    weft_value* value = nullptr;
    EXPECT_EQ(value_api()->make_tensor(buffer->get(), &view, "tensor", nullptr, &value), WEFT_OK);
    return Value::adopt(value);
  }
  Value floats(const std::vector<int64_t>& shape, const std::vector<float>& values) {
    return tensor(WEFT_DTYPE_F32, shape, values.data());
  }

  static weft_tensor view_of(const Value& value) {
    weft_tensor view{};
    view.struct_size = sizeof view;
    EXPECT_EQ(value_api()->get_tensor(value.get(), &view, nullptr, nullptr), WEFT_OK);
    return view;
  }
  static std::vector<int64_t> shape_of(const Value& value) {
    const weft_tensor view = view_of(value);
    return {view.shape, view.shape + view.rank};
  }
  template <typename T>
  static std::vector<T> elements(const Value& value) {
    const weft_tensor view = view_of(value);
    EXPECT_EQ(sizeof(T), static_cast<size_t>(sdk::element_size_bytes(view.dtype)));
    const T* data = static_cast<const T*>(view.data);
    return {data, data + sdk::element_count(view)};
  }

  std::unique_ptr<Network> network_;
};

}  // namespace weft::onnx::testing
#endif
