/// Where device memory comes from: one stream-ordered interface, and small adaptors that are stacked on it.
///
///   CpuPool system;                             // aligned memory, huge pages for large blocks
///   StatisticsPool counted(system);             // live and peak bytes
///   LimitPool limited(counted, 4ull << 30);     // refuses beyond --max-memory
///
/// Memory from allocate() may be used by work queued on `stream` from the call on; deallocate() recycles it
/// behind the work queued on `last_use`. Null streams mean the CPU's. Every pool passes the same suite
/// (pool_contract_test.cc). Ownership: an adaptor refers to its upstream, which outlives it. Thread safety:
/// any thread.
#ifndef WEFT_PIPELINE_MEMORY_POOL_H
#define WEFT_PIPELINE_MEMORY_POOL_H

#include <weft/abi/memory.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace weft {

inline constexpr uint32_t kDefaultAlignment = 64;  // a cache line, and the widest vector

class BufferUses;

class Pool {
 public:
  virtual ~Pool();
  virtual weft_device device() const = 0;
  /// size_bytes may be 0: the pointer is then valid and not to be read. alignment: a power of two, 0 for 64,
  /// at most 2 MiB. Contents are undefined. Errors: kOutOfMemory, kInvalidArgument (alignment).
  virtual Result<void*> allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                                 const char* tag) = 0;
  /// With the arguments of its allocation.
  virtual void deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                          weft_stream* last_use) noexcept = 0;
  /// Where streams run apart from the caller: what keeps a buffer's uses in order. Null on the CPU.
  virtual std::unique_ptr<BufferUses> uses(weft_stream* producer);
};

/// The system's memory. Blocks of 4 MiB and more are mapped on their own, aligned for huge pages, which
/// spares a model's workspace thousands of page faults; some freed ones are kept for the next stage that
/// needs as much.
class CpuPool final : public Pool {
 public:
  /// retained_bytes: the most that is kept of freed large blocks.
  explicit CpuPool(uint64_t retained_bytes = 256ull << 20);
  ~CpuPool() override;
  weft_device device() const override { return {WEFT_DEVICE_CPU, 0}; }
  Result<void*> allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                         const char* tag) override;
  void deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                  weft_stream* last_use) noexcept override;

 private:
  const uint64_t retained_limit_bytes_;
  std::mutex mutex_;
  std::multimap<uint64_t, void*> retained_;  // by mapped size
  uint64_t retained_bytes_ = 0;
};

/// Refuses what would take the live bytes beyond a limit.
class LimitPool final : public Pool {
 public:
  LimitPool(Pool& upstream, uint64_t limit_bytes) : upstream_(upstream), limit_bytes_(limit_bytes) {}
  weft_device device() const override { return upstream_.device(); }
  Result<void*> allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                         const char* tag) override;
  void deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                  weft_stream* last_use) noexcept override;
  std::unique_ptr<BufferUses> uses(weft_stream* producer) override;
  uint64_t limit_bytes() const { return limit_bytes_; }

 private:
  Pool& upstream_;
  const uint64_t limit_bytes_;
  std::atomic<uint64_t> live_bytes_{0};
};

struct PoolStatistics {
  uint64_t live_bytes = 0;
  uint64_t peak_bytes = 0;
  uint64_t allocation_count = 0;  // that succeeded, ever
};

class StatisticsPool final : public Pool {
 public:
  explicit StatisticsPool(Pool& upstream) : upstream_(upstream) {}
  weft_device device() const override { return upstream_.device(); }
  Result<void*> allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                         const char* tag) override;
  void deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                  weft_stream* last_use) noexcept override;
  std::unique_ptr<BufferUses> uses(weft_stream* producer) override;
  PoolStatistics statistics() const;

 private:
  Pool& upstream_;
  std::atomic<uint64_t> live_bytes_{0}, peak_bytes_{0}, allocation_count_{0};
};

/// Remembers every live block and puts 64 guard bytes before and behind it, to find leaks and writes outside
/// a buffer. For `weft check` and tests: it costs a lock a call and reads the guards when a block is freed.
class GuardPool final : public Pool {
 public:
  explicit GuardPool(Pool& upstream) : upstream_(upstream) {}
  weft_device device() const override { return upstream_.device(); }
  Result<void*> allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                         const char* tag) override;
  void deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                  weft_stream* last_use) noexcept override;

  struct Block {
    std::string tag;
    uint64_t size_bytes = 0;
  };
  /// What is allocated now, in order of allocation: the leaks, once everything should be freed.
  std::vector<Block> live() const;
  /// One sentence for each block, freed or live, whose guards were overwritten.
  std::vector<std::string> violations() const;

 private:
  struct Record {
    Block block;
    uint64_t serial = 0;
    uint64_t lead_bytes = 0;  // from the upstream's pointer to the block
  };
  Pool& upstream_;
  mutable std::mutex mutex_;
  std::map<void*, Record> live_;
  std::vector<std::string> violations_;
  uint64_t next_serial_ = 0;
};

}  // namespace weft
#endif
