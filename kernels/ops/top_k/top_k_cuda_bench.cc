// What `weft bench kernels top_k --device` measures: the logits of one and of 32 sequences.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {

std::vector<DeviceCase> top_k_device_cases() {
  std::vector<DeviceCase> cases;
  constexpr int64_t kCols = 128256;
  for (const auto& [rows, k] : {std::pair<int64_t, int64_t>{1, 1}, {32, 1}, {1, 40}}) {
    DeviceCase c;
    c.name = "k " + std::to_string(k) + ", " + std::to_string(rows) + " x " + std::to_string(kCols);
    c.bytes = 4.0 * static_cast<double>(rows * kCols);
    c.make = [rows = rows, k = k](const DeviceStream& stream) -> Result<DeviceRun> {
      auto memory = DeviceOperands::allocate(
          stream, {rows * kCols * 4, rows * k * static_cast<int64_t>(sizeof(RankedValue))});
      if (!memory.ok()) return memory.status();
      return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
        return stream.device()->ops().top_k(
            {m->as<float>(0, i), m->as<RankedValue>(1, i), rows, kCols, kCols, k}, stream);
      });
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
