// What `weft bench kernels matmul` measures: every format of a file, with one row, with a batch of eight and with a prompt.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/matmul/matmul.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

using Memory = std::unique_ptr<uint8_t, void (*)(void*)>;

Memory allocate(int64_t bytes) {
  return {static_cast<uint8_t*>(std::aligned_alloc(64, static_cast<size_t>(bytes + 127) / 64 * 64)),
          &std::free};
}

/// As many copies of the matrix, used in turn, as a model has: weights come from memory.
struct Product {
  Product(WeightFormat format, int64_t n, int64_t k, int64_t m, Executor executor)
      : bytes(*packed_size_bytes(format, n, k)),
        copies(std::max<int64_t>(1, (int64_t{256} << 20) / bytes)),
        packed(allocate(bytes * copies)),
        scratch(allocate(activations_bytes(m, k))),
        x(testing::random_normal(m * k, 2)),
        y(static_cast<size_t>(m * n)),
        w{format, n, k, nullptr},
        rows(m) {
    const std::vector<uint8_t> file = testing::random_weights(format, n * k, 1);
    for (int64_t i = 0; i < copies; ++i)
      (void)pack_matrix(format, n, k, file.data(), packed.get() + i * bytes, executor);
  }

  void run(Executor executor) {
    w.data = packed.get() + turn * bytes;
    turn = (turn + 1) % copies;
    const MatmulTerm term = {&w, y.data(), w.n};
    (void)matmul({x.data(), rows, w.k, w.k, scratch.get()}, &term, 1, executor);
  }

  int64_t bytes, copies;
  Memory packed, scratch;
  std::vector<float> x, y;
  PackedMatrix w;
  int64_t rows, turn = 0;
};

}  // namespace

std::vector<KernelCase> matmul_cases() {
  using enum WeightFormat;
  std::vector<KernelCase> cases;
  for (const WeightFormat format : {kF32, kF16, kBF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ2_K, kQ3_K, kQ4_K,
                                    kQ5_K, kQ6_K, kIQ4_XS, kIQ4_NL, kMXFP4}) {
    for (const int64_t m : {1, 8, 512}) {
      const int64_t n = 4096, k = 1536;
      KernelCase c;
      c.name = std::string(block_layout(format).name) + " " + std::to_string(n) + " x " + std::to_string(k) +
               ", " + std::to_string(m) + (m == 1 ? " row" : " rows");
      c.bytes = static_cast<double>(*packed_size_bytes(format, n, k) + 4 * m * (n + k));
      c.operations = 2.0 * static_cast<double>(m * n * k);
      c.arithmetic = rounds_activations(format) ? Arithmetic::kInt8 : Arithmetic::kF32;
      if (!rounds_activations(format)) {
        const char* type = format == kF32 ? "f32" : format == kF16 ? "f16" : "bf16";
        c.peer_work = std::string("linear ") + type + " m=" + std::to_string(m) + " n=" + std::to_string(n) +
                      " k=" + std::to_string(k);
      }
      c.make = [format, n, k, m](Executor executor) -> KernelRun {
        return [product = std::make_shared<Product>(format, n, k, m, executor)](Executor run_on) {
          product->run(run_on);
        };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
