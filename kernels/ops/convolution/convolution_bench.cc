// What `weft bench kernels convolution` measures: the shapes of Stable Diffusion 1.5's UNet (512 x 512, both halves of the
// guidance together) and of its VAE's decoder. "norm": with group norm, its statistics included, and SiLU on the way in, as in
// residual blocks; "up": with a nearest upsampling by two on the way in.
#include "kernels/ops/convolution/convolution.h"

#include <memory>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/group_norm/group_norm.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

enum class Around { kNothing, kNormIn, kUpsampleIn };

struct Shape {
  const char* model;
  int uses;  // 0: not part of a total, to look at
  int64_t images, extent, in, out, kernel, stride;
  Around around = Around::kNothing;
};

constexpr Shape kShapes[] = {
    {"unet 3x3", 7, 2, 64, 320, 320, 3, 1},
    {"unet 3x3", 2, 2, 64, 640, 320, 3, 1},
    {"unet 3x3", 1, 2, 64, 960, 320, 3, 1},
    {"unet 3x3", 1, 2, 32, 320, 640, 3, 1},
    {"unet 3x3", 6, 2, 32, 640, 640, 3, 1},
    {"unet 3x3", 1, 2, 32, 960, 640, 3, 1},
    {"unet 3x3", 1, 2, 32, 1280, 640, 3, 1},
    {"unet 3x3", 1, 2, 32, 1920, 640, 3, 1},
    {"unet 3x3", 1, 2, 16, 640, 1280, 3, 1},
    {"unet 3x3", 6, 2, 16, 1280, 1280, 3, 1},
    {"unet 3x3", 1, 2, 16, 1920, 1280, 3, 1},
    {"unet 3x3", 2, 2, 16, 2560, 1280, 3, 1},
    {"unet 3x3", 11, 2, 8, 1280, 1280, 3, 1},
    {"unet 3x3", 3, 2, 8, 2560, 1280, 3, 1},
    {"unet 3x3", 1, 2, 64, 320, 320, 3, 2},
    {"unet 3x3", 1, 2, 32, 640, 640, 3, 2},
    {"unet 3x3", 1, 2, 16, 1280, 1280, 3, 2},
    {"unet 3x3", 1, 2, 8, 1280, 1280, 3, 1, Around::kUpsampleIn},
    {"unet 3x3", 1, 2, 16, 1280, 1280, 3, 1, Around::kUpsampleIn},
    {"unet 3x3", 1, 2, 32, 640, 640, 3, 1, Around::kUpsampleIn},
    {"unet 3x3", 1, 2, 64, 4, 320, 3, 1},
    {"unet 3x3", 1, 2, 64, 320, 4, 3, 1},
    {"unet 1x1", 10, 2, 64, 320, 320, 1, 1},
    {"unet 1x1", 10, 2, 32, 640, 640, 1, 1},
    {"unet 1x1", 10, 2, 16, 1280, 1280, 1, 1},
    {"unet 1x1", 1, 2, 64, 960, 320, 1, 1},
    {"unet", 0, 2, 64, 320, 320, 3, 1, Around::kNormIn},
    {"unet", 0, 2, 32, 640, 640, 3, 1, Around::kNormIn},
    {"unet", 0, 2, 16, 1280, 1280, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 64, 512, 512, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 256, 256, 256, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 256, 256, 256, 3, 1, Around::kUpsampleIn},
    {"vae", 0, 1, 512, 128, 128, 3, 1, Around::kNormIn},
    {"vae", 0, 1, 512, 128, 3, 3, 1, Around::kNormIn},
};

const char* name_of(DType dtype) { return dtype == DType::kF32 ? "f32" : "bf16"; }
Upsample upsample(const Shape& s) {
  return s.around == Around::kUpsampleIn ? Upsample::kNearest2x : Upsample::kNone;
}
int64_t out_extent(const Shape& s) {
  return convolution_extent(s.extent, upsample(s), s.kernel, s.stride, s.kernel / 2, s.kernel / 2);
}

