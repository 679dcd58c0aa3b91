// What `weft bench kernels activation --device` measures: the gated activations of a prompt's MLP.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"
#include "kernels/testing/device_data.h"

namespace weft {

std::vector<DeviceCase> activation_device_cases() {
  std::vector<DeviceCase> cases;
  constexpr int64_t kRows = 2048, kCols = 11008;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    DeviceCase c;
    c.name = std::string("swiglu ") + block_layout(testing::format_of(dtype)).name + " " +
             std::to_string(kRows) + " x " + std::to_string(kCols);
    const int64_t bytes = kRows * kCols * size_bytes(dtype);
    c.bytes = 3.0 * static_cast<double>(bytes);
    c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
      auto memory = DeviceOperands::allocate(stream, {bytes, bytes, bytes});
      if (!memory.ok()) return memory.status();
      return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
        return stream.device()->ops().activation({.f = Activation::kSilu,
                                                  .dtype = dtype,
                                                  .gate = m->at(0, i),
                                                  .up = m->at(1, i),
                                                  .y = m->at(2, i),
                                                  .rows = kRows,
                                                  .cols = kCols,
                                                  .gate_stride = kCols,
                                                  .up_stride = kCols,
                                                  .y_stride = kCols},
                                                 stream);
      });
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
