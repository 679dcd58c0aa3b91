// What `weft bench kernels group_norm` measures: its statistics alone (x read once) and all of it with SiLU, at the sizes of
// Stable Diffusion 1.5.
#include "kernels/ops/group_norm/group_norm.h"

#include <memory>

#include "kernels/bench/kernel_case.h"
#include "kernels/testing/dense.h"

namespace weft {
namespace {

struct Shape {
  int64_t images, extent, channels;
};

struct Data {
  Data(const Shape& s, DType dtype)
      : x(s.images * s.extent * s.extent * s.channels * size_bytes(dtype)),
        memory(x.storage.size()),
        scale(static_cast<size_t>(s.images * s.channels)),
        shift(scale) {
    g.x = TensorView::contiguous(x.data(), dtype, {s.images, s.extent, s.extent, s.channels});
    y = TensorView::contiguous(memory.data(), dtype, {s.images, s.extent, s.extent, s.channels});
    g.scale = scale.data();
    g.shift = shift.data();
  }
  testing::AlignedBytes x, memory;
  std::vector<float> scale, shift;
  GroupNorm g;
  TensorView y;
};

}  // namespace

std::vector<KernelCase> group_norm_cases() {
  std::vector<KernelCase> cases;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Shape s : {Shape{2, 64, 320}, {2, 32, 640}, {2, 16, 1280}, {2, 8, 1280}, {1, 512, 128}}) {
      const char* type = dtype == DType::kF32 ? "f32" : "bf16";
      const double elements = static_cast<double>(s.images * s.extent * s.extent * s.channels);
      const std::string extent = std::to_string(s.extent), channels = std::to_string(s.channels);
      KernelCase statistics;
      statistics.name = std::string(type) + " moments " + extent + "x" + extent + "x" + channels;
      statistics.bytes = elements * static_cast<double>(size_bytes(dtype));
      statistics.operations = 4 * elements;
      statistics.make = [s, dtype](Executor) -> KernelRun {
        return [data = std::make_shared<Data>(s, dtype)](Executor executor) {
          (void)group_norm_scale(data->g, executor);
        };
      };
      KernelCase all = statistics;
      all.name = std::string(type) + " with SiLU " + extent + "x" + extent + "x" + channels;
      all.bytes *= 2;
      all.operations = 33 * elements;
      all.peer_work = std::string("group_norm ") + type + " images=" + std::to_string(s.images) +
                      " extent=" + extent + " channels=" + channels + " around=silu";
      all.make = [s, dtype](Executor) -> KernelRun {
        return [data = std::make_shared<Data>(s, dtype)](Executor executor) {
          (void)group_norm(data->g, Activation::kSilu, data->y, executor);
        };
      };
      cases.push_back(std::move(statistics));
      cases.push_back(std::move(all));
    }
  }
  return cases;
}

}  // namespace weft
