/// Host memory that a device reads and writes by itself, when its streams come to it.
///
/// Ownership: keeps its device open. Whoever lets go of it has waited for the copies that concern it.
/// Thread safety: one thread at a time.
///
///   Result<PinnedBuffer> rows = PinnedBuffer::allocate(device, 4 * count);
///   Status copied = stream.copy_to_host(rows->data(), x.data(), 4 * count);
#ifndef WEFT_KERNELS_DEVICE_PINNED_BUFFER_H
#define WEFT_KERNELS_DEVICE_PINNED_BUFFER_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "kernels/device/device.h"

namespace weft {

class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  /// Errors: kOutOfMemory.
  static Result<PinnedBuffer> allocate(std::shared_ptr<ComputeDevice> device, uint64_t size_bytes);
  PinnedBuffer(PinnedBuffer&& other) noexcept { *this = std::move(other); }
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }
  ~PinnedBuffer() {
    if (data_) device_->driver().release_pinned(data_);
  }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  std::shared_ptr<ComputeDevice> device_;
  void* data_ = nullptr;
  uint64_t size_bytes_ = 0;
};

}  // namespace weft
#endif
