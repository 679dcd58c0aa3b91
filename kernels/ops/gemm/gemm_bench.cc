// Times dense products: time, operations a second, and their share of this machine's measured peak. The shapes are a cube, the
// linear layers of Stable Diffusion 1.5's UNet (512 x 512, both halves of the guidance together) and those of ViT-L/14.
//
//   gemm_bench --benchmark_filter=bf16/cube        WEFT_ISA=avx2 gemm_bench

#include <benchmark/benchmark.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "kernels/ops/gemm/gemm.h"
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

struct Shape {
  const char* model;
  int times;  // a run of the model
  int64_t m, n, k;
  std::optional<Activation> activation = {};
  GemmPairing pairing = GemmPairing::kNone;
};

constexpr Shape kShapes[] = {
    {"cube", 1, 4096, 4096, 4096},
    // UNet: queries, keys, values and outputs; gated and plain parts of the feed-forward; keys and values of the text.
    {"unet", 30, 8192, 320, 320},
    {"unet", 5, 8192, 2560, 320, Activation::kGelu, GemmPairing::kValueGate},
    {"unet", 5, 8192, 320, 1280},
    {"unet", 10, 154, 320, 768},
    {"unet", 30, 2048, 640, 640},
    {"unet", 5, 2048, 5120, 640, Activation::kGelu, GemmPairing::kValueGate},
    {"unet", 5, 2048, 640, 2560},
    {"unet", 10, 154, 640, 768},
    {"unet", 30, 512, 1280, 1280},
    {"unet", 5, 512, 10240, 1280, Activation::kGelu, GemmPairing::kValueGate},
    {"unet", 5, 512, 1280, 5120},
    {"unet", 12, 154, 1280, 768},
    {"unet", 6, 128, 1280, 1280},
    {"unet", 1, 128, 10240, 1280, Activation::kGelu, GemmPairing::kValueGate},
    {"unet", 1, 128, 1280, 5120},
    // ViT-L/14, one image of 224 x 224.
    {"vit", 96, 257, 1024, 1024},
    {"vit", 24, 257, 4096, 1024, Activation::kQuickGelu},
    {"vit", 24, 257, 1024, 4096},
};

/// Activations and results have the type that products are computed in, as in a network that stays in it.
void multiply(benchmark::State& state, Shape s, DType compute) {
  const GemmShape shape = {s.n, s.k, compute, s.pairing};
  const int64_t width = s.pairing == GemmPairing::kNone ? s.n : s.n / 2, bytes = *gemm_packed_bytes(shape);
  testing::AlignedBytes packed(bytes), scratch(gemm_scratch_bytes(threads().max_threads()));
  testing::AlignedBytes a(s.m * s.k * size_bytes(compute)), c(s.m * width * size_bytes(compute));
  {
    const std::vector<uint8_t> file = testing::repeated_weights(WeightFormat::kBF16, s.n * s.k, 1);
    if (!pack_gemm_weights(shape, WeightFormat::kBF16, file.data(), packed.data(), threads()).ok())
      return state.SkipWithError("pack");
  }
  const std::vector<float> bias(static_cast<size_t>(s.n), 0.1f);
  Gemm g;
  g.a = TensorView::contiguous(a.data(), compute, {s.m, s.k});
  g.w = {shape, packed.data()};
  g.bias = bias.data();
  g.activation = s.activation;
  g.c = TensorView::contiguous(c.data(), compute, {s.m, width});
  g.scratch = scratch.data();
  for (auto _ : state) {
    if (!gemm(g, threads()).ok()) return state.SkipWithError("gemm");
    benchmark::DoNotOptimize(c.data());
  }
  const double operations =
      2 * static_cast<double>(s.m * s.n * s.k) * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(operations / 1e9, benchmark::Counter::kIsRate);
  state.counters["%peak"] = benchmark::Counter(100 * operations / peak(compute), benchmark::Counter::kIsRate);
}

/// Packing, as at the first load of a model: bytes of the file a second.
void pack(benchmark::State& state, WeightFormat format, DType compute) {
  const GemmShape shape = {.n = 5120, .k = 1280, .compute = compute};
  testing::AlignedBytes packed(*gemm_packed_bytes(shape));
  const std::vector<uint8_t> file = testing::repeated_weights(format, shape.n * shape.k, 1);
  for (auto _ : state) {
    if (!pack_gemm_weights(shape, format, file.data(), packed.data(), threads()).ok())
      return state.SkipWithError("pack");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(file.size()));
}

void register_all() {
  using enum WeightFormat;
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (const WeightFormat format : {kF32, kF16, kBF16}) {
      const std::string name = std::string("pack/") + block_layout(format).name + "/to_" +
                               (compute == DType::kF32 ? "f32" : "bf16");
      benchmark::RegisterBenchmark(name.c_str(), pack, format, compute)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (const Shape& s : kShapes) {
      const char* around = s.pairing != GemmPairing::kNone ? "/gated" : s.activation ? "/quick_gelu" : "";
      const std::string name = std::string(compute == DType::kF32 ? "f32/" : "bf16/") + s.model +
                               "/times:" + std::to_string(s.times) + "/m:" + std::to_string(s.m) +
                               "/n:" + std::to_string(s.n) + "/k:" + std::to_string(s.k) + around;
      benchmark::RegisterBenchmark(name.c_str(), multiply, s, compute)
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
      to_string(active_isa()), gemm_body_name(DType::kF32, active_isa()),
      gemm_body_name(DType::kBF16, active_isa()), threads().max_threads(), peak(DType::kF32) / 1e9,
      peak(DType::kBF16) / 1e9);
  register_all();
  benchmark::RunSpecifiedBenchmarks();
}
