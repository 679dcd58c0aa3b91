#include "kernels/device/host_arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <iterator>

namespace weft {

Result<std::unique_ptr<HostArena>> HostArena::create(uint64_t capacity_bytes) {
  void* begin =
      ::mmap(nullptr, capacity_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED)
    return Status(StatusCode::kOutOfMemory, "the system has no addresses for the memory of a test device")
        .expected(std::to_string(capacity_bytes) + " bytes");
  return std::unique_ptr<HostArena>(new HostArena(static_cast<char*>(begin), capacity_bytes));
}

HostArena::HostArena(char* begin, uint64_t capacity_bytes) : begin_(begin), capacity_bytes_(capacity_bytes) {
  free_[begin] = capacity_bytes;
}

HostArena::~HostArena() { ::munmap(begin_, capacity_bytes_); }

void* HostArena::take(uint64_t size_bytes) {
  const std::lock_guard lock(mutex_);
  for (auto at = free_.begin(); at != free_.end(); ++at) {
    const auto [begin, size] = *at;
    if (size < size_bytes) continue;
    free_.erase(at);
    if (size > size_bytes) free_[begin + size_bytes] = size - size_bytes;
    return begin;
  }
  return nullptr;
}

void HostArena::give_back(void* data, uint64_t size_bytes) {
  const std::lock_guard lock(mutex_);
  const auto at = free_.emplace(static_cast<char*>(data), size_bytes).first;
  if (const auto next = std::next(at); next != free_.end() && at->first + at->second == next->first) {
    at->second += next->second;
    free_.erase(next);
  }
  if (at == free_.begin()) return;
  const auto previous = std::prev(at);
  if (previous->first + previous->second != at->first) return;
  previous->second += at->second;
  free_.erase(at);
}

// A protection that cannot be changed would let kernels fault at addresses that are theirs: better to end here.
void HostArena::open() {
  const std::lock_guard lock(mutex_);
  if (accesses_++ == 0 && ::mprotect(begin_, capacity_bytes_, PROT_READ | PROT_WRITE) != 0) std::abort();
}

void HostArena::close() {
  const std::lock_guard lock(mutex_);
  if (--accesses_ == 0 && ::mprotect(begin_, capacity_bytes_, PROT_NONE) != 0) std::abort();
}

}  // namespace weft
