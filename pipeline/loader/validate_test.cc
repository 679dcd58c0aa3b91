#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>

#include "pipeline/loader/describe.h"

namespace weft {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ParameterDescriptor parameter(const std::string& name, const std::string& type,
                              std::optional<std::string> value = {}) {
  ParameterDescriptor parameter;
  parameter.name = name;
  parameter.type = type;
  parameter.default_json = std::move(value);
  parameter.minimum = -kInfinity;
  parameter.maximum = kInfinity;
  parameter.help = "For tests.";
  return parameter;
}

PluginDescriptor valid_plugin() {
  PluginDescriptor plugin;
  plugin.name = "demo";
  plugin.version = "1.2.3";
  plugin.license = "Apache-2.0";
  plugin.help = "For tests.";
  plugin.abi_version = WEFT_ABI_VERSION;
  NodeTypeDescriptor node;
  node.name = "demo.node";
  node.version = 1;
  node.flags = WEFT_NODE_PURE;
  node.help = "For tests.";
  node.inputs = {{"text", "text", "In.", false}, {"hint", "list<demo.latent>", "In.", true}};
  node.outputs = {{"text", "text", "Out.", false}, {"latent", "demo.latent", "Out.", false}};
  node.parameters = {parameter("count", "int", "3"), parameter("seed", "seed")};
  ParameterDescriptor mode = parameter("mode", "choice", "\"left\"");
  mode.choices = {"left", "middle"};
  node.parameters.push_back(mode);
  plugin.nodes = {node};
  ModelTypeDescriptor model;
  model.name = "demo.model";
  model.version = 1;
  model.help = "For tests.";
  model.parameters = {parameter("window", "int", "8")};
  plugin.models = {model};
  return plugin;
}

TEST(ValidateDescriptor, AcceptsAValidPlugin) {
  for (const Error& error : validate_descriptor(valid_plugin())) ADD_FAILURE() << to_string(error);
}

struct Case {
  const char* name;
  std::function<void(PluginDescriptor&)> spoil;
  const char* message;  // a part of what is said
};

class ValidateDescriptorRefuses : public testing::TestWithParam<Case> {};

TEST_P(ValidateDescriptorRefuses, WithTheReason) {
  PluginDescriptor plugin = valid_plugin();
  GetParam().spoil(plugin);
  const std::vector<Error> problems = validate_descriptor(plugin);
  ASSERT_EQ(problems.size(), 1u) << (problems.empty() ? "" : to_string(problems.back()));
  EXPECT_THAT(to_string(problems[0]), testing::HasSubstr(GetParam().message));
}

void spoil_default(PluginDescriptor& plugin, const char* type, std::optional<std::string> value,
                   double minimum, double maximum) {
  ParameterDescriptor& count = plugin.nodes[0].parameters[0];
  count.type = type;
  count.default_json = std::move(value);
  count.minimum = minimum;
  count.maximum = maximum;
}

const Case kCases[] = {
    {"PluginName",
     [](auto& p) {
       p.name = "De mo";
       p.nodes[0].inputs.pop_back();
     },
     "the name is malformed"},
    {"Version", [](auto& p) { p.version = "1.2"; }, "the version is malformed"},
    {"VersionText", [](auto& p) { p.version = "one"; }, "the version is malformed"},
    {"License", [](auto& p) { p.license = ""; }, "license is missing"},
    {"Help", [](auto& p) { p.help = ""; }, "help is missing"},
    {"Nothing",
     [](auto& p) {
       p.nodes.clear();
       p.models.clear();
     },
     "offers no node and no model"},
    {"NodeTwice", [](auto& p) { p.nodes.push_back(p.nodes[0]); }, "node 'demo.node': is there twice"},
    {"ModelTwice", [](auto& p) { p.models.push_back(p.models[0]); }, "model 'demo.model': is there twice"},
    {"NodeWithoutGroup", [](auto& p) { p.nodes[0].name = "node"; }, "the name is malformed"},
    {"NodeVersion", [](auto& p) { p.nodes[0].version = 0; }, "version is missing"},
    {"NodeHelp", [](auto& p) { p.nodes[0].help = ""; }, "node 'demo.node': help is missing"},
    {"UnknownFlags", [](auto& p) { p.nodes[0].flags |= 1u << 20; }, "unknown flags"},
    {"PureButWrites", [](auto& p) { p.nodes[0].flags |= WEFT_NODE_WRITES_FILES; },
     "declared pure, but it writes files"},
    {"PureButRandom", [](auto& p) { p.nodes[0].flags |= WEFT_NODE_NONDETERMINISTIC; }, "non-deterministic"},
    {"PortTwice", [](auto& p) { p.nodes[0].inputs[1].name = "text"; }, "input 'text': is there twice"},
    {"PortName", [](auto& p) { p.nodes[0].outputs[0].name = "Text"; },
     "output 'Text': the name is malformed"},
    {"PortType", [](auto& p) { p.nodes[0].inputs[0].type = "txet"; }, "there is no such port type"},
    {"OwnPortType", [](auto& p) { p.nodes[0].inputs[1].type = "demo.latnet"; },
     "a type that a node of this plugin makes"},
    {"PortHelp", [](auto& p) { p.nodes[0].inputs[0].help = ""; }, "input 'text': help is missing"},
    {"ParameterLikeInput", [](auto& p) { p.nodes[0].parameters[0].name = "text"; },
     "has the name of an input port"},
    {"ParameterTwice", [](auto& p) { p.nodes[0].parameters[1].name = "count"; },
     "parameter 'count': is there twice"},
    {"ParameterType", [](auto& p) { p.nodes[0].parameters[0].type = "integer"; },
     "there is no such parameter type"},
    {"ParameterHelp", [](auto& p) { p.nodes[0].parameters[0].help = ""; },
     "parameter 'count': help is missing"},
    {"DefaultNotJson", [](auto& p) { spoil_default(p, "text", "left", -kInfinity, kInfinity); },
     "the default is not JSON"},
    {"DefaultType", [](auto& p) { spoil_default(p, "int", "1.5", -kInfinity, kInfinity); },
     "the default has the wrong type"},
    {"DefaultBool", [](auto& p) { spoil_default(p, "bool", "1", -kInfinity, kInfinity); },
     "the default has the wrong type"},
    {"DefaultRange", [](auto& p) { spoil_default(p, "int", "9", 0, 8); }, "the default is out of range"},
    {"DefaultList", [](auto& p) { spoil_default(p, "list<int>", "[1, \"2\"]", 0, 8); },
     "the default has the wrong type"},
    {"DefaultNoList", [](auto& p) { spoil_default(p, "list<int>", "1", 0, 8); },
     "the default has the wrong type"},
    {"EmptyRange", [](auto& p) { spoil_default(p, "int", {}, 2, 1); }, "the range is empty"},
    {"NanRange", [](auto& p) { spoil_default(p, "int", {}, NAN, 1); }, "the range is empty"},
    {"NoChoices",
     [](auto& p) {
       p.nodes[0].parameters[2].choices.clear();
       p.nodes[0].parameters[2].default_json.reset();
     },
     "has no choices"},
    {"NotAChoice", [](auto& p) { p.nodes[0].parameters[2].default_json = "\"right\""; },
     "none of the choices"},
    {"ChoicesOfAnInt", [](auto& p) { p.nodes[0].parameters[0].choices = {"1"}; },
     "has choices, but is no choice"},
    {"ModelWithoutTypes", [](auto& p) { p.nodes[0].parameters[1].type = "model"; }, "names no model type"},
    {"ModelParameter", [](auto& p) { p.models[0].parameters[0].default_json = "[]"; },
     "model 'demo.model', parameter 'window'"},
};

INSTANTIATE_TEST_SUITE_P(Rules, ValidateDescriptorRefuses, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case>& tested) {
                           return std::string(tested.param.name);
                         });

TEST(ValidateDescriptor, ReportsEveryBrokenRuleAtOnce) {
  PluginDescriptor plugin = valid_plugin();
  plugin.license.clear();
  plugin.nodes[0].help.clear();
  plugin.nodes[0].inputs[0].type = "txet";
  EXPECT_EQ(validate_descriptor(plugin).size(), 3u);
}

}  // namespace
}  // namespace weft
