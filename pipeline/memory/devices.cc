#include "pipeline/memory/devices.h"

#include <weft/sdk/device.h>

#include <algorithm>

namespace weft {

struct Devices::Open {
  ~Open() {
    if (pool) pool->finish();
  }

  std::unique_ptr<DevicePool> pool;
  std::unique_ptr<LimitPool> limited;
  std::mutex mutex;  // of what follows
  std::vector<std::unique_ptr<weft_stream>> streams;
  std::vector<weft_stream*> idle;
};

Devices::Devices(MemoryService& memory, uint64_t limit_bytes) : memory_(memory), limit_bytes_(limit_bytes) {}
Devices::~Devices() = default;

Devices::Open* Devices::find(weft_device device) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(
      open_, [&](const auto& one) { return sdk::same_device(one->pool->device(), device); });
  return found == open_.end() ? nullptr : found->get();
}

Status Devices::open(weft_device device) {
  if (device.kind == WEFT_DEVICE_CPU || find(device) != nullptr) return {};
  auto compute = ComputeDevice::open(sdk::device_name(device));
  if (!compute.ok()) return compute.status();
  const uint64_t memory_bytes = (*compute)->facts().memory_bytes;
  auto pool = DevicePool::create(*std::move(compute), device);
  if (!pool.ok()) return pool.status();
  auto opened = std::make_unique<Open>();
  opened->pool = *std::move(pool);
  opened->limited = std::make_unique<LimitPool>(
      *opened->pool, limit_bytes_ != 0 ? std::min(limit_bytes_, memory_bytes) : memory_bytes);
  const std::lock_guard lock(mutex_);
  const bool known = std::ranges::any_of(
      open_, [&](const auto& one) { return sdk::same_device(one->pool->device(), device); });
  if (known) return {};
  memory_.add(*opened->limited);
  open_.push_back(std::move(opened));
  return {};
}

uint64_t Devices::limit_bytes(weft_device device) const {
  const Open* open = find(device);
  return open ? open->limited->limit_bytes() : 0;
}

DevicePool* Devices::pool(weft_device device) const {
  const Open* open = find(device);
  return open ? open->pool.get() : nullptr;
}

std::string Devices::description(weft_device device) const {
  const Open* open = find(device);
  return open ? open->pool->compute_device()->facts().description : "";
}

Result<Devices::Stream> Devices::stream(weft_device device) {
  if (device.kind == WEFT_DEVICE_CPU) return Stream();
  Open* open = find(device);
  if (!open) return Status(StatusCode::kUnsupported, "the device is not open").at(sdk::device_name(device));
  {
    const std::lock_guard lock(open->mutex);
    if (!open->idle.empty()) {
      weft_stream* stream = open->idle.back();
      open->idle.pop_back();
      return Stream(open, stream);
    }
  }
  auto made = open->pool->create_stream();
  if (!made.ok()) return made.status();
  const std::lock_guard lock(open->mutex);
  open->idle.reserve(open->streams.size() + 1);  // so that giving it back cannot fail
  open->streams.push_back(*std::move(made));
  return Stream(open, open->streams.back().get());
}

Devices::Stream::~Stream() {
  if (!open_) return;
  const std::lock_guard lock(open_->mutex);
  open_->idle.push_back(stream_);
}

}  // namespace weft
