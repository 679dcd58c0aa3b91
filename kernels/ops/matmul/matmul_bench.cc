// Times products of packed weights: time, bytes of weights read a second, operations a second, and their
// share of this machine's measured peaks. Shapes are those of SmolLM2-135M (k = 576, 1536; output 49152) and
// of a 7B model's feed-forward.
//
//   matmul_bench --benchmark_filter=Q4_1        WEFT_ISA=avx2 matmul_bench

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops/matmul/matmul.h"
#include "kernels/testing/peaks.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/threads/cpu_limits.h"

namespace weft {
namespace {

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<uint8_t, Free>;

Memory allocate(int64_t bytes) {
  return Memory(static_cast<uint8_t*>(std::aligned_alloc(64, static_cast<size_t>(bytes + 63) / 64 * 64)));
}

Executor threads() {
  static const testing::Threads threads(available_cpus());
  return threads.executor();
}

struct Peaks {
  double read, f32, int8;  // bytes, operations, operations a second
};

const Peaks& peaks() {
  static const Peaks peaks = {testing::read_bytes_per_second(threads()),
                              testing::f32_operations_per_second(threads(), active_isa()),
                              testing::int8_operations_per_second(threads(), active_isa())};
  return peaks;
}

struct Shape {
  WeightFormat format;
  int64_t n, k, m;
};

/// Several copies of the matrix, used in turn, so that weights come from memory as they do in a model.
void multiply(benchmark::State& state, Shape s) {
  const int64_t bytes = *packed_size_bytes(s.format, s.n, s.k);
  const int64_t copies = std::max<int64_t>(1, (int64_t{160} << 20) / bytes);
  const Memory packed = allocate(bytes * copies), scratch = allocate(activations_bytes(s.m, s.k) + 64);
  const std::vector<uint8_t> file = testing::random_weights(s.format, s.n * s.k, 1);
  for (int64_t i = 0; i < copies; ++i) {
    if (!pack_matrix(s.format, s.n, s.k, file.data(), packed.get() + i * bytes, threads()).ok())
      return state.SkipWithError("pack");
  }
  const std::vector<float> x = testing::random_normal(s.m * s.k, 2);
  std::vector<float> y(static_cast<size_t>(s.m * s.n));
  int64_t turn = 0;
  for (auto _ : state) {
    const PackedMatrix w = {s.format, s.n, s.k, packed.get() + turn * bytes};
    turn = (turn + 1) % copies;
    const MatmulTerm term = {&w, y.data(), s.n};
    const Status status = matmul({x.data(), s.m, s.k, s.k, scratch.get()}, &term, 1, threads());
    if (!status.ok()) return state.SkipWithError("matmul");
    benchmark::DoNotOptimize(y.data());
  }
  const auto rate = [&](double amount) {
    return benchmark::Counter(amount * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  };
  const double operations = 2 * static_cast<double>(s.m * s.n * s.k);
  const double compute_peak = rounds_activations(s.format) ? peaks().int8 : peaks().f32;
  state.counters["GB/s"] = rate(static_cast<double>(bytes) / 1e9);
  state.counters["%read"] = rate(100 * static_cast<double>(bytes) / peaks().read);
  state.counters["GFLOP/s"] = rate(operations / 1e9);
  state.counters["%compute"] = rate(100 * operations / compute_peak);
}

/// Packing, as at the first load of a model: bytes of the file a second.
void pack(benchmark::State& state, Shape s) {
  const Memory packed = allocate(*packed_size_bytes(s.format, s.n, s.k));
  const std::vector<uint8_t> file = testing::random_weights(s.format, s.n * s.k, 1);
  for (auto _ : state) {
    if (!pack_matrix(s.format, s.n, s.k, file.data(), packed.get(), threads()).ok())
      return state.SkipWithError("pack");
  }
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(file.size()) * static_cast<double>(state.iterations()) / 1e9,
                         benchmark::Counter::kIsRate);
}

std::string name(const char* what, Shape s) {
  return std::string(what) + "/" + block_layout(s.format).name + "/n:" + std::to_string(s.n) +
         "/k:" + std::to_string(s.k) + "/m:" + std::to_string(s.m);
}

void register_all() {
  using enum WeightFormat;
  for (const WeightFormat format : {kF32, kF16, kBF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ2_K, kQ3_K, kQ4_K,
                                    kQ5_K, kQ6_K, kIQ4_XS, kIQ4_NL, kMXFP4}) {
    const int64_t k = block_layout(format).elements == 256 ? 1024 : 576;
    for (const Shape s :
         {Shape{format, 1536, k, 1}, {format, 1536, k, 4}, {format, 1536, k, 16}, {format, 1536, k, 512}}) {
      benchmark::RegisterBenchmark(name("multiply", s).c_str(), multiply, s)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
    const Shape s = {format, 11008, 4096, 1};
    benchmark::RegisterBenchmark(name("pack", s).c_str(), pack, s)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  for (const Shape s : {Shape{kQ8_0, 49152, 576, 1},
                        {kQ4_1, 576, 1536, 1},
                        {kQ4_1, 576, 1536, 512},
                        {kQ4_1, 576, 576, 1},
                        {kQ4_1, 192, 576, 1},
                        {kQ4_K, 11008, 4096, 1},
                        {kQ4_K, 11008, 4096, 64}}) {
    benchmark::RegisterBenchmark(name("multiply", s).c_str(), multiply, s)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (const weft::Status status = weft::check_isa_request(); !status.ok()) {
    std::fprintf(stderr, "%s\n", weft::to_string(status.error()).c_str());
    return 2;
  }
  const weft::Peaks& peaks = weft::peaks();
  std::printf(
      "level %s (body %s), %u threads; measured peaks: read %.1f GB/s, f32 %.0f GFLOP/s, int8 %.0f Gop/s\n",
      weft::to_string(weft::active_isa()), weft::matmul_body_name(weft::active_isa()),
      weft::threads().max_threads(), peaks.read / 1e9, peaks.f32 / 1e9, peaks.int8 / 1e9);
  weft::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
