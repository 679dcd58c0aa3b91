// Tokens a second of a real model: WEFT_BENCH_MODEL names a GGUF file or a folder. Threads are the first argument.
// Compare with llama-bench -m MODEL -t 2 -p 512 -n 64 of llama.cpp, run in turn on the same machine.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels/networks/decoder/decoder.h"
#include "kernels/testing/threads.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

// Appends `total` tokens, `chunk` at a time, to a sequence that holds `depth`, and asks for the last row's logits.
void run(benchmark::State& bench, int64_t chunk, int64_t total, int64_t depth) {
  const char* path = std::getenv("WEFT_BENCH_MODEL");
  if (!path) return bench.SkipWithError("skipped: WEFT_BENCH_MODEL is not set");
  testing::Threads threads(static_cast<uint32_t>(bench.range(0)));
  Result<WeightFile> file = WeightFile::open(path);
  if (!file.ok()) return bench.SkipWithError(to_string(file.error()).c_str());
  Result<Decoder> decoder = Decoder::open(*file);
  if (!decoder.ok()) return bench.SkipWithError(to_string(decoder.error()).c_str());
  HeapWeightStore store;
  if (Status loaded = decoder->load(store, "bench", threads.executor()); !loaded.ok())
    return bench.SkipWithError(to_string(loaded.error()).c_str());
  const KvLayout layout = decoder->kv_layout(KvFormat::kF16);
  Result<KvCache> cache = KvCache::create(layout, (kv_pages(depth + total) + 1) * layout.page_bytes());
  if (!cache.ok()) return bench.SkipWithError(to_string(cache.error()).c_str());
  const int64_t bytes = decoder->workspace_bytes(std::max(chunk, int64_t{256}));
  std::vector<std::byte> memory(static_cast<size_t>(bytes + 64));
  void* aligned = memory.data();
  size_t space = memory.size();
  std::align(64, static_cast<size_t>(bytes), aligned, space);
  const std::span<std::byte> workspace(static_cast<std::byte*>(aligned), static_cast<size_t>(bytes));
  std::vector<float> logits(static_cast<size_t>(decoder->config().vocabulary));
  std::vector<int32_t> tokens(static_cast<size_t>(std::max(total, depth)));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 7919 % 30000 + 100);

  KvSequence sequence = cache->new_sequence();
  const auto append = [&](int64_t count, int64_t step) {
    for (int64_t at = 0; at < count; at += step) {
      const size_t n = static_cast<size_t>(std::min(step, count - at));
      const DecoderChunk part{&sequence, {tokens.data() + at, n}};
      const int32_t last = static_cast<int32_t>(n) - 1;
      Status done = decoder->forward({.chunks = {&part, 1}, .logits_rows = {&last, 1}},
                                     {.logits = logits.data()}, workspace, threads.executor());
      if (!done.ok()) return bench.SkipWithError(to_string(done.error()).c_str());
    }
  };
  append(depth, 256);
  for (auto _ : bench) {
    append(total, chunk);
    sequence.truncate(depth);
  }
  bench.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(total), benchmark::Counter::kIsIterationInvariantRate);
}

void prefill_512(benchmark::State& bench) { run(bench, 512, 512, 0); }
void decode_64(benchmark::State& bench) { run(bench, 1, 64, 0); }
void decode_64_at_4096(benchmark::State& bench) { run(bench, 1, 64, 4096); }

BENCHMARK(prefill_512)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(decode_64)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(decode_64_at_4096)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft
