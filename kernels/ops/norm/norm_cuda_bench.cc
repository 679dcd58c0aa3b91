// What `weft bench kernels norm --device` measures.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"
#include "kernels/testing/device_data.h"

namespace weft {
namespace {

DeviceCase norm_case(NormKind kind, DType dtype, int64_t rows, int64_t cols) {
  DeviceCase c;
  c.name = std::string(kind == NormKind::kRms ? "rms " : "layer ") +
           block_layout(testing::format_of(dtype)).name + " " + std::to_string(rows) + " x " +
           std::to_string(cols);
  const int64_t bytes = rows * cols * size_bytes(dtype);
  c.bytes = 2.0 * static_cast<double>(bytes);
  c.operations = (kind == NormKind::kRms ? 4.0 : 8.0) * static_cast<double>(rows * cols);
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    auto memory = DeviceOperands::allocate(stream, {bytes, bytes, cols * 4});
    if (!memory.ok()) return memory.status();
    return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
      const float* weight = m->as<float>(2, i);
      return stream.device()->ops().norm(
          {.norm = {kind, weight, kind == NormKind::kLayer ? weight : nullptr, 1e-5f},
           .dtype = dtype,
           .x = m->at(0, i),
           .y = m->at(1, i),
           .rows = rows,
           .cols = cols,
           .x_stride = cols,
           .y_stride = cols},
          stream);
    });
  };
  return c;
}

}  // namespace

std::vector<DeviceCase> norm_device_cases() {
  return {
      norm_case(NormKind::kRms, DType::kF32, 4096, 4096), norm_case(NormKind::kRms, DType::kBF16, 8192, 4096),
      norm_case(NormKind::kLayer, DType::kBF16, 8192, 1280), norm_case(NormKind::kRms, DType::kF32, 1, 4096)};
}

}  // namespace weft
