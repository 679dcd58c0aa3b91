/// What a batch costs beyond its nodes: 100,000 items of a pipeline that does nothing and writes no file, journal on.
///
/// Counters: us_per_item, wall clock of Batch::run, tables included, by items; enrol_us_per_item, of Batch::open; rss_drift,
/// by how much resident memory at the end exceeds that after the first tenth.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "pipeline/batch/batch.h"
#include "pipeline/graph/parse.h"
#include "pipeline/run/host.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft {
namespace {

constexpr const char* kPipeline = R"({"weft": 1, "name": "bench", "inputs": {"n": {"type": "int"}},
  "nodes": {"a": {"uses": "test.noop", "in": {"x": "inputs.n"}}}, "outputs": {"y": "a.y"}})";

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void noop_items(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(1));
  const ParsedPipeline parsed = parse_pipeline(kPipeline, "bench.json", testing::test_catalog());
  Host host(HostOptions{});
  const PluginProvider plugins = testing::test_provider();
  for (auto _ : state) {
    std::string folder = (std::filesystem::current_path() / "weft-batch-bench-XXXXXX").string();
    if (!::mkdtemp(folder.data())) return state.SkipWithError("no folder can be made here");
    BatchOptions options;
    options.folder = folder;
    options.matrix = {"n=1.." + std::to_string(n)};
    options.concurrency = static_cast<uint32_t>(state.range(0));
    RunOptions run;
    run.sources = parsed.sources;
    auto begin = std::chrono::steady_clock::now();
    Result<Batch> batch = Batch::open({*parsed.graph, plugins, host, run}, options);
    if (!batch.ok()) return state.SkipWithError(to_string(batch.error()).c_str());
    state.counters["enrol_us_per_item"] = seconds_since(begin) * 1e6 / static_cast<double>(n);
    size_t recorded = 0, groups = 0;
    double early = 0, late = 0;
    BatchCallbacks callbacks;
    callbacks.on_recorded = [&](std::span<const NamedOutcome> outcomes) {
      const size_t before = recorded;
      recorded += outcomes.size();
      ++groups;
      if (before < n / 10 && recorded >= n / 10) early = resident_bytes();
      if (recorded == n) late = resident_bytes();
    };
    begin = std::chrono::steady_clock::now();
    const Result<BatchCounts> counts = batch->run(callbacks, nullptr, nullptr);
    if (!counts.ok()) return state.SkipWithError(to_string(counts.error()).c_str());
    state.counters["us_per_item"] = seconds_since(begin) * 1e6 / static_cast<double>(n);
    state.counters["items_per_commit"] = static_cast<double>(n) / static_cast<double>(groups);
    state.counters["rss_drift"] = late / early - 1;
    std::filesystem::remove_all(folder);
  }
}

BENCHMARK(noop_items)
    ->ArgNames({"concurrency", "items"})
    ->Args({1, 100'000})
    ->Args({2, 100'000})
    ->Iterations(1)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();

}  // namespace
}  // namespace weft
