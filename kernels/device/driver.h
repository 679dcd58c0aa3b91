/// What a device can do, as a table of plain calls: memory, streams, events, copies and kernels. A library that is loaded at
/// run time fills it (loader.h): CUDA's where there is a driver, and for tests one whose kernels run on the CPU, so that the
/// same host code drives both. Callers use device.h, which owns what this hands out.
///
/// Streams: work queued on one stream runs in the order of the calls, behind whatever events it was told to wait for, and
/// otherwise at any time; all calls but synchronize() and the allocation of pinned memory return at once.
/// Errors: of the call itself. What goes wrong while queued work runs is told by the next call on the device, and by each one
/// after it, as kDeviceLost: such a device is lost, and does nothing more for this process (lost_device.h).
/// Thread safety: any thread. What several threads queue on one stream runs in the order in which their calls came.
#ifndef WEFT_KERNELS_DEVICE_DRIVER_H
#define WEFT_KERNELS_DEVICE_DRIVER_H

#include <weft/sdk/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

// CUDA's own names, so that kernels take the handles as they are.
struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;
struct CUmemPoolHandle_st;

namespace weft {

struct DeviceOps;
using NativeStream = CUstream_st*;
using NativeEvent = CUevent_st*;
using NativeGraph = CUgraphExec_st*;
using NativePool = CUmemPoolHandle_st*;

/// Where memory from a driver begins: a multiple of this.
inline constexpr uint64_t kDeviceAlignment = 256;

struct DeviceFacts {
  std::string name;         // "cuda:0": how pipelines call it
  std::string description;  // "NVIDIA H100 80GB HBM3"
  uint64_t memory_bytes = 0;
  int compute_major = 0, compute_minor = 0;  // 9, 0; 0, 0: none
  int multiprocessors = 0;
  double clock_hz = 0;  // of a multiprocessor, at most; 0: unknown
};

/// Of the driver's stream-ordered pool.
struct DevicePoolStatistics {
  uint64_t used_bytes = 0;       // handed out
  uint64_t peak_used_bytes = 0;  // since the device was opened
  uint64_t reserved_bytes = 0;   // taken from the device: used, and kept for the next allocations
};

/// Bytes that copies were asked for, since the device was opened; those in graphs count at each launch.
struct DeviceCopies {
  uint64_t to_device_bytes = 0, to_host_bytes = 0, within_bytes = 0;
};

/// A block of memory for other processes of this machine, with two events: plain bytes, to be sent in whatever way.
struct SharedBlock {
  uint64_t size_bytes = 0;
  std::array<std::byte, 64> memory{}, ready{}, returned{};
};

/// A block of another process in this one.
struct OpenedBlock {
  void* data = nullptr;
  NativeEvent ready = nullptr, returned = nullptr;
};

class DeviceDriver {
 public:
  virtual ~DeviceDriver() = default;
  virtual const DeviceFacts& facts() const = 0;
  virtual const DeviceOps& ops() const = 0;

  virtual Result<NativeStream> create_stream() = 0;
  virtual void destroy_stream(NativeStream stream) noexcept = 0;  // behind the work queued on it
  virtual Result<NativeEvent> create_event() = 0;
  virtual void destroy_event(NativeEvent event) noexcept = 0;
  /// The event comes true when the stream has done what is queued on it now; before any record() it is true.
  virtual Status record(NativeEvent event, NativeStream stream) = 0;
  /// What is queued on the stream from now on waits for the event as it was recorded last.
  virtual Status wait(NativeStream stream, NativeEvent event) = 0;
  virtual Result<bool> reached(NativeEvent event) = 0;
  virtual Status synchronize(NativeStream stream) = 0;

