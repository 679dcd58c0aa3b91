#include "kernels/device/shared_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

namespace weft {
namespace {

constexpr uint64_t kMagic = 0x3130657264746677;
constexpr uint32_t kEvents = 1024;
constexpr uint64_t kHeaderBytes = 64 << 10;

/// When a process started, in the system's ticks; 0: it has ended.
uint64_t start_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return 0;
  size_t at = name_end + 2;
  if (text[at] == 'Z' || text[at] == 'X') return 0;
  for (int field = 3; field < 22; ++field) at = text.find(' ', at) + 1;
  return std::stoull(text.substr(at));
}

Status no_addresses(uint64_t capacity_bytes) {
  return Status(StatusCode::kOutOfMemory, "the system has no addresses for the memory of a test device")
      .expected(std::to_string(capacity_bytes) + " bytes");
}

}  // namespace

struct SharedFile::Header {
  uint64_t magic;
  Event events[kEvents];
};

uint64_t SharedFile::Event::record() {
  process = ::getpid();
  process_started = start_of(::getpid());
  return ++recorded;
}

Status SharedFile::Event::wait_until(uint64_t time) const {
  const pid_t recorder = process;
  const uint64_t started = process_started;
  for (int look = 0; reached < time; ++look) {
    // It may have come there in its last moment.
    if (look % 64 == 63 && start_of(recorder) != started && reached < time)
      return Status(StatusCode::kIoError, "a stream waits for a process that has ended")
          .got(std::to_string(recorder));
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return {};
}

void SharedFile::Event::reach(uint64_t time) {
  uint64_t known = reached.load();
  while (known < time && !reached.compare_exchange_weak(known, time)) {
  }
}

SharedFile::SharedFile(int descriptor, void* mapped, uint64_t capacity_bytes)
    : descriptor_(descriptor), header_(static_cast<Header*>(mapped)), capacity_bytes_(capacity_bytes) {}

SharedFile::~SharedFile() {
  ::munmap(header_, kHeaderBytes + capacity_bytes_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::unique_ptr<SharedFile>> SharedFile::create(uint64_t capacity_bytes) {
  static_assert(sizeof(Header) <= kHeaderBytes && std::atomic<uint64_t>::is_always_lock_free);
  const uint64_t size = kHeaderBytes + capacity_bytes;
  const int descriptor = ::memfd_create("weft device", MFD_CLOEXEC);
  if (descriptor < 0 || ::ftruncate(descriptor, static_cast<off_t>(size)) != 0) {
    Status failed(StatusCode::kIoError,
                  std::string("no file for the memory of a test device: ") + std::strerror(errno));
    if (descriptor >= 0) ::close(descriptor);
    return failed;
  }
  void* mapped = ::mmap(nullptr, size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (mapped == MAP_FAILED) return ::close(descriptor), no_addresses(capacity_bytes);
  std::unique_ptr<SharedFile> file(new SharedFile(descriptor, mapped, capacity_bytes));
  if (::mprotect(mapped, kHeaderBytes, PROT_READ | PROT_WRITE) != 0) return no_addresses(capacity_bytes);
  file->header_->magic = kMagic;
  return file;
}

Result<std::unique_ptr<SharedFile>> SharedFile::open(int descriptor) {
  struct stat found {};
  const bool large = ::fstat(descriptor, &found) == 0 && static_cast<uint64_t>(found.st_size) > kHeaderBytes;
  const Status other(StatusCode::kInvalidArgument, "this is no memory of a test device");
  if (!large) return other;
  const auto size = static_cast<uint64_t>(found.st_size);
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (mapped == MAP_FAILED) return no_addresses(size);
  std::unique_ptr<SharedFile> file(new SharedFile(-1, mapped, size - kHeaderBytes));
  return file->header_->magic == kMagic ? Result<std::unique_ptr<SharedFile>>(std::move(file)) : other;
}

char* SharedFile::memory() const { return reinterpret_cast<char*>(header_) + kHeaderBytes; }

Result<SharedFile::Event*> SharedFile::take_event() {
  for (Event& event : header_->events) {
    uint32_t free = 0;
    if (!event.used.compare_exchange_strong(free, 1)) continue;
    event.recorded = 0, event.reached = 0;
    return &event;
  }
  return Status(StatusCode::kOutOfMemory, "all events that processes can share are in use")
      .expected(std::to_string(kEvents));
}

void SharedFile::give_back_event(Event* event) { event->used = 0; }

uint64_t SharedFile::index_of(const Event* event) const {
  return static_cast<uint64_t>(event - header_->events);
}

SharedFile::Event* SharedFile::event(uint64_t index) const {
  return index < kEvents ? &header_->events[index] : nullptr;
}

}  // namespace weft
