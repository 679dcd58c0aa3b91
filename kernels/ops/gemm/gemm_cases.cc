// What `weft bench kernels gemm` measures: a cube, layers of Stable Diffusion 1.5's UNet and of ViT-L/14.
#include <memory>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

struct Shape {
  int64_t m, n, k;
};

/// One matrix with activations and results of the type that it is computed in.
struct Product {
  Product(Shape s, DType compute, Executor executor)
      : shape{.n = s.n, .k = s.k, .compute = compute},
        packed(*gemm_packed_bytes(shape)),
        scratch(gemm_scratch_bytes(executor.max_threads())),
        a(s.m * s.k * size_bytes(compute)),
        c(s.m * s.n * size_bytes(compute)) {
    const std::vector<uint8_t> file = testing::repeated_weights(WeightFormat::kBF16, s.n * s.k, 1);
    (void)pack_gemm_weights(shape, WeightFormat::kBF16, file.data(), packed.data(), executor);
    g.a = TensorView::contiguous(a.data(), compute, {s.m, s.k});
    g.w = {shape, packed.data()};
    g.c = TensorView::contiguous(c.data(), compute, {s.m, s.n});
    g.scratch = scratch.data();
  }

  GemmShape shape;
  testing::AlignedBytes packed, scratch, a, c;
  Gemm g;
};

}  // namespace

std::vector<KernelCase> gemm_cases() {
  std::vector<KernelCase> cases;
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (const Shape s : {Shape{4096, 4096, 4096},
                          {8192, 320, 320},
                          {512, 1280, 5120},
                          {128, 1280, 1280},
                          {257, 4096, 1024}}) {
      KernelCase c;
      c.name = std::string(compute == DType::kF32 ? "f32 " : "bf16 ") + std::to_string(s.n) + " x " +
               std::to_string(s.k) + ", " + std::to_string(s.m) + " rows";
      c.bytes = static_cast<double>((s.n * s.k + s.m * (s.n + s.k)) * size_bytes(compute));
      c.operations = 2.0 * static_cast<double>(s.m * s.n * s.k);
      c.arithmetic = compute == DType::kF32 ? Arithmetic::kF32 : Arithmetic::kBF16;
      c.make = [s, compute](Executor executor) -> KernelRun {
        return [product = std::make_shared<Product>(s, compute, executor)](Executor run_on) {
          (void)gemm(product->g, run_on);
        };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
