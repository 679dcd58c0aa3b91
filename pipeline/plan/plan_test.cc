#include "pipeline/plan/plan.h"

#include <gtest/gtest.h>

#include "pipeline/graph/parse.h"
#include "pipeline/plan/testing/block_plugin.h"

namespace weft {
namespace {

constexpr weft_device kCpu = {WEFT_DEVICE_CPU, 0};

// A pipeline, what it was planned with, and its plan.
struct Planned {
  Catalog catalog = block_catalog();
  BlockEnvironment environment;
  std::shared_ptr<const Graph> graph;
  Result<Plan> plan = Status(StatusCode::kInternal, "not planned");
};

using Files = std::map<std::string, std::string>;

// nodes: the members of the pipeline after its version. inputs: JSON by name; those that are left out stay unknown.
std::unique_ptr<Planned> plan_of(const std::string& members,
                                 const std::map<std::string, std::string>& inputs = {},
                                 const Files& files = {}) {
  auto planned = std::make_unique<Planned>();
  const PipelineReader read = [&](const std::string& path) -> Result<std::string> { return files.at(path); };
  const ParsedPipeline parsed =
      parse_pipeline("{\"weft\":1," + members + "}", "test.json", planned->catalog, read);
  if (!parsed.graph) {
    ADD_FAILURE() << to_text(parsed.diagnostics.at(0), Excerpt::kShow);
    return planned;
  }
  planned->graph = parsed.graph;
  std::vector<sdk::Value> values;
  for (const PipelineInput& input : parsed.graph->inputs) {
    const auto given = inputs.find(input.name);
    values.push_back(given == inputs.end() ? sdk::Value()
                                           : *planned->environment.make_value(given->second, input.type));
  }
  planned->plan = create_plan(*parsed.graph, values, planned->environment);
  return planned;
}

std::string error_of(const Planned& planned) {
  return planned.plan.ok() ? std::string("no error") : to_string(planned.plan.error());
}

TEST(CreatePlan, PacksWorkspacesOfADiamondAndAddsUpTheDevice) {
  const auto planned = plan_of(R"("nodes":{
    "a":{"uses":"test.block","with":{"workspace":64,"state":5,"bytes":640,"cost":1}},
    "b":{"uses":"test.block","in":{"x":"a.out"},"with":{"workspace":128,"bytes":64,"cost":2}},
    "c":{"uses":"test.block","in":{"x":"a.out"},"with":{"workspace":256,"bytes":64,"cost":4}},
    "d":{"uses":"test.block","in":{"x":"b.out","y":"c.out"},"with":{"workspace":300,"bytes":10,"cost":8}}},
    "outputs":{"out":"d.out"})");
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  const Plan& plan = *planned->plan;
  ASSERT_EQ(plan.nodes.size(), 4u);
  EXPECT_EQ(plan.nodes[0].workspace_offset, 0u);
  EXPECT_EQ(plan.nodes[1].workspace_offset, 256u);  // b and c may run together
  EXPECT_EQ(plan.nodes[2].workspace_offset, 0u);
  EXPECT_EQ(plan.nodes[3].workspace_offset, 0u);
  ASSERT_EQ(plan.devices.size(), 1u);
  const DeviceMemory& memory = plan.devices[0];
  EXPECT_EQ(memory.workspace_bytes, 384u);
  EXPECT_EQ(memory.state_bytes, 5u);
  EXPECT_EQ(memory.value_bytes,
            640u + 64 + 64);  // a's text lives until b and c have finished; d's takes its place
  EXPECT_EQ(memory.peak_bytes, 384u + 5 + 768);
  EXPECT_DOUBLE_EQ(plan.total_seconds, 15);
  EXPECT_DOUBLE_EQ(plan.critical_path_seconds, 13);
  EXPECT_TRUE(plan.unbounded.empty());
  EXPECT_EQ(plan.nodes[0].max_batch, 8u);
}

TEST(CreatePlan, SharesModelsOfTheSamePathAndOptions) {
  const auto planned = plan_of(
      R"("inputs":{"p":{"type":"path"}},"models":{"m":{"path":"x"},"n":{"path":"${inputs.p}"},"o":{"path":"x","bytes":50}},"nodes":{
    "a":{"uses":"test.block","with":{"model":"m"}},"b":{"uses":"test.block","with":{"model":"n"}},
    "c":{"uses":"test.block","with":{"model":"o"}},"d":{"uses":"test.block","with":{"model":"m"}}})",
      {{"p", "\"x\""}});
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  const Plan& plan = *planned->plan;
  EXPECT_EQ(planned->environment.opened, (std::vector<std::string>{"x", "x", "x"}));
  ASSERT_EQ(plan.models.size(), 2u);
  EXPECT_EQ(plan.models[0].name, "m");
  EXPECT_EQ(plan.nodes[1].models.at(0).model, 0u);
  EXPECT_EQ(plan.nodes[2].models.at(0).model, 1u);
  EXPECT_EQ(plan.devices[0].weight_bytes, 1050u);
  EXPECT_EQ(plan.devices[0].mapped_bytes, 14u);
}

