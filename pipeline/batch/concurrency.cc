#include "pipeline/batch/concurrency.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "pipeline/plan/plan.h"

namespace weft {

uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (uint64_t kib = 0; file >> name >> kib >> unit;) {
    if (name == "MemAvailable:") return kib << 10;
  }
  return 0;
}

BatchPlan plan_of(const PreparedRun& prepared, uint32_t wanted, uint32_t threads, uint64_t limit_bytes) {
  BatchPlan plan;
  for (const DeviceMemory& device : prepared.plan().devices) {
    if (device.device.kind != WEFT_DEVICE_CPU) continue;
    plan.weight_bytes += device.weight_bytes;
    plan.mapped_bytes += device.mapped_bytes;
    plan.bytes_per_item += device.state_bytes + device.workspace_bytes + device.value_bytes;
  }
  plan.seconds_per_item = prepared.plan().total_seconds;
  if (prepared.shared_by_items()) {
    plan.concurrency = prepared.items_at_once();
    plan.bytes_per_item /= plan.concurrency;  // the plan is for all of them
    return plan;
  }
  // So many times the plan of one; the weights are there once.
  const uint64_t limit = limit_bytes != 0 ? limit_bytes : wanted != 0 ? UINT64_MAX : available_bytes();
  const uint64_t left = limit > plan.weight_bytes ? limit - plan.weight_bytes : 0;
  const uint64_t fitting = plan.bytes_per_item == 0 ? UINT32_MAX : left / plan.bytes_per_item;
  plan.concurrency =
      static_cast<uint32_t>(std::clamp<uint64_t>(fitting, 1, wanted != 0 ? wanted : std::max(threads, 1u)));
  return plan;
}

}  // namespace weft
