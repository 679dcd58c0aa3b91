// Group norm at the sizes of Stable Diffusion 1.5: its statistics (x read once), and all of it with SiLU (x read twice, y
// written). Bytes a second are those of x, read once, and of y.
#include "kernels/ops/group_norm/group_norm.h"

#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/testing/dense.h"
#include "kernels/testing/threads.h"
#include "kernels/threads/cpu_limits.h"

namespace weft {
namespace {

Executor threads() {
  static const testing::Threads threads(available_cpus());
  return threads.executor();
}

struct Data {
  explicit Data(const benchmark::State& state, DType dtype)
      : images(state.range(0)),
        extent(state.range(1)),
        channels(state.range(2)),
        bytes(images * extent * extent * channels * size_bytes(dtype)),
        x(bytes),
        y(bytes),
        scale(static_cast<size_t>(images * channels)),
        shift(scale) {
    g.x = view(x, dtype);
    g.scale = scale.data();
    g.shift = shift.data();
  }
  TensorView view(testing::AlignedBytes& memory, DType dtype) const {
    return TensorView::contiguous(memory.data(), dtype, {images, extent, extent, channels});
  }
  int64_t images, extent, channels, bytes;
  testing::AlignedBytes x, y;
  std::vector<float> scale, shift;
  GroupNorm g;
};

void statistics(benchmark::State& state, DType dtype) {
  const Data data(state, dtype);
  for (auto _ : state) {
    if (!group_norm_scale(data.g, threads()).ok()) return state.SkipWithError("group_norm_scale");
    benchmark::DoNotOptimize(data.scale.data());
  }
  state.SetBytesProcessed(state.iterations() * data.bytes);
}

void normalise(benchmark::State& state, DType dtype) {
  Data data(state, dtype);
  const TensorView y = data.view(data.y, dtype);
  for (auto _ : state) {
    if (!group_norm(data.g, Activation::kSilu, y, threads()).ok()) return state.SkipWithError("group_norm");
    benchmark::DoNotOptimize(data.y.data());
  }
  state.SetBytesProcessed(state.iterations() * data.bytes * 2);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"images", "extent", "channels"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  b->Args({2, 64, 320})->Args({2, 32, 640})->Args({2, 16, 1280})->Args({2, 8, 1280})->Args({1, 512, 128});
}
BENCHMARK_CAPTURE(statistics, f32, DType::kF32)->Apply(shapes);
BENCHMARK_CAPTURE(statistics, bf16, DType::kBF16)->Apply(shapes);
BENCHMARK_CAPTURE(normalise, f32, DType::kF32)->Apply(shapes);
BENCHMARK_CAPTURE(normalise, bf16, DType::kBF16)->Apply(shapes);

}  // namespace
}  // namespace weft
