/// What the run costs a node that does nothing: chains and fan-outs of 10,000 no-op nodes, cache and trace off.
/// The counter "us_per_node" is the wall clock of execute() divided by the number of nodes.
#include <benchmark/benchmark.h>

#include <string>

#include "pipeline/graph/parse.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft {
namespace {

enum class Shape { kChain, kFanOut, kLadder };

std::string pipeline_of(Shape shape, int n) {
  std::string text = R"({"weft": 1, "name": "bench", "nodes": {"n0": {"uses": "test.noop"})";
  for (int i = 1; i < n; ++i) {
    // A ladder is two chains side by side, so that two workers have something to do at any time.
    const int from = shape == Shape::kChain ? i - 1 : shape == Shape::kFanOut ? 0 : i < 3 ? 0 : i - 2;
    text += ", \"n" + std::to_string(i) + R"(": {"uses": "test.noop", "in": {"x": "n)" +
            std::to_string(from) + ".y\"}}";
  }
  return text + R"(}, "outputs": {"y": "n)" + std::to_string(n - 1) + ".y\"}}";
}

HostOptions with_threads(int64_t threads) {
  HostOptions options;
  options.threads = static_cast<uint32_t>(threads);
  return options;
}

void run_noops(benchmark::State& state, Shape shape, const EventHandler& on_event) {
  const int n = 10'000;
  const ParsedPipeline parsed = parse_pipeline(pipeline_of(shape, n), "bench.json", testing::test_catalog());
  Host host(with_threads(state.range(0)));
  RunOptions options;
  options.manifest = RunOptions::WriteManifest::kNo;
  options.threads = static_cast<uint32_t>(state.range(0));
  auto prepared = prepare_run(*parsed.graph, testing::test_provider(), host, options);
  if (!prepared.ok()) return state.SkipWithError(to_string(prepared.error()).c_str());
  double seconds = 0;
  for (auto _ : state) {
    auto result = execute(*prepared, options, on_event, nullptr);
    if (!result.ok()) return state.SkipWithError(to_string(result.error()).c_str());
    seconds += result->seconds;
  }
  state.counters["us_per_node"] = seconds * 1e6 / n / static_cast<double>(state.iterations());
}

void chain(benchmark::State& state) { run_noops(state, Shape::kChain, nullptr); }
void fan_out(benchmark::State& state) { run_noops(state, Shape::kFanOut, nullptr); }
void ladder(benchmark::State& state) { run_noops(state, Shape::kLadder, nullptr); }
void chain_with_events(benchmark::State& state) {
  run_noops(state, Shape::kChain, [](const Event& event) { benchmark::DoNotOptimize(event.index()); });
}
void prepare_chain(benchmark::State& state) {
  const int n = 10'000;
  const ParsedPipeline parsed =
      parse_pipeline(pipeline_of(Shape::kChain, n), "bench.json", testing::test_catalog());
  Host host(with_threads(1));
  RunOptions options;
  for (auto _ : state) {
    auto prepared = prepare_run(*parsed.graph, testing::test_provider(), host, options);
    if (!prepared.ok()) return state.SkipWithError(to_string(prepared.error()).c_str());
  }
}

BENCHMARK(chain)->Arg(1)->Arg(2)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(fan_out)->Arg(1)->Arg(2)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(ladder)->Arg(1)->Arg(2)->Arg(8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(chain_with_events)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(prepare_chain)->Unit(benchmark::kMillisecond)->Iterations(3);

}  // namespace
}  // namespace weft
