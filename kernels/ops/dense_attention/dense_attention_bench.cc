// The attentions of SD 1.5 at 512x512 (batch 2): self attention at each resolution, cross attention on 77 tokens, and
// the one head of the VAE's middle. One thread. FLOP are 4 * head_dim a query, key and head.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/ops/dense_attention/dense_attention.h"
#include "kernels/quant/half.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

void attend(benchmark::State& state) {
  DenseAttention a;
  a.n_queries = state.range(0);
  a.n_keys = state.range(1);
  a.n_heads = state.range(2);
  a.head_dim = state.range(3);
  a.dtype = state.range(4) ? DType::kBF16 : DType::kF32;
  a.scale = 1 / std::sqrt(static_cast<float>(a.head_dim));
  const int64_t width = a.n_heads * a.head_dim, tokens = std::max(a.n_queries, a.n_keys);
  const std::vector<float> drawn = testing::random_normal(tokens * 3 * width, 1);
  std::vector<char> data(drawn.size() * 4), y(static_cast<size_t>(a.n_queries * width * 4));
  for (size_t i = 0; i < drawn.size(); ++i) {
    if (state.range(4)) reinterpret_cast<uint16_t*>(data.data())[i] = bf16_bits(drawn[i]);
    else std::memcpy(data.data() + i * 4, &drawn[i], 4);
  }
  const int64_t element = size_bytes(a.dtype);
  a.q = {data.data(), 3 * width, 0};
  a.k = {data.data() + width * element, 3 * width, 0};
  a.v = {data.data() + 2 * width * element, 3 * width, 0};
  a.y = {y.data(), width, 0};
  const std::unique_ptr<void, void (*)(void*)> scratch(
      std::aligned_alloc(64, static_cast<size_t>(dense_attention_scratch_bytes(a.head_dim, 1))), &std::free);
  for (auto _ : state) {
    dense_attention_share(a, scratch.get(), 0, 1);
    benchmark::DoNotOptimize(y.data());
  }
  state.counters["FLOP/s"] = benchmark::Counter(4.0 * static_cast<double>(a.n_queries * a.n_keys * width),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(attend)
    ->ArgNames({"queries", "keys", "heads", "head_dim", "bf16"})
    ->Args({4096, 4096, 8, 40, 0})
    ->Args({4096, 4096, 8, 40, 1})
    ->Args({1024, 1024, 8, 80, 1})
    ->Args({256, 256, 8, 160, 1})
    ->Args({4096, 77, 8, 40, 1})
    ->Args({1024, 1024, 10, 64, 1})
    ->Args({4096, 4096, 1, 512, 1})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft
