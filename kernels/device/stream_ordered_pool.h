/// A stream-ordered pool for devices that have none of their own, with the rules of CUDA's (cudaMemPoolReuseFollowEventDependencies
/// and opportunistic reuse on, internal dependencies off).
///
/// A block that was given back is kept. It is handed out again
///   - to the stream that gave it back, at once: that stream's order keeps the uses apart;
///   - to a stream that has waited for an event after the place where it was given back;
///   - to any stream, once that place has been passed.
/// No stream is made to wait for another. Thread safety: any thread.
#ifndef WEFT_KERNELS_DEVICE_STREAM_ORDERED_POOL_H
#define WEFT_KERNELS_DEVICE_STREAM_ORDERED_POOL_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>

#include "kernels/device/driver.h"
#include "kernels/device/host_arena.h"
#include "kernels/device/host_stream.h"

namespace weft {

class StreamOrderedPool {
 public:
  /// arena: outlives the pool.
  explicit StreamOrderedPool(HostArena& arena) : arena_(arena) {}

  struct Block {
    void* data = nullptr;
    uint64_t size_bytes = 0;  // as asked for
  };
  /// Where no block may be reused and the arena is full, blocks whose place has been passed are given back to it first.
  /// Errors: kOutOfMemory.
  Result<Block> allocate(uint64_t size_bytes, const HostStream& stream, const char* tag);
  /// Returns the block that began there. Errors: kInvalidArgument (no such block is handed out).
  Result<Block> release(void* data, const HostStream& stream);

  DevicePoolStatistics statistics() const;
  /// Gives kept blocks whose place has been passed back to the arena, oldest first, until at most so many bytes are
  /// reserved, those in use among them.
  void trim(uint64_t keep_bytes);

 private:
  struct Kept {
    void* data;
    uint64_t reserved_bytes;
    Mark given_back;
  };
  struct Used {
    uint64_t size_bytes, reserved_bytes;
  };
  void trim_locked(uint64_t keep_bytes);

  HostArena& arena_;
  mutable std::mutex mutex_;
  std::list<Kept> kept_;  // oldest first
  std::unordered_map<void*, Used> used_;
  uint64_t used_bytes_ = 0, peak_used_bytes_ = 0, kept_bytes_ = 0;
};

}  // namespace weft
#endif
