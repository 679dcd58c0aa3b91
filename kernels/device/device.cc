#include "kernels/device/device.h"

#include <cstring>
#include <deque>
#include <string>

#include "kernels/device/loader.h"
#include "kernels/device/pinned_buffer.h"

namespace weft {

Result<std::shared_ptr<ComputeDevice>> ComputeDevice::open(std::string_view name) {
  auto parsed = parse_device_name(name);
  if (!parsed.ok()) return parsed.status();
  auto library = load_device_library(parsed->kind);
  if (!library.ok()) return library.status();
  auto driver = (*library)->open(parsed->index);
  if (!driver.ok()) return std::move(driver.status()).at(std::string(name));
  return over(*std::move(driver));
}

std::shared_ptr<ComputeDevice> ComputeDevice::over(std::shared_ptr<DeviceDriver> driver) {
  return std::shared_ptr<ComputeDevice>(new ComputeDevice(std::move(driver)));
}

Result<DeviceStream> DeviceStream::create(std::shared_ptr<ComputeDevice> device) {
  auto native = device->driver().create_stream();
  if (!native.ok()) return native.status();
  auto state = std::make_shared<State>();
  state->device = std::move(device);
  state->native = *native;
  return DeviceStream(std::move(state));
}

DeviceStream DeviceStream::borrow(std::shared_ptr<ComputeDevice> device, NativeStream native) {
  auto state = std::make_shared<State>();
  state->device = std::move(device);
  state->native = native;
  state->owned = false;
  return DeviceStream(std::move(state));
}

Status DeviceStream::record(DeviceEvent& event) const { return driver().record(event.native(), native()); }
Status DeviceStream::wait(const DeviceEvent& event) const { return driver().wait(native(), event.native()); }

Result<DeviceEvent> DeviceEvent::create(const std::shared_ptr<ComputeDevice>& device) {
  auto native = device->driver().create_event();
  if (!native.ok()) return native.status();
  return DeviceEvent(device, *native);
}

Result<DeviceGraph> DeviceGraph::capture(const DeviceStream& stream, const std::function<Status()>& queue) {
  DeviceDriver& driver = stream.driver();
  if (Status begun = driver.begin_capture(stream.native()); !begun.ok()) return begun;
  Status queued = queue();
  auto native = driver.end_capture(stream.native());
  if (!native.ok()) return queued.ok() ? native.status() : queued;
  DeviceGraph graph(stream.device(), *native);
  if (!queued.ok()) return queued;
  return graph;
}

Result<DeviceBuffer> DeviceBuffer::allocate(const DeviceStream& stream, uint64_t size_bytes,
                                            const char* tag) {
  auto data = stream.driver().allocate(size_bytes, stream.native(), tag);
  if (!data.ok()) return data.status();
  DeviceBuffer memory;
  memory.stream_ = stream.state_;
  memory.data_ = *data;
  memory.size_bytes_ = size_bytes;
  return memory;
}

DeviceBuffer DeviceBuffer::borrow(void* data, uint64_t size_bytes) {
  DeviceBuffer memory;
  memory.data_ = data;
  memory.size_bytes_ = size_bytes;
  return memory;
}

Result<DeviceBuffer> DeviceBuffer::given_or_allocate(DeviceBuffer given, const DeviceStream& stream,
                                                     uint64_t size_bytes, const char* tag) {
  if (!given.data()) return allocate(stream, size_bytes, tag);
  if (given.size_bytes() >= size_bytes) return given;
  return Status(StatusCode::kOutOfMemory, std::string("the memory for the ") + tag + " is too small")
      .expected(std::to_string(size_bytes) + " bytes")
      .got(std::to_string(given.size_bytes()));
}

DeviceBuffer::~DeviceBuffer() {
  if (!data_ || !stream_) return;
  [[maybe_unused]] const Status told_by_the_next_call =
      stream_->device->driver().release(data_, stream_->native);
}

Result<PinnedBuffer> PinnedBuffer::allocate(std::shared_ptr<ComputeDevice> device, uint64_t size_bytes) {
  auto data = device->driver().allocate_pinned(size_bytes);
  if (!data.ok()) return data.status();
  PinnedBuffer memory;
  memory.device_ = std::move(device);
  memory.data_ = *data;
  memory.size_bytes_ = size_bytes;
  return memory;
}

/// A copy out of [begin, end) that the stream has not passed for certain.
struct StagingRing::State {
  struct Pending {
    uint64_t begin, end;
    DeviceEvent passed;
  };
  explicit State(DeviceStream used) : stream(std::move(used)) {}
  ~State() { [[maybe_unused]] const Status lost = stream.synchronize(); }

  /// Until nothing pending lies in [begin, end).
  Status wait_for(uint64_t begin, uint64_t end) {
    while (!pending.empty() && pending.front().begin < end && begin < pending.front().end) {
      auto passed = pending.front().passed.reached();
      if (!passed.ok()) return passed.status();
      if (!*passed) {
        if (Status status = stream.synchronize(); !status.ok()) return status;
      }
      pending.pop_front();
    }
    return {};
  }

  DeviceStream stream;
  PinnedBuffer memory;
  uint64_t next = 0;
  std::deque<Pending> pending;  // oldest first, as they lie in the ring
};

StagingRing::StagingRing(std::unique_ptr<State> state) : state_(std::move(state)) {}
StagingRing::StagingRing(StagingRing&&) noexcept = default;
StagingRing& StagingRing::operator=(StagingRing&&) noexcept = default;
StagingRing::~StagingRing() = default;

Result<StagingRing> StagingRing::create(const DeviceStream& stream, uint64_t size_bytes) {
  auto state = std::make_unique<State>(stream);
  auto memory = PinnedBuffer::allocate(stream.device(), size_bytes);
  if (!memory.ok()) return memory.status();
  state->memory = *std::move(memory);
  return StagingRing(std::move(state));
}

Status StagingRing::copy_to_device(void* to, std::span<const std::byte> from) {
  State& s = *state_;
  if (from.empty()) return {};
  if (from.size() > s.memory.size_bytes())
    return Status(StatusCode::kOutOfMemory, "more is staged at once than the ring holds")
        .expected("at most " + std::to_string(s.memory.size_bytes()) + " bytes")
        .got(std::to_string(from.size()));
  uint64_t begin = s.next;
  if (begin + from.size() > s.memory.size_bytes()) {
    if (Status status = s.wait_for(begin, s.memory.size_bytes()); !status.ok())
      return status;  // what is skipped
    begin = 0;
  }
  const uint64_t end = begin + from.size();
  if (Status status = s.wait_for(begin, end); !status.ok()) return status;
  auto passed = DeviceEvent::create(s.stream.device());
  if (!passed.ok()) return passed.status();
  std::memcpy(s.memory.data() + begin, from.data(), from.size());
  if (Status status = s.stream.copy_to_device(to, s.memory.data() + begin, from.size()); !status.ok())
    return status;
  if (Status status = s.stream.record(*passed); !status.ok()) return status;
  s.pending.push_back({begin, end, *std::move(passed)});
  s.next = end;
  return {};
}

}  // namespace weft
