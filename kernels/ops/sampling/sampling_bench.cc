// One token from 49,152 and 262,144 logits.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/ops/sampling/sampling.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

void choose(benchmark::State& state, const SamplingParameters& parameters) {
  const std::vector<float> logits = testing::random_normal(state.range(0), 1);
  std::vector<int32_t> history(512);
  for (size_t i = 0; i < history.size(); ++i) history[i] = static_cast<int32_t>(i % 100);
  std::vector<std::byte> workspace(
      static_cast<size_t>(sampling_workspace_bytes(state.range(0), static_cast<int64_t>(history.size()))));
  uint64_t step = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(*sample(parameters, {logits, history, {}, step++}, workspace));
}

void greedy(benchmark::State& state) {
  SamplingParameters p;
  p.temperature = 0;
  choose(state, p);
}
void defaults(benchmark::State& state) { choose(state, {}); }
void all_penalties(benchmark::State& state) {
  SamplingParameters p;
  p.repeat_penalty = 1.1f;
  p.dry_multiplier = 0.8f;
  choose(state, p);
}
void without_top_k(benchmark::State& state) {
  SamplingParameters p;
  p.top_k = 0;
  choose(state, p);
}
BENCHMARK(greedy)->Arg(49152)->Arg(262144)->Unit(benchmark::kMicrosecond);
BENCHMARK(defaults)->Arg(49152)->Arg(262144)->Unit(benchmark::kMicrosecond);
BENCHMARK(all_penalties)->Arg(49152)->Unit(benchmark::kMicrosecond);
BENCHMARK(without_top_k)->Arg(49152)->Arg(262144)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft
