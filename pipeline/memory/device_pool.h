/// Memory of a device other than the CPU, and the order in which streams use a buffer of it.
///
/// A buffer's producer says when its contents are complete, consumers on other streams are made to wait for that, and the memory
/// goes back behind every use: on the stream of the only user at once, else on a stream of the pool's own that waits for all of
/// them, so that no stream of a node waits for memory. Streams of other libraries on the same device take part by their native
/// handles. Thread safety: any thread.
///
///   auto pool = DevicePool::create(*ComputeDevice::open("cuda:0"), {WEFT_DEVICE_CUDA, 0});
///   MemoryService memory({&cpu, pool->get()});
///   auto stream = (*pool)->create_stream();
#ifndef WEFT_PIPELINE_MEMORY_DEVICE_POOL_H
#define WEFT_PIPELINE_MEMORY_DEVICE_POOL_H

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/device/device.h"
#include "pipeline/memory/pool.h"
#include "pipeline/memory/stream.h"

namespace weft {

/// The streams that use one buffer.
class BufferUses {
 public:
  /// recycling: a stream that nobody computes on; outlives this.
  BufferUses(DeviceDriver& driver, weft_stream* producer, weft_stream* recycling)
      : driver_(driver), allocated_on_(producer), recycling_(recycling) {}
  ~BufferUses();
  BufferUses(const BufferUses&) = delete;
  BufferUses& operator=(const BufferUses&) = delete;

  /// The contents are complete at this place of the stream.
  Status ready(weft_stream* producer);
  enum class Access { kRead, kWrite };
  /// Makes the stream wait for complete contents; to write, for the places that others have left, too.
  Status acquire(weft_stream* consumer, Access access);
  /// The stream uses the buffer up to this place.
  Status leave(weft_stream* stream);
  /// Makes another library's stream wait for complete contents. Errors: kInvalidArgument (no stream of the device).
  Status hand_over(NativeStream foreign);
  /// That stream, which still exists, uses the buffer up to this place.
  Status leave_foreign(NativeStream foreign);
  /// Whether all uses that were noted are over.
  bool passed();
  /// A stream that is behind all uses now. last_use: null, or the stream of the last user.
  weft_stream* behind_all(weft_stream* last_use);

 private:
  /// Records the stream's place in `event`, which is made first where it is null.
  Status record(NativeEvent& event, NativeStream stream);

  DeviceDriver& driver_;
  weft_stream* const allocated_on_;
  weft_stream* const recycling_;
  std::mutex mutex_;
  NativeEvent ready_ = nullptr;
  std::vector<std::pair<NativeStream, NativeEvent>> left_;  // null: a stream that may exist no more
};

class DevicePool final : public Pool {
 public:
  /// as: how plugins know the device. Errors: those of a lost device.
  static Result<std::unique_ptr<DevicePool>> create(std::shared_ptr<ComputeDevice> device, weft_device as);
  ~DevicePool() override;

  weft_device device() const override { return as_; }
  /// stream: of this device. alignment: at most kDeviceAlignment. Where memory
  /// is short, waits for what was given back on this stream and by several. Errors: the driver's, kInvalidArgument.
  Result<void*> allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                         const char* tag) override;
  void deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                  weft_stream* last_use) noexcept override;
  std::unique_ptr<BufferUses> uses(weft_stream* producer) override;

  /// Calls `then` when the buffer's uses so far are passed: at once, at one of the pool's next calls, or in finish(), on
  /// whatever thread that is. Waits for nothing. For memory that somebody else takes back.
  void when_passed(BufferUses& uses, weft_stream* last_use, std::function<void()> then);
  /// Waits for what when_passed() has not called yet, and calls it: before the pool's streams go.
  void finish();

  /// Gives memory that nobody uses back to the device until at most so much is reserved.
  Status trim(uint64_t keep_bytes);
  /// What the device's pool has handed out and what it keeps, by all who share the device.
  DevicePoolStatistics statistics() const { return device_->driver().pool_statistics(); }
  const std::shared_ptr<ComputeDevice>& compute_device() const { return device_; }

  /// A stream of this device; everything allocated on it is gone before it goes.
  Result<std::unique_ptr<weft_stream>> create_stream();

 private:
  struct Pending {
    NativeEvent passed;  // of the recycling stream
    std::function<void()> then;
  };
  DevicePool(std::shared_ptr<ComputeDevice> device, weft_device as) : device_(std::move(device)), as_(as) {}
  void call_passed();

  const std::shared_ptr<ComputeDevice> device_;
  const weft_device as_;
  std::unique_ptr<weft_stream> recycling_;
  std::mutex mutex_;
  std::deque<Pending> pending_;  // as they were queued
};

}  // namespace weft
#endif
