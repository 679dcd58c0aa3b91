/// A driver whose device is this process: memory from a HostArena, streams that are threads. It runs no kernels: tests of what
/// is done with streams and memory use it as it is, kernels/simt/ adds kernels to it.
///
/// Nothing is more generous than a real device is: copies run when their stream comes to them and not in the call, memory is
/// NaN when it is handed out and when it was given back, copies outside of what is allocated lose the device, and the host
/// cannot touch the memory (host_arena.h).
#ifndef WEFT_KERNELS_DEVICE_HOST_DRIVER_H
#define WEFT_KERNELS_DEVICE_HOST_DRIVER_H

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/device/copy_counters.h"
#include "kernels/device/driver.h"
#include "kernels/device/host_arena.h"
#include "kernels/device/host_stream.h"
#include "kernels/device/stream_ordered_pool.h"

namespace weft {

struct HostDriverOptions {
  std::string name = "host:0";
  uint64_t memory_bytes = 256ull << 20;
  uint32_t delay_seed = 0;       // of HostStream
  uint64_t fail_allocation = 0;  // the Nth allocation fails; 0: none
};

class HostDriver : public DeviceDriver {
 public:
  /// Errors: kOutOfMemory (no such range of addresses).
  static Result<std::unique_ptr<HostDriver>> create(HostDriverOptions options);
  ~HostDriver() override;

  const DeviceFacts& facts() const override { return facts_; }
  const DeviceOps& ops() const override;
  Result<NativeStream> create_stream() override;
  void destroy_stream(NativeStream stream) noexcept override;
  Result<NativeEvent> create_event() override;
  void destroy_event(NativeEvent event) noexcept override;
  Status record(NativeEvent event, NativeStream stream) override;
  Status wait(NativeStream stream, NativeEvent event) override;
  Result<bool> reached(NativeEvent event) override;
  Status synchronize(NativeStream stream) override;
  Result<void*> allocate(uint64_t size_bytes, NativeStream stream, const char* tag) override;
  Status release(void* data, NativeStream stream) override;
  DevicePoolStatistics pool_statistics() const override { return pool_.statistics(); }
  Status trim(uint64_t keep_bytes) override;
  Status set_release_threshold(uint64_t keep_bytes) override;
  Result<void*> allocate_pinned(uint64_t size_bytes) override;
  void release_pinned(void* data) noexcept override;
  Status copy_to_device(void* to, const void* from, uint64_t size_bytes, NativeStream stream) override;
  Status copy_to_host(void* to, const void* from, uint64_t size_bytes, NativeStream stream) override;
  Status copy_within(void* to, const void* from, uint64_t size_bytes, NativeStream stream) override;
  DeviceCopies copies() const override { return copies_.total(); }
  Status fill(void* to, uint8_t value, uint64_t size_bytes, NativeStream stream) override;
  Status begin_capture(NativeStream stream) override;
  Result<NativeGraph> end_capture(NativeStream stream) override;
  Status launch(NativeGraph graph, NativeStream stream) override;
  void destroy_graph(NativeGraph graph) noexcept override;
  Result<void*> allocate_shared(uint64_t size_bytes, NativeStream stream, const char* tag) override {
    return allocate(size_bytes, stream, tag);  // all of the memory can be shared
  }
  Result<int> export_pool() override;
  Result<NativeEvent> create_shared_event() override;
  Result<SharedBlock> export_block(void* data, uint64_t size_bytes, NativeEvent ready,
                                   NativeEvent returned) override;
  Result<NativePool> open_pool(int descriptor) override;
  void close_pool(NativePool pool) noexcept override;
  Result<OpenedBlock> open_block(NativePool pool, const SharedBlock& block) override;
  Status close_block(const OpenedBlock& block, NativeStream last_use) override;
  Status allow_peer(int index) override;

 protected:
  HostDriver(HostDriverOptions options, std::unique_ptr<HostArena> arena);

  /// The handle of a new stream, and its end; a driver with kernels has its own.
  virtual NativeStream make_handle(HostStream& stream);
  virtual void drop_handle(NativeStream handle) noexcept;

  /// Ends all streams, behind their work. For destructors of drivers whose handles that work uses.
  void end_streams();
  /// Runs queued work of a kernel, with the memory open.
  Status enqueue_kernel(HostStream& stream, HostStream::Work work);

  struct Allocation {
    std::string tag;
    uintptr_t begin = 0, end = 0;
    int opened = 0;  // how often, of a block of another process
  };
  /// What is allocated now, in the order of streams; for queued work.
  std::vector<Allocation> allocations() const;

  DeviceFacts facts_;

 private:
  struct Event {
    std::mutex mutex;
    Mark mark;
    std::shared_ptr<SharedFile::Event> shared;  // of a shared one; work that is queued keeps it, too
    bool ours = false;                          // made here, not opened
  };
  struct Pool {
    std::shared_ptr<SharedFile> file;
  };
  struct Graph {
    std::vector<HostStream::Work> work;
  };
  HostStream& stream_of(NativeStream handle);
  /// Of a handle that another library gives. Errors: kInvalidArgument.
  Status expect_stream(NativeStream handle);
  /// The device's state; an error too for a stream that is captured.
  Status ready_for_more(const HostStream& stream) const;
  Status expect_allocated(const void* data, uint64_t size_bytes, const char* what) const;
  Status enqueue(NativeStream stream, HostStream::Work work);

  const HostDriverOptions options_;
  DeviceHealth health_;
  std::unique_ptr<HostArena> arena_;
  StreamOrderedPool pool_;
  CopyCounters copies_;
  std::atomic<uint64_t> n_allocations_{0};
  std::atomic<uint64_t> release_threshold_bytes_{UINT64_MAX};
  mutable std::mutex allocations_mutex_;
  std::map<uintptr_t, Allocation> allocations_;
  std::mutex streams_mutex_;
  uint32_t n_streams_made_ = 0;
  std::unordered_map<NativeStream, std::unique_ptr<HostStream>>
      streams_;  // last: their work uses all of the above
};

}  // namespace weft
#endif
