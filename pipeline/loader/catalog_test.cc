#include "pipeline/loader/catalog.h"

#include <gmock/gmock.h>

namespace weft {
namespace {

PluginDescriptor plugin_with(const std::string& name, std::vector<std::string> nodes,
                             std::vector<std::string> models = {}) {
  PluginDescriptor plugin;
  plugin.name = name;
  plugin.path = "/plugins/" + name + ".so";
  for (std::string& node : nodes) {
    plugin.nodes.emplace_back();
    plugin.nodes.back().name = std::move(node);
  }
  for (std::string& model : models) {
    plugin.models.emplace_back();
    plugin.models.back().name = std::move(model);
  }
  return plugin;
}

TEST(Catalog, FindsNodesAndModelsByName) {
  const Catalog catalog({plugin_with("b", {"b.two", "b.one"}, {"b.model"}), plugin_with("a", {"a.one"})}, {});
  EXPECT_THAT(catalog.node_names(), testing::ElementsAre("a.one", "b.one", "b.two"));
  const Catalog::NodeEntry entry = catalog.find_node("b.one");
  ASSERT_NE(entry.node, nullptr);
  EXPECT_EQ(entry.node->name, "b.one");
  EXPECT_EQ(entry.plugin->name, "b");
  EXPECT_EQ(catalog.find_model("b.model").plugin->name, "b");
  EXPECT_EQ(catalog.find_node("b.three").node, nullptr);
  EXPECT_EQ(catalog.find_model("b.one").model, nullptr);
}

TEST(Catalog, LeavesOutBothPluginsThatOfferTheSameNode) {
  const Catalog catalog(
      {plugin_with("a", {"x.same", "a.own"}), plugin_with("b", {"x.same"}), plugin_with("c", {"c.one"})},
      {{"/plugins/d.so", "crashed"}});
  EXPECT_THAT(catalog.node_names(), testing::ElementsAre("c.one"));
  ASSERT_EQ(catalog.problems().size(), 3u);
  EXPECT_EQ(catalog.problems()[0].reason, "crashed");
  EXPECT_EQ(catalog.problems()[1].path, "/plugins/a.so");
  EXPECT_THAT(catalog.problems()[1].reason,
              testing::AllOf(testing::HasSubstr("x.same"), testing::HasSubstr("/plugins/b.so")));
  EXPECT_THAT(catalog.problems()[2].reason, testing::HasSubstr("/plugins/a.so"));
}

TEST(Catalog, LeavesOutBothPluginsThatOfferTheSameModel) {
  const Catalog catalog({plugin_with("a", {}, {"x.model"}), plugin_with("b", {}, {"x.model"})}, {});
  EXPECT_TRUE(catalog.plugins().empty());
  EXPECT_EQ(catalog.problems().size(), 2u);
}

TEST(Catalog, IsEmptyByDefault) {
  EXPECT_TRUE(Catalog().node_names().empty());
  EXPECT_EQ(Catalog().find_node("").node, nullptr);
}

}  // namespace
}  // namespace weft
