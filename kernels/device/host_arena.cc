#include "kernels/device/host_arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <iterator>
#include <utility>

namespace weft {

Result<std::unique_ptr<HostArena>> HostArena::create(uint64_t capacity_bytes) {
  auto file = SharedFile::create(capacity_bytes);
  if (!file.ok()) return file.status();
  return std::unique_ptr<HostArena>(new HostArena(*std::move(file)));
}

HostArena::HostArena(std::shared_ptr<SharedFile> file) : file_(std::move(file)) {
  free_[file_->memory()] = file_->capacity_bytes();
}

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
  if (accesses_++ == 0 && ::mprotect(file_->memory(), capacity_bytes(), PROT_READ | PROT_WRITE) != 0)
    std::abort();
}

void HostArena::close() {
  const std::lock_guard lock(mutex_);
  if (--accesses_ == 0 && ::mprotect(file_->memory(), capacity_bytes(), PROT_NONE) != 0) std::abort();
}

}  // namespace weft