/// One layer, with activations and results of the type that it is computed in, as in a network that stays in it.
struct Layer {
  Layer(const Shape& s, DType compute, Executor executor)
      : shape{s.out, s.in, s.kernel, s.kernel, compute, upsample(s)},
        packed(*convolution_packed_bytes(shape)),
        scratch(convolution_scratch_bytes(executor.max_threads())),
        x(s.images * s.extent * s.extent * s.in * size_bytes(compute)),
        y(s.images * out_extent(s) * out_extent(s) * s.out * size_bytes(compute)),
        bias(static_cast<size_t>(s.out), 0.1f),
        scale(static_cast<size_t>(s.images * s.in)),
        shift(scale) {
    const int64_t count = s.out * s.in * s.kernel * s.kernel;
    const std::vector<uint8_t> file = testing::repeated_weights(WeightFormat::kBF16, count, 1);
    (void)pack_convolution_weights(shape, WeightFormat::kBF16, file.data(), packed.data(), executor);
    c.x = TensorView::contiguous(x.data(), compute, {s.images, s.extent, s.extent, s.in});
    norm = {.x = c.x, .scale = scale.data(), .shift = shift.data()};
    if (s.around == Around::kNormIn) {
      c.in_scale = scale.data();
      c.in_shift = shift.data();
      c.in_activation = Activation::kSilu;
    }
    c.upsample = upsample(s);
    c.w = {shape, packed.data()};
    c.stride = s.stride;
    c.pad_top = c.pad_bottom = c.pad_left = c.pad_right = s.kernel / 2;
    c.bias = bias.data();
    c.y = TensorView::contiguous(y.data(), compute, {s.images, out_extent(s), out_extent(s), s.out});
    c.scratch = scratch.data();
  }

  void run(Executor executor) const {
    if (c.in_scale) (void)group_norm_scale(norm, executor);
    (void)convolution(c, executor);
  }

  ConvolutionShape shape;
  testing::AlignedBytes packed, scratch, x, y;
  std::vector<float> bias, scale, shift;
  GroupNorm norm;
  Convolution c;
};

KernelCase convolve(const Shape& s, DType compute) {
  KernelCase c;
  const std::string kernel = std::to_string(s.kernel), extent = std::to_string(s.extent),
                    in = std::to_string(s.in), out = std::to_string(s.out);
  const char* around = s.around == Around::kNormIn ? "norm" : s.around == Around::kUpsampleIn ? "up" : "";
  c.name = std::string(name_of(compute)) + " " + kernel + "x" + kernel + " " + extent + "x" + extent + " " +
           in + " to " + out;
  if (s.stride > 1) c.name += " /" + std::to_string(s.stride);
  if (*around) c.name += std::string(" ") + around;
  const int64_t pixels = s.images * out_extent(s) * out_extent(s), taps = s.kernel * s.kernel;
  c.bytes = static_cast<double>(
      (taps * s.in * s.out + s.images * s.extent * s.extent * s.in + pixels * s.out) * size_bytes(compute));
  c.operations = 2.0 * static_cast<double>(pixels * s.in * s.out * taps);
  c.arithmetic = compute == DType::kF32 ? Arithmetic::kF32 : Arithmetic::kBF16;
  c.peer_work = std::string("convolution ") + name_of(compute) + " images=" + std::to_string(s.images) +
                " extent=" + extent + " in=" + in + " out=" + out + " kernel=" + kernel +
                " stride=" + std::to_string(s.stride);
  if (*around) c.peer_work += std::string(" around=") + around;
  c.model = s.model;
  c.uses = s.uses;
  c.make = [s, compute](Executor executor) -> KernelRun {
    return [layer = std::make_shared<Layer>(s, compute, executor)](Executor run_on) { layer->run(run_on); };
  };
  return c;
}

}  // namespace

std::vector<KernelCase> convolution_cases() {
  std::vector<KernelCase> cases;
  for (const DType compute : {DType::kF32, DType::kBF16})
    for (const Shape& s : kShapes) cases.push_back(convolve(s, compute));
  return cases;
}

}  // namespace weft
