// What `weft bench kernels softmax --device` measures.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {

std::vector<DeviceCase> softmax_device_cases() {
  std::vector<DeviceCase> cases;
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{8192, 4096}, {32, 49152}}) {
    DeviceCase c;
    c.name = "f32 " + std::to_string(rows) + " x " + std::to_string(cols);
    c.bytes = 8.0 * static_cast<double>(rows * cols);
    c.make = [rows = rows, cols = cols](const DeviceStream& stream) -> Result<DeviceRun> {
      auto memory = DeviceOperands::allocate(stream, {rows * cols * 4, rows * cols * 4});
      if (!memory.ok()) return memory.status();
      return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
        return stream.device()->ops().softmax({.scale = 1,
                                               .x = m->as<float>(0, i),
                                               .x_stride = cols,
                                               .y = m->as<float>(1, i),
                                               .y_stride = cols,
                                               .rows = rows,
                                               .cols = cols},
                                              stream);
      });
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