TEST(CreatePlan, KnowsConstantsTemplatesAndInputs) {
  const auto planned = plan_of(
      R"("inputs":{"t":{"type":"text"},"n":{"type":"int"},"u":{"type":"text"}},"nodes":{
    "a":{"uses":"test.block","in":{"x":"inputs.t","y":"inputs.u"},"with":{"workspace":"${inputs.n}","note":"<${inputs.t}>"}},
    "b":{"uses":"test.block","in":{"x":"a.out"},"with":{"note":"<${a.out}>"}}})",
      {{"t", "\"four\""}, {"n", "192"}});
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  const PlannedNode& a = planned->plan->nodes[0];
  EXPECT_EQ(a.workspace_bytes, 192u);
  EXPECT_EQ(a.constants[0].as_text(), "four");
  EXPECT_EQ(a.inputs[0].max_bytes, 4);
  EXPECT_EQ(a.inputs[0].value, a.constants[0].get());
  EXPECT_FALSE(a.constants[1]);
  EXPECT_EQ(a.inputs[1].max_bytes, WEFT_UNBOUNDED);
  EXPECT_EQ(*a.parameters->find("note"), ParameterValue(std::string("<four>")));
  const PlannedNode& b = planned->plan->nodes[1];
  EXPECT_EQ(*b.parameters->find("note"), ParameterValue(std::string("none")));  // its default, until the run
  EXPECT_EQ(b.inputs[0].kind, WEFT_KIND_BYTES);
  EXPECT_EQ(planned->plan->unbounded, (std::vector<std::string>{"a.out"}));
}

TEST(CreatePlan, DrawsSeedsThatAreNotGiven) {
  const auto planned =
      plan_of(R"("nodes":{"a":{"uses":"test.block","with":{"seed":7}},"b":{"uses":"test.block"},
    "s":{"uses":"pipeline:inner.json"}})",
              {}, {{"inner.json", R"({"weft":1,"nodes":{"c":{"uses":"test.block"}}})"}});
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  EXPECT_EQ(planned->environment.seeds, (std::vector<std::string>{"b.seed", "s/c.seed"}));
  EXPECT_EQ(*planned->plan->nodes[0].parameters->find("seed"), ParameterValue(int64_t{7}));
  EXPECT_EQ(*planned->plan->nodes[1].parameters->find("seed"), ParameterValue(int64_t{1000}));
}

TEST(CreatePlan, ForEachSeesElementsAndMakesLists) {
  const auto planned = plan_of(R"("nodes":{
    "l":{"uses":"test.list","with":{"count":10,"bytes":100}},
    "e":{"uses":"test.block","for_each":"l.out","in":{"x":"l.out"},"with":{"bytes":7,"workspace":64,"cost":2}},
    "r":{"uses":"test.block","in":{"x":"e.out"},"with":{"bytes":1}}})");
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  const Plan& plan = *planned->plan;
  EXPECT_EQ(plan.nodes[1].inputs[0].max_bytes, 100);
  EXPECT_EQ(plan.nodes[1].outputs[0].kind, WEFT_KIND_BYTES);
  EXPECT_EQ(plan.nodes[2].inputs[0].kind, WEFT_KIND_LIST);
  EXPECT_EQ(plan.nodes[2].inputs[0].max_count, 10);
  EXPECT_EQ(plan.nodes[2].inputs[0].max_bytes, 7);
  EXPECT_DOUBLE_EQ(plan.total_seconds, 20);
  EXPECT_EQ(plan.devices[0].value_bytes,
            1024u + 128);  // 1,000 bytes of the list and 70 of e's, in multiples of 64
}

