/// Reference-counted device memory, and the memory table that plugins get.
///
/// A buffer is created with one reference and goes back where it came from when the last one is released.
/// MemoryService owns no pool: it hands out buffers of the pools that it is given, one a device, and outlives
/// every buffer. Thread safety: any thread.
#ifndef WEFT_PIPELINE_MEMORY_BUFFER_H
#define WEFT_PIPELINE_MEMORY_BUFFER_H

#include <weft/abi/memory.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "pipeline/memory/pool.h"
#include "pipeline/memory/stream.h"

/// The handle that plugins see.
struct weft_buffer {
  std::atomic<uint32_t> references{1};
  uint32_t alignment = 0;
  weft_device device{WEFT_DEVICE_CPU, 0};
  void* data = nullptr;
  uint64_t size_bytes = 0;
  /// Gives the memory back, called once, behind the work queued on last_use (null: the CPU's). `owner` is the
  /// pool, or what a foreign buffer (DLPack, a mapping) keeps alive.
  void (*dispose)(void* owner, weft_buffer* buffer, weft_stream* last_use) noexcept = nullptr;
  void* owner = nullptr;
  std::shared_ptr<weft::BufferUses> uses;  // of the memory, by all buffers over it; null on the CPU

  weft_buffer();
  ~weft_buffer();
};

namespace weft {

/// One reference to a buffer.
class Buffer {
 public:
  Buffer() = default;
  /// Takes over the caller's reference.
  static Buffer adopt(weft_buffer* handle) { return Buffer(handle); }
  /// Adds a reference.
  static Buffer share(weft_buffer* handle);
  Buffer(const Buffer& other) : Buffer(share(other.handle_)) {}
  Buffer(Buffer&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Buffer();

  explicit operator bool() const { return handle_ != nullptr; }
  weft_buffer* get() const { return handle_; }
  weft_buffer* release() { return std::exchange(handle_, nullptr); }
  void* data() const { return handle_ ? handle_->data : nullptr; }
  uint64_t size_bytes() const { return handle_ ? handle_->size_bytes : 0; }

 private:
  explicit Buffer(weft_buffer* handle) : handle_(handle) {}
  weft_buffer* handle_ = nullptr;
};

/// Errors: those of Pool::allocate.
Result<Buffer> allocate_buffer(Pool& pool, uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                               const char* tag);
/// A buffer over memory that `owner` keeps; dispose is called once when the last reference goes.
Result<Buffer> wrap_memory(void* data, uint64_t size_bytes, weft_device device, void* owner,
                           void (*dispose)(void* owner, weft_buffer* buffer, weft_stream* last_use) noexcept);
/// A buffer over the memory of `buffer`, which it keeps, that keeps `owner` as well, and longer: what the memory goes back to, say.
Result<Buffer> share_memory(Buffer buffer, std::shared_ptr<const void> owner);

/// The weft_memory_api over one pool a device.
class MemoryService {
 public:
  /// pools: at most one a device; they outlive this.
  explicit MemoryService(std::vector<Pool*> pools);
  ~MemoryService();
  MemoryService(const MemoryService&) = delete;
  MemoryService& operator=(const MemoryService&) = delete;

  const weft_memory_api* api() const { return &api_; }
  /// The pool of another device; outlives this.
  void add(Pool& pool);
  /// The counted pool of a device; null if there is none.
  Pool* pool(weft_device device) const;
  PoolStatistics statistics(weft_device device) const;
  /// Notes bytes that the host copied on their way from one stage to the next: 0 for linked ports on one
  /// device.
  void count_copy(uint64_t bytes) { copied_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  uint64_t copied_bytes() const { return copied_bytes_.load(std::memory_order_relaxed); }

 private:
  StatisticsPool* find(weft_device device) const;

  mutable std::shared_mutex mutex_;  // of the list; pools stay where they are
  std::vector<std::unique_ptr<StatisticsPool>> counted_;
  std::atomic<uint64_t> copied_bytes_{0};
  weft_memory_api api_;
};

}  // namespace weft
#endif
