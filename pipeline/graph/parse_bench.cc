// How long it takes to read and check a pipeline: a chain with two links a node, and a wide one with templates.
#include <benchmark/benchmark.h>

#include <string>

#include "pipeline/graph/parse.h"
#include "pipeline/graph/testing/example_catalog.h"

namespace weft {
namespace {

std::string chain(int64_t n_nodes) {
  std::string text = R"({"weft":1,"nodes":{"n0":{"uses":"math.scale","with":{"x":1}})";
  for (int64_t i = 1; i < n_nodes; ++i) {
    text += ",\n\"n" + std::to_string(i) + R"(":{"uses":"math.scale","in":{"x":"n)" + std::to_string(i - 1) +
            R"(.y","by":"n)" + std::to_string(i / 2) + R"(.y"}})";
  }
  return text + "}}";
}

std::string fan(int64_t n_nodes) {
  std::string text = R"({"weft":1,"inputs":{"t":{"type":"text"}},"models":{"m":{"path":"m.gguf"}},"nodes":{
"s":{"uses":"text.split","in":{"text":"inputs.t"}})";
  for (int64_t i = 1; i < n_nodes; ++i) {
    text +=
        ",\n\"n" + std::to_string(i) +
        R"(":{"uses":"text.generate","with":{"model":"m","max_tokens":40,"prompt":"Say ${inputs.t}, ${s.count} times."}})";
  }
  return text + "}}";
}

void parse(benchmark::State& state, const std::string& text) {
  const Catalog catalog = example_catalog();
  for (auto _ : state) {
    const ParsedPipeline parsed = parse_pipeline(text, "bench.json", catalog);
    if (!parsed.graph) state.SkipWithError("the pipeline has errors");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void ParseChain(benchmark::State& state) { parse(state, chain(state.range(0))); }
void ParseFan(benchmark::State& state) { parse(state, fan(state.range(0))); }
BENCHMARK(ParseChain)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(ParseFan)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft
