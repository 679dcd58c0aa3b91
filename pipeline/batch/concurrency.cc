#include "pipeline/batch/concurrency.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace weft {
namespace {

/// What the system says can be had without swapping; 0 if it does not say.
uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (uint64_t kib = 0; file >> name >> kib >> unit;) {
    if (name == "MemAvailable:") return kib << 10;
  }
  return 0;
}

}  // namespace

ItemMemory item_memory(const Plan& plan) {
  ItemMemory memory;
  for (const DeviceMemory& device : plan.devices) {
    if (device.device.kind != WEFT_DEVICE_CPU) continue;
    memory.weight_bytes += device.weight_bytes;
    memory.mapped_bytes += device.mapped_bytes;
    memory.bytes_per_item += device.state_bytes + device.workspace_bytes + device.value_bytes;
  }
  return memory;
}

Result<uint32_t> choose_concurrency(const ItemMemory& memory, uint32_t wanted, uint32_t threads,
                                    uint64_t limit_bytes) {
  const uint64_t limit = limit_bytes != 0 ? limit_bytes : available_bytes();
  // Weights beyond the limit take turns, as in a single run; items beside each other would only wait then.
  const uint64_t left = limit > memory.weight_bytes ? limit - memory.weight_bytes : 0;
  const uint64_t fitting = memory.bytes_per_item == 0 ? UINT32_MAX : left / memory.bytes_per_item;
  if (wanted == 0) return static_cast<uint32_t>(std::clamp<uint64_t>(fitting, 1, std::max(threads, 1u)));
  if (limit_bytes == 0 || wanted == 1 || wanted <= fitting) return wanted;
  return Status(StatusCode::kOutOfMemory, "so many items at once do not fit the memory limit")
      .at("--concurrency")
      .expected("at most " + std::to_string(std::max<uint64_t>(fitting, 1)) + ": " +
                std::to_string(memory.weight_bytes) + " bytes of weights and " +
                std::to_string(memory.bytes_per_item) + " for each item")
      .got(std::to_string(wanted) + " within " + std::to_string(limit_bytes) + " bytes")
      .hint("leave --concurrency to Weft, or give more with --max-memory");
}

}  // namespace weft
