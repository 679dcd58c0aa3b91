// What `weft bench kernels gemm` measures: a cube, the linear layers of Stable Diffusion 1.5's UNet (512 x 512, both halves of
// the guidance together) and those of ViT-L/14, and the packing of weights.
#include <memory>
#include <optional>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

struct Shape {
  const char* model;
  int uses;
  int64_t m, n, k;
  const char* around = "";  // what follows the product: nothing, geglu, quick_gelu
};

constexpr const char* kGeglu = "geglu";
constexpr const char* kQuickGelu = "quick_gelu";

constexpr Shape kShapes[] = {
    {"", 0, 4096, 4096, 4096},
    // UNet: queries, keys, values and outputs; gated and plain parts of the feed-forward; keys and values of the text.
    {"unet", 30, 8192, 320, 320},
    {"unet", 5, 8192, 2560, 320, kGeglu},
    {"unet", 5, 8192, 320, 1280},
    {"unet", 10, 154, 320, 768},
    {"unet", 30, 2048, 640, 640},
    {"unet", 5, 2048, 5120, 640, kGeglu},
    {"unet", 5, 2048, 640, 2560},
    {"unet", 10, 154, 640, 768},
    {"unet", 30, 512, 1280, 1280},
    {"unet", 5, 512, 10240, 1280, kGeglu},
    {"unet", 5, 512, 1280, 5120},
    {"unet", 12, 154, 1280, 768},
    {"unet", 6, 128, 1280, 1280},
    {"unet", 1, 128, 10240, 1280, kGeglu},
    {"unet", 1, 128, 1280, 5120},
    // One image of 224 x 224.
    {"vit", 96, 257, 1024, 1024},
    {"vit", 24, 257, 4096, 1024, kQuickGelu},
    {"vit", 24, 257, 1024, 4096},
};

const char* name_of(DType dtype) {
  return dtype == DType::kF32 ? "f32" : dtype == DType::kBF16 ? "bf16" : "f16";
}

/// One layer, with activations and results of the type that it is computed in, as in a network that stays in it.
struct Layer {
  Layer(const Shape& s, DType compute, Executor executor)
      : shape{.n = s.n,
              .k = s.k,
              .compute = compute,
              .pairing = s.around == kGeglu ? GemmPairing::kValueGate : GemmPairing::kNone},
        packed(*gemm_packed_bytes(shape)),
        scratch(gemm_scratch_bytes(executor.max_threads())),
        a(s.m * s.k * size_bytes(compute)),
        c(s.m * s.n * size_bytes(compute)),
        bias(static_cast<size_t>(s.n), 0.1f) {
    const std::vector<uint8_t> file = testing::repeated_weights(WeightFormat::kBF16, s.n * s.k, 1);
    (void)pack_gemm_weights(shape, WeightFormat::kBF16, file.data(), packed.data(), executor);
    g.a = TensorView::contiguous(a.data(), compute, {s.m, s.k});
    g.w = {shape, packed.data()};
    g.bias = bias.data();
    if (s.around == kGeglu) g.activation = Activation::kGelu;
    if (s.around == kQuickGelu) g.activation = Activation::kQuickGelu;
    g.c = TensorView::contiguous(c.data(), compute, {s.m, s.around == kGeglu ? s.n / 2 : s.n});
    g.scratch = scratch.data();
  }

  GemmShape shape;
  testing::AlignedBytes packed, scratch, a, c;
  std::vector<float> bias;
  Gemm g;
};

KernelCase multiply(const Shape& s, DType compute) {
  KernelCase c;
  const std::string m = std::to_string(s.m), n = std::to_string(s.n), k = std::to_string(s.k);
  c.name = std::string(name_of(compute)) + " " + m + "x" + n + "x" + k + " " + s.around;
  if (!*s.around) c.name.pop_back();
  c.bytes = static_cast<double>((s.n * s.k + s.m * (s.n + s.k)) * size_bytes(compute));
  c.operations = 2.0 * static_cast<double>(s.m * s.n * s.k);
  c.arithmetic = compute == DType::kBF16 ? Arithmetic::kBF16 : Arithmetic::kF32;
  c.peer_work = std::string("linear ") + name_of(compute) + " m=" + m + " n=" + n + " k=" + k;
  if (*s.around) c.peer_work += std::string(" around=") + s.around;
  c.model = s.model;
  c.uses = s.uses;
  c.make = [s, compute](Executor executor) -> KernelRun {
    return [layer = std::make_shared<Layer>(s, compute, executor)](Executor run_on) {
      (void)gemm(layer->g, run_on);
    };
  };
  return c;
}

/// Packing, as at the first load of a model.
KernelCase pack(WeightFormat format, DType compute) {
  KernelCase c;
  const GemmShape shape = {.n = 5120, .k = 1280, .compute = compute};
  c.name = std::string("pack ") + block_layout(format).name + " to " + name_of(compute) + ", 5120 x 1280";
  c.bytes = static_cast<double>(shape.n * shape.k * block_layout(format).bytes + *gemm_packed_bytes(shape));
  c.make = [format, shape](Executor) -> KernelRun {
    return [format, shape, file = testing::repeated_weights(format, shape.n * shape.k, 1),
            packed = std::make_shared<testing::AlignedBytes>(*gemm_packed_bytes(shape))](Executor executor) {
      (void)pack_gemm_weights(shape, format, file.data(), packed->data(), executor);
    };
  };
  return c;
}

}  // namespace

std::vector<KernelCase> gemm_cases() {
  std::vector<KernelCase> cases;
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const Shape& s : kShapes) cases.push_back(multiply(s, compute));
    for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kF16, WeightFormat::kBF16})
      cases.push_back(pack(format, compute));
  }
  return cases;
}

}  // namespace weft