TEST(CreatePlan, CountsValuesWithinASubgraphForEveryElementThatGoesThroughAtOnce) {
  const Files files = {{"inner.json", R"({"weft":1,"inputs":{"t":{"type":"text"}},"nodes":{
      "p":{"uses":"test.block","in":{"x":"inputs.t"},"with":{"bytes":64}},
      "q":{"uses":"test.block","in":{"x":"p.out"},"with":{"bytes":64,"workspace":128}}},"outputs":{"o":"q.out"}})"}};
  const auto bytes = [&](const std::string& count, const std::string& more) {
    const auto planned =
        plan_of(R"("nodes":{"l":{"uses":"test.list","with":{"count":)" + count + R"(,"bytes":64}},
        "s":{"uses":"pipeline:inner.json","in":{"t":"l.out"},"for_each":"l.out")" +
                    more + R"(}},"outputs":{"y":"s.o"})",
                {}, files);
    EXPECT_TRUE(planned->plan.ok()) << error_of(*planned);
    EXPECT_EQ(planned->plan->devices[0].workspace_bytes, 128u);  // a node works on one batch at a time
    return std::pair(planned->plan->nodes[1].max_batch, planned->plan->devices[0].value_bytes);
  };
  // The list, the results, and p's and q's values for each element under way; a block takes batches of 8.
  EXPECT_EQ(bytes("3", ""), std::pair(3u, uint64_t{64 * (3 + 3 + 2 * 3)}));
  EXPECT_EQ(bytes("20", ""), std::pair(8u, uint64_t{64 * (20 + 20 + 2 * 8)}));
  EXPECT_EQ(bytes("20", R"(,"retry":1)"), std::pair(1u, uint64_t{64 * (20 + 20 + 2)}));
}

TEST(CreatePlan, WalksIntoSubgraphs) {
  const Files files = {
      {"inner.json", R"({"weft":1,"inputs":{"t":{"type":"text"},"w":{"type":"int","default":64}},"nodes":{
      "p":{"uses":"test.block","in":{"x":"inputs.t"},"with":{"workspace":"${inputs.w}","bytes":10}},
      "q":{"uses":"test.block","in":{"x":"p.out"},"with":{"workspace":64,"bytes":20}}},"outputs":{"o":"q.out","t":"inputs.t"}})"}};
  const auto planned = plan_of(R"("nodes":{
    "a":{"uses":"test.block","with":{"bytes":5,"workspace":128}},
    "s":{"uses":"pipeline:inner.json","in":{"t":"a.out"},"with":{"w":192}},
    "z":{"uses":"pipeline:inner.json","with":{"t":"abc"}},
    "b":{"uses":"test.block","in":{"x":"s.o","y":"s.t"},"with":{"workspace":64,"bytes":1}}})",
                               {}, files);
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  const Plan& plan = *planned->plan;
  const auto node = [&](const std::string& name) -> const PlannedNode& {
    for (const PlannedNode& one : plan.nodes) {
      if (one.path == name) return one;
    }
    throw std::runtime_error(name);
  };
  ASSERT_EQ(node("s").children.size(), 2u);
  EXPECT_EQ(node("s").children[0].path, "s/p");
  EXPECT_EQ(node("s").children[0].workspace_bytes, 192u);
  EXPECT_EQ(node("s").children[0].inputs[0].max_bytes, 5);
  EXPECT_EQ(node("s").outputs[0].max_bytes, 20);
  EXPECT_EQ(node("b").inputs[1].max_bytes, 5);
  EXPECT_EQ(node("z").children[0].constants[0].as_text(), "abc");
  EXPECT_EQ(node("z").children[0].workspace_bytes, 64u);
  // a -> s/p -> s/q -> b beside z/p -> z/q: 192 for the first chain, 64 for the second.
  EXPECT_EQ(plan.devices[0].workspace_bytes, 256u);
}

TEST(CreatePlan, CountsEveryDeviceOnItsOwn) {
  const auto planned = plan_of(R"("nodes":{
    "g":{"uses":"test.tensor","with":{"rows":100,"gpu":true,"workspace":4096}},
    "c":{"uses":"test.tensor","in":{"x":"g.out"},"with":{"rows":10,"workspace":64}}},"outputs":{"o":"c.out"})");
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  ASSERT_EQ(planned->plan->devices.size(), 2u);
  const DeviceMemory &cpu = planned->plan->devices[0], &gpu = planned->plan->devices[1];
  EXPECT_EQ(cpu.device.kind, WEFT_DEVICE_CPU);
  EXPECT_EQ(cpu.workspace_bytes, 64u);
  EXPECT_EQ(cpu.value_bytes, 192u);  // 10 x 4 x 4 bytes
  EXPECT_EQ(gpu.workspace_bytes, 4096u);
  EXPECT_EQ(gpu.value_bytes, 1600u);
}

