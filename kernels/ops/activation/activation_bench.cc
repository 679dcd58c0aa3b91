// An MLP's non-linearity over 512 tokens of width 1536: elements a second and bytes moved.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/ops/activation/activation.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

void gated(benchmark::State& state) {
  const int64_t count = 64 * 1536;
  const std::vector<float> x = testing::random_normal(count, 1), up = testing::random_normal(count, 2);
  std::vector<float> gate = x;
  for (auto _ : state) {
    gate = x;  // part of the time: activations run in place
    activate_gated(static_cast<Activation>(state.range(0)), gate.data(), up.data(), count);
    benchmark::DoNotOptimize(gate.data());
  }
  state.SetItemsProcessed(state.iterations() * count);
  state.SetBytesProcessed(state.iterations() * count * 20);
}
BENCHMARK(gated)->ArgName("activation")->DenseRange(0, 4);

}  // namespace
}  // namespace weft
