// One layer of SmolLM2 (9 heads, 3 KV heads of 64): one new token after `depth`, and the last 256 of `depth`. GB/s are
// bytes of keys and values read once a KV head; FLOP are 4 * head_dim a query head and token seen.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels/ops/attention/attention.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

void attend(benchmark::State& state, int64_t n_rows) {
  AttentionShape shape;
  shape.n_heads = 9;
  shape.n_kv_heads = 3;
  shape.head_dim = 64;
  shape.format = static_cast<KvFormat>(state.range(0));
  shape.scale = 0.125f;
  const int64_t depth = state.range(1), width = 9 * 64, kv = 3 * 64;
  const int64_t page_bytes = 3 * 2 * kv_block_bytes(shape.format, 64), n_pages = depth / kPageTokens;
  const std::unique_ptr<void, void (*)(void*)> memory(
      std::aligned_alloc(64, static_cast<size_t>(n_pages * page_bytes)), &std::free);
  std::vector<std::byte*> pages;
  for (int64_t p = 0; p < n_pages; ++p)
    pages.push_back(static_cast<std::byte*>(memory.get()) + p * page_bytes);
  const std::vector<float> k = testing::random_normal(kv, 1), v = testing::random_normal(kv, 2);
  for (int64_t t = 0; t < depth; ++t) store_kv(shape, k.data(), v.data(), pages.data(), t);
  const std::vector<float> q = testing::random_normal(n_rows * width, 3);
  std::vector<float> y(q.size());
  std::vector<AttentionRow> rows;
  double seen = 0;
  for (int64_t r = 0; r < n_rows; ++r) {
    rows.push_back({q.data() + r * width, y.data() + r * width, pages.data(), depth - n_rows + r});
    seen += static_cast<double>(depth - n_rows + r + 1);
  }
  for (auto _ : state) {
    SharedWork work;
    attention_share(shape, rows.data(), n_rows, work, 0, 1);
    benchmark::DoNotOptimize(y.data());
  }
  state.SetBytesProcessed(state.iterations() * n_pages * page_bytes);
  state.counters["FLOP/s"] =
      benchmark::Counter(seen * 9 * 4 * 64, benchmark::Counter::kIsIterationInvariantRate);
}
void one_token(benchmark::State& state) { attend(state, 1); }
void chunk_of_256(benchmark::State& state) { attend(state, 256); }

BENCHMARK(one_token)->ArgNames({"format", "depth"})->ArgsProduct({{0, 1, 2, 3}, {512, 4096}});
BENCHMARK(chunk_of_256)->ArgNames({"format", "depth"})->ArgsProduct({{0, 1, 3}, {512, 4096}});

}  // namespace
}  // namespace weft
