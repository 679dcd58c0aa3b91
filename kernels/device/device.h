/// A device to compute on, opened by name, and what is owned on it: streams, events, graphs, memory, pinned
/// host memory.
///
///   Result<std::shared_ptr<ComputeDevice>> device = ComputeDevice::open("cuda:0");  // "simt:0": the kernels on the CPU, for tests
///   Result<DeviceStream> stream = DeviceStream::create(*device);
///   Result<DeviceBuffer> x = DeviceBuffer::allocate(*stream, 4 * count, "x");
///   Status copied = stream->copy_to_device(x->data(), values, 4 * count);
///   Status run = (*device)->ops().norm({...}, *stream);  // ops.h
///
/// Ownership: everything here keeps its device open, and memory its stream. Memory goes back on the stream that it was
/// allocated on: whoever used it on another one makes this one wait for an event first.
/// Thread safety: a device from any thread, everything else from one thread at a time.
#ifndef WEFT_KERNELS_DEVICE_DEVICE_H
#define WEFT_KERNELS_DEVICE_DEVICE_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "kernels/device/driver.h"

namespace weft {

class ComputeDevice {
 public:
  /// Loads the library of the device's kind from beside this one. Errors: kInvalidArgument (a name that is none), kNotFound (no such
  /// library, driver or device), kVersionMismatch (a library of another build), kOutOfMemory.
  static Result<std::shared_ptr<ComputeDevice>> open(std::string_view name);
  /// For tests: a driver that somebody else made.
  static std::shared_ptr<ComputeDevice> over(std::shared_ptr<DeviceDriver> driver);

  const DeviceFacts& facts() const { return driver_->facts(); }
  const DeviceOps& ops() const { return driver_->ops(); }
  DeviceDriver& driver() const { return *driver_; }

 private:
  explicit ComputeDevice(std::shared_ptr<DeviceDriver> driver) : driver_(std::move(driver)) {}
  std::shared_ptr<DeviceDriver> driver_;
};

class DeviceEvent;

class DeviceStream {
 public:
  static Result<DeviceStream> create(std::shared_ptr<ComputeDevice> device);
  /// Somebody else's stream, who keeps it longer.
  static DeviceStream borrow(std::shared_ptr<ComputeDevice> device, NativeStream native);

  const std::shared_ptr<ComputeDevice>& device() const { return state_->device; }
  NativeStream native() const { return state_->native; }
  Status record(DeviceEvent& event) const;
  Status wait(const DeviceEvent& event) const;
  Status synchronize() const { return driver().synchronize(native()); }
  // Host memory stays as it is until the stream has passed the copy.
  Status copy_to_device(void* to, const void* from, uint64_t size_bytes) const {
    return driver().copy_to_device(to, from, size_bytes, native());
  }
  Status copy_to_host(void* to, const void* from, uint64_t size_bytes) const {
    return driver().copy_to_host(to, from, size_bytes, native());
  }
  Status copy_within(void* to, const void* from, uint64_t size_bytes) const {
    return driver().copy_within(to, from, size_bytes, native());
  }

 private:
  friend class DeviceBuffer;
  friend class DeviceEvent;
  friend class DeviceGraph;
  struct State {
    std::shared_ptr<ComputeDevice> device;
    NativeStream native = nullptr;
    bool owned = true;
    ~State() {
      if (native && owned) device->driver().destroy_stream(native);
    }
  };
  DeviceDriver& driver() const { return state_->device->driver(); }
  explicit DeviceStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

class DeviceEvent {
 public:
  static Result<DeviceEvent> create(const std::shared_ptr<ComputeDevice>& device);
  DeviceEvent(DeviceEvent&& other) noexcept
      : device_(std::move(other.device_)), native_(std::exchange(other.native_, nullptr)) {}
  DeviceEvent& operator=(DeviceEvent&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(native_, other.native_);
    return *this;
  }
  ~DeviceEvent() {
    if (native_) device_->driver().destroy_event(native_);
  }
  NativeEvent native() const { return native_; }
  Result<bool> reached() const { return device_->driver().reached(native_); }

 private:
  DeviceEvent(std::shared_ptr<ComputeDevice> device, NativeEvent native)
      : device_(std::move(device)), native_(native) {}
  std::shared_ptr<ComputeDevice> device_;
  NativeEvent native_ = nullptr;
};

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// tag: names the memory in reports and errors. Errors: kOutOfMemory.
  static Result<DeviceBuffer> allocate(const DeviceStream& stream, uint64_t size_bytes, const char* tag);
  /// Somebody else's memory, who keeps it longer.
  static DeviceBuffer borrow(void* data, uint64_t size_bytes);
  /// `given`, or allocated memory if that is empty. Errors: kOutOfMemory (`given` is too small, too).
  static Result<DeviceBuffer> given_or_allocate(DeviceBuffer given, const DeviceStream& stream,
                                                uint64_t size_bytes, const char* tag);
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : stream_(std::move(other.stream_)),
        data_(std::exchange(other.data_, nullptr)),
        size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(stream_, other.stream_);
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }
  /// An error of the device, if it comes, is told by the next call on it.
  ~DeviceBuffer();

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  std::shared_ptr<DeviceStream::State> stream_;  // null: borrowed
  void* data_ = nullptr;
  uint64_t size_bytes_ = 0;
};

/// Work that is queued again and again as one piece, which costs the host one call instead of one each: the same kernels,
/// copies and fills with the same arguments, memory included, which has to live as long.
class DeviceGraph {
 public:
  /// Calls `queue`: what it queues on the stream is kept and not run. Only kernels, copies and fills may be queued. Errors: those
  /// of `queue`, of the device.
  static Result<DeviceGraph> capture(const DeviceStream& stream, const std::function<Status()>& queue);
  DeviceGraph(DeviceGraph&& other) noexcept
      : device_(std::move(other.device_)), native_(std::exchange(other.native_, nullptr)) {}
  DeviceGraph& operator=(DeviceGraph&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(native_, other.native_);
    return *this;
  }
  ~DeviceGraph() {
    if (native_) device_->driver().destroy_graph(native_);
  }
  /// On any stream of the device that it was captured on; not while it is at work on another.
  Status launch(const DeviceStream& stream) const { return stream.driver().launch(native_, stream.native()); }

 private:
  DeviceGraph(std::shared_ptr<ComputeDevice> device, NativeGraph native)
      : device_(std::move(device)), native_(native) {}
  std::shared_ptr<ComputeDevice> device_;
  NativeGraph native_ = nullptr;
};

/// Pinned host memory through which small things go to the device at every step: a ring whose parts come free as the stream
/// passes the copies out of them, so that the caller waits only when it is far ahead.
class StagingRing {
 public:
  static Result<StagingRing> create(const DeviceStream& stream, uint64_t size_bytes);
  StagingRing(StagingRing&&) noexcept;
  StagingRing& operator=(StagingRing&&) noexcept;
  /// Waits for the copies out of it.
  ~StagingRing();

  /// Copies `from` now, and to the device when the stream comes to it. Errors: kOutOfMemory (more bytes than the ring has).
  Status copy_to_device(void* to, std::span<const std::byte> from);

 private:
  struct State;
  explicit StagingRing(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
