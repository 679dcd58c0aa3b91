/// Layers of a decoder whose weights wait in the host's memory and come to the device when a pass needs them. Private to the decoder.
///
/// Two slots on the device take turns: while one layer computes, the next one arrives on a stream of its own. All of a layer is one
/// copy, in the places that it has in its slot, so that its addresses never change.
///
/// Ownership: owns the host's memory (pinned) and its stream; the slots are the caller's and outlive it. Thread safety: one pass at a
/// time. A pass ends with its stream synchronized, whatever came of it: then nothing reads a slot.
///
///   for (int64_t i = first; i < n_layers; ++i) fill layers.slot(i), then layers.keep(i, stream);   // at load
///   layers.begin();                                                                                // of a pass
///   layers.arrive(i, stream); ...; layers.leave(i, stream);                                        // each layer
#ifndef WEFT_KERNELS_NETWORKS_DECODER_OFFLOADED_LAYERS_H
#define WEFT_KERNELS_NETWORKS_DECODER_OFFLOADED_LAYERS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/pinned_buffer.h"

namespace weft {

class OffloadedLayers {
 public:
  static constexpr int64_t kSlots = 2;

  /// Those from `first` to the last. layer_bytes: of each of them. slots: kSlots times the largest. Errors: kOutOfMemory.
  static Result<OffloadedLayers> create(const DeviceStream& stream, int64_t first,
                                        std::vector<int64_t> layer_bytes, std::byte* slots);

  bool has(int64_t layer) const { return layer >= first_; }
  std::byte* slot(int64_t layer) const { return slots_ + (layer - first_) % kSlots * slot_bytes_; }
  /// Takes what is in the layer's slot to the host, and waits for it.
  Status keep(int64_t layer, const DeviceStream& stream);

  /// The first of them are on their way from here on. Precondition: no pass is at work.
  Status begin();
  /// What is queued on the stream from now on finds the layer's weights in its slot.
  Status arrive(int64_t layer, const DeviceStream& stream) const;
  /// Behind what is queued on the stream now the slot is the next one's.
  Status leave(int64_t layer, const DeviceStream& stream);

 private:
  explicit OffloadedLayers(DeviceStream copies) : copies_(std::move(copies)) {}
  Status send(int64_t layer);
  int64_t n_layers() const { return static_cast<int64_t>(layer_bytes_.size()); }

  DeviceStream copies_;
  int64_t first_ = 0, slot_bytes_ = 0;
  std::vector<int64_t> layer_bytes_, begins_;  // in memory_
  std::byte* slots_ = nullptr;
  PinnedBuffer memory_;
  std::vector<DeviceEvent> arrived_, left_;  // of each slot
};

}  // namespace weft
#endif
