// Reading C descriptors, and their JSON form.
#include <gmock/gmock.h>

#include <weft/sdk/plugin.h>

#include "pipeline/loader/descriptor_json.h"
#include "pipeline/loader/descriptor_reader.h"

namespace weft {
namespace {

struct Echo {
  explicit Echo(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan) {
    plan.set_output(0, inputs[0]);
    return {};
  }
  Status run(sdk::Request& request, const sdk::Execution&) { return request.set_output(0, request.input(0)); }
};

constexpr weft_port kPorts[] = {sdk::port("text", "text", "A text."),
                                sdk::optional_port("more", "list<text>", "Texts.")};
constexpr const char* kChoices[] = {"left", "middle", nullptr};
constexpr weft_parameter kParameters[] = {sdk::parameter({.name = "count",
                                                          .type = "int",
                                                          .default_json = "3",
                                                          .minimum = 1,
                                                          .maximum = 9,
                                                          .unit = "tokens",
                                                          .help = "How many.",
                                                          .flags = WEFT_PARAMETER_PER_REQUEST}),
                                          sdk::parameter({.name = "side",
                                                          .type = "choice",
                                                          .choices = kChoices,
                                                          .help = "Which.",
                                                          .flags = WEFT_PARAMETER_OPTIONAL})};
constexpr weft_node_type kNodes[] = {sdk::node<Echo>({.name = "demo.echo",
                                                      .help = "Echoes.",
                                                      .version = 7,
                                                      .flags = WEFT_NODE_PURE,
                                                      .inputs = kPorts,
                                                      .outputs = kPorts,
                                                      .parameters = kParameters})};
constexpr const char* kExtensions[] = {"weft.packed_weights/1", nullptr};
constexpr weft_plugin kPlugin = sdk::plugin({.name = "demo",
                                             .version = "0.1.0",
                                             .license = "MIT",
                                             .help = "For tests.",
                                             .nodes = kNodes,
                                             .extensions = kExtensions});

TEST(DescriptorReader, ReadsWhatTheSdkWrote) {
  const DescriptorReading reading = read_descriptor(&kPlugin);
  EXPECT_TRUE(reading.problems.empty());
  const PluginDescriptor& plugin = reading.descriptor;
  EXPECT_EQ(plugin.name, "demo");
  EXPECT_THAT(plugin.extensions, testing::ElementsAre("weft.packed_weights/1"));
  ASSERT_EQ(plugin.nodes.size(), 1u);
  const NodeTypeDescriptor& node = plugin.nodes[0];
  EXPECT_EQ(node.version, 7u);
  EXPECT_TRUE(node.has(WEFT_NODE_PURE));
  EXPECT_EQ(node.inputs[1], (PortDescriptor{"more", "list<text>", "Texts.", true}));
  ASSERT_EQ(node.parameters.size(), 2u);
  EXPECT_EQ(node.parameters[0].default_json, "3");
  EXPECT_EQ(node.parameters[0].maximum, 9);
  EXPECT_TRUE(node.parameters[0].per_request);
  EXPECT_THAT(node.parameters[1].choices, testing::ElementsAre("left", "middle"));
  EXPECT_TRUE(node.parameters[1].optional);
  EXPECT_FALSE(node.parameters[1].default_json.has_value());
  EXPECT_TRUE(validate_descriptor(plugin).empty());
}

TEST(DescriptorReader, RefusesAnotherAbiWithoutReadingOn) {
  weft_plugin plugin = kPlugin;
  plugin.abi_version = WEFT_ABI_VERSION + 1;
  plugin.nodes = reinterpret_cast<const weft_node_type*>(64);
  const DescriptorReading reading = read_descriptor(&plugin);
  ASSERT_EQ(reading.problems.size(), 1u);
  EXPECT_EQ(reading.problems[0].code, StatusCode::kVersionMismatch);
  EXPECT_EQ(reading.problems[0].expected, "ABI version 0.6");
  EXPECT_EQ(reading.problems[0].got, "0.7");
}

TEST(DescriptorReader, ReportsNullsSizesAndCounts) {
  weft_node_type node = kNodes[0];
  node.help = nullptr;
  node.api = nullptr;
  weft_plugin plugin = kPlugin;
  plugin.license = "\xff";
  plugin.nodes = &node;
  plugin.models = nullptr;
  plugin.n_models = 3;
  std::string all;
  for (const Error& error : read_descriptor(&plugin).problems) all += to_string(error) + "\n";
  EXPECT_THAT(all, testing::HasSubstr("plugin: license is not valid UTF-8"));
  EXPECT_THAT(all, testing::HasSubstr("node 'demo.echo': has no help"));
  EXPECT_THAT(all, testing::HasSubstr("node 'demo.echo': has no functions"));
  EXPECT_THAT(all, testing::HasSubstr("plugin: models is NULL"));

  node = kNodes[0];
  node.struct_size = 8;
  EXPECT_THAT(to_string(read_descriptor(&plugin).problems.at(1)), testing::HasSubstr("wrong struct_size"));
  node = kNodes[0];
  node.n_inputs = ~size_t{0};
  EXPECT_THAT(to_string(read_descriptor(&plugin).problems.at(1)),
              testing::HasSubstr("absurd number of inputs"));
}

TEST(DescriptorJson, ReadsBackWhatItWrote) {
  Description description;
  description.descriptor = read_descriptor(&kPlugin).descriptor;
  description.descriptor.path = "/a/b.so";
  description.descriptor.file = {1, ~uint64_t{0}, 3, -4, 5};
  description.problems = {{StatusCode::kCorruptData, "message", "where", "expected", "got", "hint"}};
  const Result<Description> read = description_from_json(description_to_json(description));
  ASSERT_TRUE(read.ok()) << to_string(read.error());
  EXPECT_EQ(read->descriptor, description.descriptor);
  ASSERT_EQ(read->problems.size(), 1u);
  EXPECT_EQ(to_string(read->problems[0]), to_string(description.problems[0]));
}

TEST(DescriptorJson, RefusesWhatItDidNotWrite) {
  EXPECT_EQ(description_from_json("").code(), StatusCode::kCorruptData);
  EXPECT_EQ(description_from_json("[1, 2]").code(), StatusCode::kCorruptData);
  EXPECT_EQ(description_from_json("{\"weft_description\": 0, \"abi_version\": 1}").code(),
            StatusCode::kVersionMismatch);
  std::string json = description_to_json({});
  json.resize(json.size() / 2);
  EXPECT_EQ(description_from_json(json).code(), StatusCode::kCorruptData);
}

}  // namespace
}  // namespace weft
