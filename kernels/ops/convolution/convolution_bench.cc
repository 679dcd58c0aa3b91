// Times convolutions: time, operations a second, and their share of this machine's measured peak. The shapes are those of
// Stable Diffusion 1.5's UNet (512 x 512, both halves of the guidance together) and of its VAE's decoder. "norm": with group
// norm, its statistics included, and SiLU on the way in, as in residual blocks.
//
//   convolution_bench --benchmark_filter=bf16        WEFT_ISA=avx2 convolution_bench

#include "kernels/ops/convolution/convolution.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <vector>

#include "kernels/ops/group_norm/group_norm.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/peaks.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/threads/cpu_limits.h"

namespace weft {
namespace {

Executor threads() {
  static const testing::Threads threads(available_cpus());
  return threads.executor();
}

double peak(DType compute) {
  static const double f32 = testing::f32_operations_per_second(threads(), active_isa());
  static const double bf16 = testing::bf16_operations_per_second(threads(), active_isa());
  return compute == DType::kF32 || bf16 == 0 ? f32 : bf16;
}

enum class Around { kNothing, kNormIn, kUpsampleIn };

struct Shape {
  const char* model;
  int times;  // a run of the model; 0: not part of it, to look at
  int64_t images, extent, in, out, kernel, stride;
  Around around = Around::kNothing;
};

constexpr Shape kShapes[] = {
    {"unet3x3", 7, 2, 64, 320, 320, 3, 1},
    {"unet3x3", 2, 2, 64, 640, 320, 3, 1},
    {"unet3x3", 1, 2, 64, 960, 320, 3, 1},
    {"unet3x3", 1, 2, 32, 320, 640, 3, 1},
    {"unet3x3", 6, 2, 32, 640, 640, 3, 1},
    {"unet3x3", 1, 2, 32, 960, 640, 3, 1},
    {"unet3x3", 1, 2, 32, 1280, 640, 3, 1},
    {"unet3x3", 1, 2, 32, 1920, 640, 3, 1},
    {"unet3x3", 1, 2, 16, 640, 1280, 3, 1},
    {"unet3x3", 6, 2, 16, 1280, 1280, 3, 1},
    {"unet3x3", 1, 2, 16, 1920, 1280, 3, 1},
    {"unet3x3", 2, 2, 16, 2560, 1280, 3, 1},
    {"unet3x3", 11, 2, 8, 1280, 1280, 3, 1},
    {"unet3x3", 3, 2, 8, 2560, 1280, 3, 1},
    {"unet3x3", 1, 2, 64, 320, 320, 3, 2},
    {"unet3x3", 1, 2, 32, 640, 640, 3, 2},
    {"unet3x3", 1, 2, 16, 1280, 1280, 3, 2},
    {"unet3x3", 1, 2, 8, 1280, 1280, 3, 1, Around::kUpsampleIn},
    {"unet3x3", 1, 2, 16, 1280, 1280, 3, 1, Around::kUpsampleIn},
    {"unet3x3", 1, 2, 32, 640, 640, 3, 1, Around::kUpsampleIn},
    {"unet3x3", 1, 2, 64, 4, 320, 3, 1},
    {"unet3x3", 1, 2, 64, 320, 4, 3, 1},
    {"unet1x1", 10, 2, 64, 320, 320, 1, 1},
    {"unet1x1", 10, 2, 32, 640, 640, 1, 1},
    {"unet1x1", 10, 2, 16, 1280, 1280, 1, 1},
    {"unet1x1", 1, 2, 64, 960, 320, 1, 1},
    {"norm", 0, 2, 64, 320, 320, 3, 1, Around::kNormIn},
    {"norm", 0, 2, 32, 640, 640, 3, 1, Around::kNormIn},
    {"norm", 0, 2, 16, 1280, 1280, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 64, 512, 512, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 256, 256, 256, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 256, 256, 256, 3, 1, Around::kUpsampleIn},
    {"vae", 0, 1, 512, 128, 128, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 512, 128, 3, 3, 1, Around::kNormIn},
};

/// Activations and results have the type that products are computed in, as in a network that stays in it.
void convolve(benchmark::State& state, Shape s, DType compute) {
  const Upsample upsample = s.around == Around::kUpsampleIn ? Upsample::kNearest2x : Upsample::kNone;
  const ConvolutionShape shape = {s.out, s.in, s.kernel, s.kernel, compute, upsample};
  const int64_t pad = s.kernel / 2;
  const int64_t extent = convolution_extent(s.extent, upsample, s.kernel, s.stride, pad, pad);
  testing::AlignedBytes packed(*convolution_packed_bytes(shape));
  testing::AlignedBytes scratch(convolution_scratch_bytes(threads().max_threads()));
  testing::AlignedBytes x(s.images * s.extent * s.extent * s.in * size_bytes(compute));
  testing::AlignedBytes y(s.images * extent * extent * s.out * size_bytes(compute));
  {
    const int64_t count = s.out * s.in * s.kernel * s.kernel;
    const std::vector<uint8_t> file = testing::repeated_weights(WeightFormat::kBF16, count, 1);
    if (!pack_convolution_weights(shape, WeightFormat::kBF16, file.data(), packed.data(), threads()).ok())
      return state.SkipWithError("pack");
  }
  const std::vector<float> bias(static_cast<size_t>(s.out), 0.1f);
  std::vector<float> scale(static_cast<size_t>(s.images * s.in)), shift(scale);
  Convolution c;
  c.x = TensorView::contiguous(x.data(), compute, {s.images, s.extent, s.extent, s.in});
  const GroupNorm norm = {.x = c.x, .scale = scale.data(), .shift = shift.data()};
  if (s.around == Around::kNormIn) {
    c.in_scale = scale.data();
    c.in_shift = shift.data();
    c.in_activation = Activation::kSilu;
  }
  c.upsample = upsample;
  c.w = {shape, packed.data()};
  c.stride = s.stride;
  c.pad_top = c.pad_bottom = c.pad_left = c.pad_right = pad;
  c.bias = bias.data();
  c.y = TensorView::contiguous(y.data(), compute, {s.images, extent, extent, s.out});
  c.scratch = scratch.data();
  for (auto _ : state) {
    if (s.around == Around::kNormIn && !group_norm_scale(norm, threads()).ok())
      return state.SkipWithError("group norm");
    if (!convolution(c, threads()).ok()) return state.SkipWithError("convolution");
    benchmark::DoNotOptimize(y.data());
  }
  const double operations =
      2 * static_cast<double>(s.images * extent * extent * s.out * s.in * s.kernel * s.kernel) *
      static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(operations / 1e9, benchmark::Counter::kIsRate);
  state.counters["%peak"] = benchmark::Counter(100 * operations / peak(compute), benchmark::Counter::kIsRate);
}

void register_all() {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (const Shape& s : kShapes) {
      std::string name = std::string(compute == DType::kF32 ? "f32/" : "bf16/") + s.model +
                         "/times:" + std::to_string(s.times) + "/images:" + std::to_string(s.images) +
                         "/extent:" + std::to_string(s.extent) + "/in:" + std::to_string(s.in) +
                         "/out:" + std::to_string(s.out) + "/kernel:" + std::to_string(s.kernel) +
                         "/stride:" + std::to_string(s.stride);
      if (s.around == Around::kNormIn) name += "/norm";
      if (s.around == Around::kUpsampleIn) name += "/upsample";
      benchmark::RegisterBenchmark(name.c_str(), convolve, s, compute)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  using namespace weft;
  benchmark::Initialize(&argc, argv);
  if (const Status status = check_isa_request(); !status.ok()) {
    std::fprintf(stderr, "%s\n", to_string(status.error()).c_str());
    return 2;
  }
  std::fprintf(
      stderr,
      "level %s (bodies %s for f32, %s for bf16), %u threads; measured peaks: f32 %.0f, bf16 %.0f GFLOP/s\n",
      to_string(active_isa()), convolution_body_name(DType::kF32, active_isa()),
      convolution_body_name(DType::kBF16, active_isa()), threads().max_threads(), peak(DType::kF32) / 1e9,
      peak(DType::kBF16) / 1e9);
  register_all();
  benchmark::RunSpecifiedBenchmarks();
}
