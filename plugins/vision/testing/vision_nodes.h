/// Nodes of this plugin on a model folder, without a pipeline around them.
#ifndef WEFT_PLUGINS_VISION_TESTING_VISION_NODES_H
#define WEFT_PLUGINS_VISION_TESTING_VISION_NODES_H

#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "plugins/image/testing/picture_values.h"
#include "plugins/vision/vision_model.h"

namespace weft::vision::testing {

class VisionNodesTest : public image::testing::NodeTest {
 protected:
  /// The model of the nodes that run from here on. precision: "f32" or "bf16".
  void use_model(const std::string& folder, const std::string& precision = "f32") {
    model_ = load_model<VisionModel>(folder, {{"precision", precision}});
  }

  Value text(const std::string& utf8) { return *Value::text(utf8); }
  Value texts(const std::vector<std::string>& all) {
    std::vector<Value> values;
    for (const std::string& one : all) values.push_back(text(one));
    return *Value::list(values, "text");
  }
  Value list_of(const std::vector<Value>& pictures) { return *Value::list(pictures, "image"); }

  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
    bool operator==(const Tensor&) const = default;
  };
  static Tensor tensor(const Value& value) {
    weft_tensor view{};
    view.struct_size = sizeof view;
    EXPECT_EQ(value_api()->get_tensor(value.get(), &view, nullptr, nullptr), WEFT_OK);
    const auto* data = static_cast<const float*>(view.data);
    return {{view.shape, view.shape + view.rank}, {data, data + sdk::element_count(view)}};
  }
  static std::vector<double> numbers(const Value& list) {
    std::vector<double> values;
    for (size_t i = 0; i < list.size(); ++i) values.push_back(value_api()->get_float(list.item(i).get()));
    return values;
  }
  /// One that has to succeed.
  std::vector<Value> outputs(const weft_node_type& type, std::vector<Value> inputs,
                             std::map<std::string, std::string> parameters = {}) {
    NodeResult result = run(type, std::move(inputs), std::move(parameters));
    if (!result.status.ok()) throw std::runtime_error(to_string(result.status.error()));
    return std::move(result.outputs);
  }

  std::unique_ptr<VisionModel> model_;
};

}  // namespace weft::vision::testing
#endif
