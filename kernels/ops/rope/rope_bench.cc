// Rotation of nine heads of 64 components, and the making of one position's cosines and sines.
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/ops/rope/rope.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

void heads(benchmark::State& state) {
  std::vector<float> x = testing::random_normal(9 * 64, 1), turns = testing::random_normal(64, 2);
  for (float& t : turns) t = t > 0 ? 1.0f : 0.0f;  // bounded under repetition
  for (auto _ : state) {
    rope_heads(static_cast<RopeLayout>(state.range(0)), 64, turns.data(), x.data(), 9, 64);
    benchmark::DoNotOptimize(x.data());
  }
  state.SetBytesProcessed(state.iterations() * 9 * 64 * 8);
}
BENCHMARK(heads)->Arg(static_cast<int>(RopeLayout::kInterleaved))->Arg(static_cast<int>(RopeLayout::kHalves));

void angles(benchmark::State& state) {
  RopeConfig config;
  config.n_rotated = 64;
  std::vector<double> frequencies(32);
  rope_frequencies(config, nullptr, frequencies.data());
  std::vector<float> turns(64);
  int64_t position = 0;
  for (auto _ : state) {
    rope_cos_sin(frequencies.data(), 64, 1, ++position, turns.data());
    benchmark::DoNotOptimize(turns.data());
  }
}
BENCHMARK(angles);

}  // namespace
}  // namespace weft
