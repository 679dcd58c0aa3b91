/// The memory of a device that is this process: a range of addresses of its own, from which blocks are cut.
///
/// The range may be touched only while somebody holds an Access: between, its pages are protected, so that a host that reads
/// or writes a device's memory directly, as it could not on a real one, stops there with a fault. (While work of the
/// device runs, such an access goes unnoticed.) Thread safety: any thread.
#ifndef WEFT_KERNELS_DEVICE_HOST_ARENA_H
#define WEFT_KERNELS_DEVICE_HOST_ARENA_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/device/shared_file.h"

namespace weft {

class HostArena {
 public:
  /// Errors: kOutOfMemory (the system has no such range), kIoError.
  static Result<std::unique_ptr<HostArena>> create(uint64_t capacity_bytes);
  HostArena(const HostArena&) = delete;
  HostArena& operator=(const HostArena&) = delete;

  uint64_t capacity_bytes() const { return file_->capacity_bytes(); }
  /// Whose bytes the range is, for other processes.
  const std::shared_ptr<SharedFile>& file() const { return file_; }
  /// The lowest place where so many bytes, a multiple of kDeviceAlignment, are free; null if there is none.
  void* take(uint64_t size_bytes);
  void give_back(void* data, uint64_t size_bytes);

  class Access {
   public:
    explicit Access(HostArena& arena) : arena_(arena) { arena_.open(); }
    ~Access() { arena_.close(); }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

   private:
    HostArena& arena_;
  };

 private:
  explicit HostArena(std::shared_ptr<SharedFile> file);
  void open();
  void close();

  const std::shared_ptr<SharedFile> file_;
  std::mutex mutex_;
  std::map<char*, uint64_t> free_;  // by address, never two side by side
  int accesses_ = 0;
};

}  // namespace weft
#endif
