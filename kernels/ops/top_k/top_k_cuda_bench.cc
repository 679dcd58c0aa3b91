// What `weft bench kernels top_k --device` measures: the logits of one and of 32 sequences.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {

std::vector<DeviceCase> top_k_device_cases() {
  std::vector<DeviceCase> cases;
  constexpr int64_t kCols = 128256, kSize = sizeof(RankedValue);
  for (const auto& [rows, k] : {std::pair<int64_t, int64_t>{1, 1}, {32, 1}, {1, 40}, {32, 40}}) {
    DeviceCase c;
    c.name = "k " + std::to_string(k) + ", " + std::to_string(rows) + " x " + std::to_string(kCols);
    c.bytes = 4.0 * static_cast<double>(rows * kCols);
    c.make = [rows = rows, k = k](const DeviceStream& stream) -> Result<DeviceRun> {
      auto memory = DeviceOperands::allocate(
          stream, {rows * kCols * 4, rows * k * kSize, top_k_workspace(rows, kCols, k) * kSize});
      if (!memory.ok()) return memory.status();
      return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
        return stream.device()->ops().top_k(
            {m->as<float>(0, i), m->as<RankedValue>(1, i), rows, kCols, kCols, k, m->as<RankedValue>(2, i)},
            stream);
      });
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