TEST(CreatePlan, SaysWhereItFailed) {
  const struct {
    const char *with, *error;
  } kCases[] = {
      {R"("fail":"create")", "test.json:1:24, node 'a': create says no"},
      {R"("fail":"prepare")", "test.json:1:24, node 'a': prepare says no"},
      {R"("fail":"batch")", "prepare of test.block gave a largest batch of 0"},
      {R"("fail":"cost")", "prepare of test.block gave a cost that is no time"},
      {R"("bytes":-2)", "prepare of test.block gave bounds of output 0 that make no sense"},
      {R"("model":"m")", "test.json:1:24, node 'a', model 'm' (test.json:1:82): no such model"},
  };
  for (const auto& test : kCases) {
    const auto planned = plan_of("\"nodes\":{\"a\":{\"uses\":\"test.block\",\"with\":{" +
                                 std::string(test.with) + "}}},\"models\":{\"m\":{\"path\":\"missing\"}}");
    EXPECT_FALSE(planned->plan.ok()) << test.with;
    EXPECT_NE(error_of(*planned).find(test.error), std::string::npos) << error_of(*planned);
  }
  const auto range = plan_of(
      R"("inputs":{"n":{"type":"int"}},"nodes":{"a":{"uses":"test.block","with":{"workspace":"${inputs.n}"}}})",
      {{"n", "-5"}});
  EXPECT_NE(
      error_of(*range).find(
          "parameter 'workspace': a value that does not fit (expected an integer of at least 0, got -5)"),
      std::string::npos)
      << error_of(*range);
  const auto unknown = plan_of(
      R"("inputs":{"n":{"type":"int"}},"nodes":{"a":{"uses":"test.block","with":{"workspace":"${inputs.n}"}}})");
  EXPECT_NE(error_of(*unknown).find("give a value to the input 'n'"), std::string::npos)
      << error_of(*unknown);
}

TEST(CreatePlan, DestroysEveryNodeExactlyOnce) {
  const int before = BlockEnvironment::live_nodes();
  {
    const auto good = plan_of(R"("nodes":{"a":{"uses":"test.block"},"b":{"uses":"test.block"}})");
    EXPECT_EQ(BlockEnvironment::live_nodes(), before + 2);
    Plan moved = std::move(*good->plan);
    EXPECT_EQ(BlockEnvironment::live_nodes(), before + 2);
    const auto bad =
        plan_of(R"("nodes":{"a":{"uses":"test.block"},"b":{"uses":"test.block","with":{"fail":"prepare"}}})");
    EXPECT_EQ(BlockEnvironment::live_nodes(), before + 2);
  }
  EXPECT_EQ(BlockEnvironment::live_nodes(), before);
}

TEST(CheckBudget, LetsWeightsTakeTurnsAndRefusesWithNumbers) {
  const auto planned =
      plan_of(R"("models":{"big":{"path":"b","bytes":6000},"small":{"path":"s","bytes":3000}},"nodes":{
    "a":{"uses":"test.block","with":{"model":"big","state":1000,"bytes":0}},
    "b":{"uses":"test.block","with":{"model":"small","workspace":640,"bytes":0}}})");
  ASSERT_TRUE(planned->plan.ok()) << error_of(*planned);
  const Plan& plan = *planned->plan;
  EXPECT_EQ(plan.devices[0].peak_bytes, 10640u);
  const Result<Budget> all = check_budget(plan, kCpu, 10640);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->models, Budget::Models::kAllResident);
  const Result<Budget> turns = check_budget(plan, kCpu, 7640);
  ASSERT_TRUE(turns.ok());
  EXPECT_EQ(turns->models, Budget::Models::kTakeTurns);
  EXPECT_EQ(turns->model_bytes, 6000u);
  const Result<Budget> refused = check_budget(plan, kCpu, 7639);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(to_string(refused.error()),
            "the run does not fit: model 'big' 5.9 KiB, model 'small' 2.9 KiB, state of 'a' 1000 bytes, "
            "workspace of 'b' "
            "640 bytes (expected at most 7.5 KiB, got 7.5 KiB, even with weights taking turns)");
  EXPECT_TRUE(check_budget(plan, kCpu, 0).ok());
}

TEST(Parameters, ReadAsTheContractSays) {
  weft_parameters parameters;
  set_parameter(parameters, "b", true);
  set_parameter(parameters, "i", int64_t{-3});
  set_parameter(parameters, "f", 0.5);
  set_parameter(parameters, "t", std::string("a\0b", 3));
  set_parameter(parameters, "b", false);
  const weft_parameter_api& api = parameter_api();
  EXPECT_EQ(api.get_bool(&parameters, "b"), 0);
  EXPECT_EQ(api.get_int(&parameters, "i"), -3);
  EXPECT_EQ(api.get_float(&parameters, "i"), -3.0);
  EXPECT_EQ(api.get_float(&parameters, "f"), 0.5);
  size_t size = 0;
  EXPECT_STREQ(api.get_text(&parameters, "t", &size), "a");
  EXPECT_EQ(size, 3u);
  EXPECT_EQ(api.is_set(&parameters, "none"), 0);
  EXPECT_EQ(api.get_int(&parameters, "t"), 0);
  EXPECT_EQ(api.get_text(&parameters, "i", &size), nullptr);
  EXPECT_EQ(size, 0u);
  EXPECT_EQ(parameters_key(parameters), "b=false\nf=0.5\ni=-3\nt=\"a\\u0000b\"\n");
}

}  // namespace
}  // namespace weft
