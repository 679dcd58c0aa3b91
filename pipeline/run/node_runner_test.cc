#include "pipeline/run/node_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <weft/abi/draft/cores.h>

#include <chrono>
#include <string_view>
#include <thread>

#include "pipeline/run/host.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const weft_node_type& type(std::string_view name) {
  for (size_t i = 0; i < test_plugin().n_nodes; ++i) {
    if (name == test_plugin().nodes[i].name) return test_plugin().nodes[i];
  }
  ADD_FAILURE() << name;
  return test_plugin().nodes[0];
}

class NodeRunnerTest : public ::testing::Test {
 protected:
  NodeRunnerTest() { observations().clear(); }
  NodeRunner runner(const char* name, NodeRunnerOptions options = {}) {
    auto made = NodeRunner::create(host_, type(name), std::move(options));
    EXPECT_TRUE(made.ok()) << to_string(made.error());
    return std::move(*made);
  }
  static HostOptions guarded() {
    HostOptions options;
    options.threads = 2;
    options.guards = HostOptions::Guards::kOn;
    return options;
  }
  Host host_{guarded()};
};

TEST_F(NodeRunnerTest, TheHostLendsCores) {
  const auto* cores =
      static_cast<const weft_cores_api*>(host_.table()->extension(host_.table()->self, WEFT_CORES_ID));
  ASSERT_NE(cores, nullptr);
  EXPECT_EQ(cores->borrow(cores->self, 5), 2u);
  EXPECT_EQ(cores->borrow(cores->self, 5), 1u);
  cores->give_back(cores->self, 1);
  cores->give_back(cores->self, 2);
  EXPECT_EQ(cores->borrow(cores->self, 1), 1u);
  cores->give_back(cores->self, 1);
}

TEST_F(NodeRunnerTest, RunsANodeOnGivenInputs) {
  NodeRunnerOptions options;
  options.parameters_json["suffix"] = "\"!\"";
  NodeRunner shout = runner("test.text", options);
  auto results = shout.run({{{*Value::text("hello")}}, {{}}});
  ASSERT_TRUE(results.ok());
  ASSERT_EQ(results->size(), 2u);
  EXPECT_EQ((*results)[0].outputs[0].bytes_view(), "hello!");
  EXPECT_EQ((*results)[1].outputs[0].bytes_view(), "!");
  EXPECT_THAT(shout.violations(), IsEmpty());
}

TEST_F(NodeRunnerTest, SplitsRequestsIntoBatches) {
  NodeRunner node = runner("test.batch");
  std::vector<NodeRequest> requests(9, NodeRequest{{*Value::text("x")}});
  auto results = node.run(requests);
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[8].outputs[0].bytes_view(), "<x>");
  EXPECT_THAT(observations().batch_sizes, ElementsAre(4u, 4u, 1u));
}

TEST_F(NodeRunnerTest, WaitsForCompletionsFromOtherThreads) {
  NodeRunner node = runner("test.later");
  auto results = node.run({{{*Value::text("a")}}, {{*Value::text("b")}}});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].outputs[0].bytes_view(), "a");
  EXPECT_EQ((*results)[1].outputs[0].bytes_view(), "b");
}

TEST_F(NodeRunnerTest, CountsPartsAndJoinsThem) {
  NodeRunnerOptions options;
  options.parameters_json["text"] = "\"abcdef\"";
  NodeRunner node = runner("test.stream", options);
  auto results = node.run({{}});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].part_counts[0], 2u);
  EXPECT_EQ((*results)[0].outputs[0].bytes_view(), "abcdef");
  EXPECT_EQ((*results)[0].progress_total, 6);
}

struct Violation {
  const char* node;
  const char* sentence;
};
class NodeRunnerFinds : public NodeRunnerTest, public ::testing::WithParamInterface<Violation> {};
TEST_P(NodeRunnerFinds, BreachesOfTheContract) {
  NodeRunner node = runner(GetParam().node);
  ASSERT_TRUE(node.run({{}}).ok());
  EXPECT_THAT(node.violations(), Contains(HasSubstr(GetParam().sentence)));
}
INSTANTIATE_TEST_SUITE_P(
    Nodes, NodeRunnerFinds,
    ::testing::Values(Violation{"test.silent", "output 'y' is not optional and was not set"},
                      Violation{"test.twice", "an output was set twice"},
                      Violation{"test.beyond", "exceeds the bound that prepare declared"}));

TEST_F(NodeRunnerTest, FindsALeftTemporary) {
  NodeRunnerOptions options;
  options.parameters_json = {{"path", "\"a.txt\""}, {"then", "\"leave\""}};
  options.out_folder = ::testing::TempDir() + "weft-node-runner-" + std::to_string(::getpid());
  NodeRunner node = runner("test.write", options);
  ASSERT_TRUE(node.run({{{*Value::text("x")}}}).ok());
  EXPECT_THAT(node.violations(), Contains(HasSubstr("neither committed")));
  EXPECT_TRUE(std::filesystem::is_empty(options.out_folder));
  std::filesystem::remove_all(options.out_folder);
}

TEST_F(NodeRunnerTest, CancelReachesARunningNode) {
  NodeRunnerOptions options;
  options.parameters_json["ms"] = "20000";
  NodeRunner node = runner("test.sleep", options);
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    node.cancel();
  });
  auto results = node.run({{}});
  canceller.join();
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].status.code(), StatusCode::kCancelled);
}

TEST_F(NodeRunnerTest, RefusesParametersThatTheDescriptorDoesNotAllow) {
  NodeRunnerOptions unknown, wrong;
  unknown.parameters_json["nonsense"] = "1";
  EXPECT_EQ(NodeRunner::create(host_, type("test.int"), unknown).code(), StatusCode::kInvalidArgument);
  wrong.parameters_json["value"] = "\"seven\"";
  EXPECT_EQ(NodeRunner::create(host_, type("test.int"), wrong).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::testing
