// What `weft bench kernels convolution` measures: 3x3 convolutions of Stable Diffusion 1.5's UNet, two images.
#include <memory>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/convolution/convolution.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

constexpr int64_t kImages = 2;

struct Shape {
  int64_t extent, in, out;
};

/// One layer with activations and results of the type that it is computed in.
struct Layer {
  Layer(Shape s, DType compute, Executor executor)
      : shape{.out_channels = s.out, .in_channels = s.in, .kernel_h = 3, .kernel_w = 3, .compute = compute},
        packed(*convolution_packed_bytes(shape)),
        scratch(convolution_scratch_bytes(executor.max_threads())),
        x(kImages * s.extent * s.extent * s.in * size_bytes(compute)),
        y(kImages * s.extent * s.extent * s.out * size_bytes(compute)) {
    const std::vector<uint8_t> file = testing::repeated_weights(WeightFormat::kBF16, s.out * s.in * 9, 1);
    (void)pack_convolution_weights(shape, WeightFormat::kBF16, file.data(), packed.data(), executor);
    c.x = TensorView::contiguous(x.data(), compute, {kImages, s.extent, s.extent, s.in});
    c.w = {shape, packed.data()};
    c.pad_top = c.pad_bottom = c.pad_left = c.pad_right = 1;
    c.y = TensorView::contiguous(y.data(), compute, {kImages, s.extent, s.extent, s.out});
    c.scratch = scratch.data();
  }

  ConvolutionShape shape;
  testing::AlignedBytes packed, scratch, x, y;
  Convolution c;
};

}  // namespace

std::vector<KernelCase> convolution_cases() {
  std::vector<KernelCase> cases;
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    for (const Shape s : {Shape{64, 320, 320}, {32, 640, 640}, {16, 1280, 1280}, {8, 1280, 1280}}) {
      KernelCase c;
      c.name = std::string(compute == DType::kF32 ? "f32 " : "bf16 ") + "3x3, " + std::to_string(s.extent) +
               " x " + std::to_string(s.extent) + ", " + std::to_string(s.in) + " to " +
               std::to_string(s.out) + " channels";
      const int64_t pixels = kImages * s.extent * s.extent;
      c.bytes = static_cast<double>((9 * s.in * s.out + pixels * (s.in + s.out)) * size_bytes(compute));
      c.operations = 2.0 * static_cast<double>(pixels * s.in * s.out * 9);
      c.arithmetic = compute == DType::kF32 ? Arithmetic::kF32 : Arithmetic::kBF16;
      c.make = [s, compute](Executor executor) -> KernelRun {
        return [layer = std::make_shared<Layer>(s, compute, executor)](Executor run_on) {
          (void)convolution(layer->c, run_on);
        };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
