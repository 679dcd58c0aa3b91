/// A test of nodes without a pipeline around them: a host with guards around every buffer, what nodes run on it, and models.
///
///   class MyNodes : public weft::testing::NodeTest {};
///   TEST_F(MyNodes, ...) { model_ = load_model<MyModel>(path, {{"precision", "f32"}}); run(kMyNode, {input}); }
///
/// Ownership: models belong to the test; what they were opened from lives as long as this object. Threads: one at a time.
#ifndef WEFT_PLUGINS_TESTING_NODE_TEST_H
#define WEFT_PLUGINS_TESTING_NODE_TEST_H

#include <gtest/gtest.h>
#include <weft/sdk/model.h>

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/testing/demand.h"
#include "pipeline/plan/parameters.h"
#include "pipeline/run/host.h"
#include "pipeline/run/node_runner.h"

namespace weft::testing {

class NodeTest : public ::testing::Test {
 protected:
  NodeTest() : host_(options()) {}

  static HostOptions options() {
    HostOptions options;
    options.threads = 2;
    options.guards = HostOptions::Guards::kOn;
    return options;
  }

  /// One request; the node must not breach the contract.
  NodeResult run(const weft_node_type& type, std::vector<Value> inputs,
                 std::map<std::string, std::string> parameters_json = {}) {
    NodeRunnerOptions options;
    options.parameters_json = std::move(parameters_json);
    options.models = models_;
    for (const auto& [parameter, model] : models_) options.parameters_json[parameter] = "\"m\"";
    options.in_folder = in_folder_;
    options.out_folder = out_folder_;
    return run_with(type, std::move(inputs), std::move(options));
  }
  /// The same with further inputs, say.
  NodeResult run_with(const weft_node_type& type, std::vector<Value> inputs, NodeRunnerOptions options) {
    Result<NodeRunner> runner = NodeRunner::create(host_, type, std::move(options));
    if (!runner.ok()) return {runner.status(), {}, {}, {}, 0, 0};
    Result<std::vector<NodeResult>> results = runner->run({{std::move(inputs)}});
    if (!results.ok()) return {results.status(), {}, {}, {}, 0, 0};
    for (const std::string& violation : runner->violations()) ADD_FAILURE() << violation;
    return std::move((*results)[0]);
  }

  /// As the host opens one: headers only.
  template <typename Model>
  Result<std::unique_ptr<Model>> open_model(const std::string& path,
                                            const std::map<std::string, ParameterValue>& parameters = {}) {
    ModelOrigin& origin = origins_.emplace_back();
    origin.path = path;
    for (const auto& [name, value] : parameters) set_parameter(origin.parameters, name, value);
    origin.source.struct_size = sizeof origin.source;
    origin.source.path = origin.path.c_str();
    origin.source.sha256 = "";
    origin.source.parameters = &origin.parameters;
    return Model::open(sdk::ModelSource(host_.table(), &origin.source));
  }
  /// One that is loaded, as parameter "model" of the nodes that run from here on. Throws where that fails.
  template <typename Model>
  std::unique_ptr<Model> load_model(const std::string& path,
                                    const std::map<std::string, ParameterValue>& parameters = {}) {
    std::unique_ptr<Model> model = take(open_model<Model>(path, parameters));
    demand(model->load(nullptr));
    models_["model"] = model.get();
    return model;
  }

  static double number(const Value& value) { return value_api()->get_float(value.get()); }

  Host host_;
  std::map<std::string, void*> models_;  // by parameter name
  std::filesystem::path in_folder_ = ".", out_folder_ = "out";

 private:
  struct ModelOrigin {
    std::string path;
    weft_parameters parameters;
    weft_model_source source{};
  };
  std::deque<ModelOrigin> origins_;  // models refer to them
};

}  // namespace weft::testing
#endif