  /// Memory for work queued on the stream from now on, and behind that on others by events; at least one byte. Contents are
  /// undefined. A block that another stream gave back is only handed out where that stream is known to have passed the place: no
  /// stream is ever made to wait for memory. Errors: kOutOfMemory, with the bytes.
  virtual Result<void*> allocate(uint64_t size_bytes, NativeStream stream, const char* tag) = 0;
  /// Behind what is queued on the stream now.
  virtual Status release(void* data, NativeStream stream) = 0;
  virtual DevicePoolStatistics pool_statistics() const = 0;
  /// Gives unused memory back to the device until at most `keep_bytes` are reserved.
  virtual Status trim(uint64_t keep_bytes) = 0;
  /// What synchronize() trims the pool to; everything is kept, before the first call.
  virtual Status set_release_threshold(uint64_t keep_bytes) = 0;

  /// Host memory that the device reaches by itself: copies from and to it do not hold up the caller.
  virtual Result<void*> allocate_pinned(uint64_t size_bytes) = 0;
  virtual void release_pinned(void* data) noexcept = 0;

  // Host memory stays as it is until the stream has passed the copy.
  virtual Status copy_to_device(void* to, const void* from, uint64_t size_bytes, NativeStream stream) = 0;
  virtual Status copy_to_host(void* to, const void* from, uint64_t size_bytes, NativeStream stream) = 0;
  virtual Status copy_within(void* to, const void* from, uint64_t size_bytes, NativeStream stream) = 0;
  virtual DeviceCopies copies() const = 0;
  virtual Status fill(void* to, uint8_t value, uint64_t size_bytes, NativeStream stream) = 0;

  /// From here to end_capture() kernels, copies and fills on the stream are kept and not run; other calls on it are errors.
  virtual Status begin_capture(NativeStream stream) = 0;
  /// Also after an error, to leave the state. What was kept, to be launched on any stream of
  /// the device as one piece of work, one launch after the other.
  virtual Result<NativeGraph> end_capture(NativeStream stream) = 0;
  virtual Status launch(NativeGraph graph, NativeStream stream) = 0;
  virtual void destroy_graph(NativeGraph graph) noexcept = 0;  // behind its launches

  // Blocks between processes. The exporter owns block and events, and gives them back last: when the importer has closed the block
  // and has said so, in whatever way the two talk, a stream that waits for `returned` may release the block. An exporter that
  // releases it before, or ends, leaves undefined contents to the importer (simt:0 is lost, rather, where it waits for one that ended
  // without having come to `ready`); an importer that ends has closed its blocks.
  /// As allocate(), from a pool that other processes can open. It is made by the first call, and keeps what is released to it.
  virtual Result<void*> allocate_shared(uint64_t size_bytes, NativeStream stream, const char* tag) = 0;
  /// That pool, as a file descriptor that an importer needs once (SCM_RIGHTS sends it). The caller closes it. Errors: kUnsupported.
  virtual Result<int> export_pool() = 0;
  /// An event for SharedBlock, destroyed as others are.
  virtual Result<NativeEvent> create_shared_event() = 0;
  /// data: of allocate_shared(). ready: the contents are complete; recorded before the importer opens the block. returned: for the
  /// importer to record. Errors: kInvalidArgument (no such block, events that are not shared), the driver's.
  virtual Result<SharedBlock> export_block(void* data, uint64_t size_bytes, NativeEvent ready,
                                           NativeEvent returned) = 0;
  /// The pool of another process; the descriptor stays the caller's. Errors: kInvalidArgument, the driver's.
  virtual Result<NativePool> open_pool(int descriptor) = 0;
  virtual void close_pool(NativePool pool) noexcept = 0;  // behind its blocks
  /// Streams wait for `ready` before they use the block. Errors: kInvalidArgument, the driver's.
  virtual Result<OpenedBlock> open_block(NativePool pool, const SharedBlock& block) = 0;
  /// Behind what is queued on the stream, where `returned` is recorded; both events go.
  virtual Status close_block(const OpenedBlock& block, NativeStream last_use) = 0;

  /// Lets kernels and copies of another device of this kind use what allocate() gives on this one. Errors: kUnsupported.
  virtual Status allow_peer(int index) = 0;
};

}  // namespace weft
#endif
