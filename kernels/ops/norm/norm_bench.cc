// Rows of a decoder's width: time and bytes moved a second (x read, y written; the row stays in cache for the second
// pass).
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/ops/norm/norm.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

void rows(benchmark::State& state, NormKind kind) {
  const int64_t n = 256, cols = state.range(0);
  const std::vector<float> x = testing::random_normal(n * cols, 1), weight = testing::random_normal(cols, 2);
  std::vector<float> y(x.size());
  const Norm norm{kind, weight.data(), kind == NormKind::kLayer ? weight.data() : nullptr, 1e-5f};
  for (auto _ : state) {
    norm_rows(norm, x.data(), cols, y.data(), cols, n, cols);
    benchmark::DoNotOptimize(y.data());
  }
  state.SetBytesProcessed(state.iterations() * n * cols * 8);
}
void rms(benchmark::State& state) { rows(state, NormKind::kRms); }
void layer(benchmark::State& state) { rows(state, NormKind::kLayer); }

BENCHMARK(rms)->Arg(576)->Arg(4096);
BENCHMARK(layer)->Arg(576)->Arg(4096);

}  // namespace
}  // namespace weft
