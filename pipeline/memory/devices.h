/// The devices of a host besides the CPU: each is opened when a plan names it, and stays open, with a pool that the memory
/// service serves and streams that are used again and again.
///
/// Ownership: outlives every buffer, stream and run that is on a device. Thread safety: any thread.
///
///   Devices devices(memory, limit_bytes);
///   Status opened = devices.open({WEFT_DEVICE_CUDA, 0});
///   Result<Devices::Stream> stream = devices.stream({WEFT_DEVICE_CUDA, 0});
#ifndef WEFT_PIPELINE_MEMORY_DEVICES_H
#define WEFT_PIPELINE_MEMORY_DEVICES_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/device_pool.h"

namespace weft {

class Devices {
  struct Open;

 public:
  /// memory: gets the pool of every device that is opened. limit_bytes: of each device's memory; 0: all of it.
  Devices(MemoryService& memory, uint64_t limit_bytes);
  ~Devices();
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;

  /// Nothing to do for the CPU, and for a device that is open. Errors: those of ComputeDevice::open().
  Status open(weft_device device);
  /// What plans may use of a device that is open: its memory, or less if there is a limit. 0 for the CPU.
  uint64_t limit_bytes(weft_device device) const;
  /// Of a device that is open, for memory of other libraries (dlpack.h); null for the CPU.
  DevicePool* pool(weft_device device) const;
  /// "NVIDIA H100 80GB HBM3"; "" for a device that is not open.
  std::string description(weft_device device) const;

  /// A stream that nobody else uses while this lives. Move-only.
  class Stream {
   public:
    Stream() = default;  // the CPU's
    Stream(Stream&& other) noexcept { *this = std::move(other); }
    Stream& operator=(Stream&& other) noexcept {
      std::swap(open_, other.open_);
      std::swap(stream_, other.stream_);
      return *this;
    }
    ~Stream();
    /// Null for the CPU's.
    weft_stream* get() const { return stream_; }

   private:
    friend class Devices;
    Stream(Open* open, weft_stream* stream) : open_(open), stream_(stream) {}
    Open* open_ = nullptr;
    weft_stream* stream_ = nullptr;
  };
  /// Errors: kUnsupported (the device is not open), those of a lost device.
  Result<Stream> stream(weft_device device);

 private:
  Open* find(weft_device device) const;

  MemoryService& memory_;
  const uint64_t limit_bytes_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Open>> open_;
};

}  // namespace weft
#endif
