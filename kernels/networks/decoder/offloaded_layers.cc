#include "kernels/networks/decoder/offloaded_layers.h"

#include <algorithm>
#include <utility>

namespace weft {

Result<OffloadedLayers> OffloadedLayers::create(const DeviceStream& stream, int64_t first,
                                                std::vector<int64_t> layer_bytes, std::byte* slots) {
  auto copies = DeviceStream::create(stream.device());
  if (!copies.ok()) return copies.status();
  OffloadedLayers layers(*std::move(copies));
  layers.first_ = first;
  layers.slots_ = slots;
  int64_t total = 0;
  for (const int64_t bytes : layer_bytes) {
    layers.begins_.push_back(total);
    layers.slot_bytes_ = std::max(layers.slot_bytes_, bytes);
    total += bytes;
  }
  layers.layer_bytes_ = std::move(layer_bytes);
  auto memory = PinnedBuffer::allocate(stream.device(), static_cast<uint64_t>(total));
  if (!memory.ok()) return memory.status();
  layers.memory_ = *std::move(memory);
  for (int64_t i = 0; i < kSlots; ++i) {
    for (std::vector<DeviceEvent>* events : {&layers.arrived_, &layers.left_}) {
      auto event = DeviceEvent::create(stream.device());
      if (!event.ok()) return event.status();
      events->push_back(*std::move(event));
    }
  }
  return layers;
}

Status OffloadedLayers::keep(int64_t layer, const DeviceStream& stream) {
  const auto i = static_cast<size_t>(layer - first_);
  Status copied =
      stream.copy_to_host(memory_.data() + begins_[i], slot(layer), static_cast<uint64_t>(layer_bytes_[i]));
  Status passed = stream.synchronize();
  return copied.ok() ? passed : copied;
}

Status OffloadedLayers::begin() {
  for (int64_t i = 0; i < std::min(kSlots, n_layers()); ++i) {
    if (Status sent = send(first_ + i); !sent.ok()) return sent;
  }
  return {};
}

Status OffloadedLayers::send(int64_t layer) {
  const auto i = static_cast<size_t>(layer - first_);
  Status copied = copies_.copy_to_device(slot(layer), memory_.data() + begins_[i],
                                         static_cast<uint64_t>(layer_bytes_[i]));
  return copied.ok() ? copies_.record(arrived_[i % kSlots]) : copied;
}

Status OffloadedLayers::arrive(int64_t layer, const DeviceStream& stream) const {
  return stream.wait(arrived_[static_cast<size_t>((layer - first_) % kSlots)]);
}

Status OffloadedLayers::leave(int64_t layer, const DeviceStream& stream) {
  const int64_t next = layer + kSlots;
  if (next - first_ >= n_layers()) return {};
  DeviceEvent& left = left_[static_cast<size_t>((layer - first_) % kSlots)];
  Status status = stream.record(left);
  if (status.ok()) status = copies_.wait(left);
  return status.ok() ? send(next) : status;
}

}  // namespace weft
