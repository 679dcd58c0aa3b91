/// What a HostDriver shows to other processes: a file in memory that holds its events and the bytes of its memory. The file is
/// there as long as a process has it mapped.
///
/// An event counts how often it was recorded and up to which of these its streams have come, so that a process that waits
/// knows for which time. Thread safety: any thread, in any of the processes.
#ifndef WEFT_KERNELS_DEVICE_SHARED_FILE_H
#define WEFT_KERNELS_DEVICE_SHARED_FILE_H

#include <weft/sdk/status.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace weft {

class SharedFile {
 public:
  struct Event {
    std::atomic<uint64_t> recorded, reached;
    std::atomic<int32_t> process;           // that recorded it last
    std::atomic<uint64_t> process_started;  // in the system's ticks
    std::atomic<uint32_t> used;

    /// Returns the time that this is, for reach().
    uint64_t record();
    /// A stream has come to what was recorded at this time.
    void reach(uint64_t time);
    /// Errors: kIoError (the process that recorded the event has ended before).
    Status wait_until(uint64_t time) const;
  };

  /// Errors: kOutOfMemory (no such range of addresses), kIoError.
  static Result<std::unique_ptr<SharedFile>> create(uint64_t capacity_bytes);
  /// The file of another process, which stays the caller's to close. Errors: kInvalidArgument (another file), kOutOfMemory.
  static Result<std::unique_ptr<SharedFile>> open(int descriptor);
  ~SharedFile();
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  int descriptor() const { return descriptor_; }  // -1: another process's
  uint64_t capacity_bytes() const { return capacity_bytes_; }
  /// Not to be touched in the process that made it (host_arena.h); may be read and written in others.
  char* memory() const;

  bool holds(uint64_t offset, uint64_t size_bytes) const {
    return offset <= capacity_bytes_ && size_bytes <= capacity_bytes_ - offset;
  }
  /// Errors: kOutOfMemory (all are in use).
  Result<Event*> take_event();
  void give_back_event(Event* event);
  /// The number of an event, for other processes.
  uint64_t index_of(const Event* event) const;
  /// Null: there is no such event.
  Event* event(uint64_t index) const;

 private:
  struct Header;
  SharedFile(int descriptor, void* mapped, uint64_t capacity_bytes);
  const int descriptor_;
  Header* const header_;
  const uint64_t capacity_bytes_;
};

}  // namespace weft
#endif
