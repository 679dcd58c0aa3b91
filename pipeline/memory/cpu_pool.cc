#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "pipeline/memory/pool.h"

namespace weft {
namespace {

constexpr uint64_t kHugePage = 2ull << 20;
constexpr uint64_t kMappedFrom = 2 * kHugePage;  // below it, rounding up to huge pages would waste too much

uint64_t mapped_size(uint64_t size_bytes) { return (size_bytes + kHugePage - 1) & ~(kHugePage - 1); }

Status out_of_memory(uint64_t size_bytes, const char* tag) {
  return Status(StatusCode::kOutOfMemory,
                "the system has no memory for " + std::to_string(size_bytes) + " bytes")
      .at(tag ? std::string("buffer '") + tag + "'" : "");
}

/// A mapping of `size` bytes, a multiple of the huge page, that starts on one.
void* map_aligned(uint64_t size) {
  const uint64_t reserved = size + kHugePage;
  void* start =
      ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(start);
  const uintptr_t aligned = (address + kHugePage - 1) & ~(uintptr_t{kHugePage} - 1);
  if (aligned > address) ::munmap(start, aligned - address);
  const uintptr_t end = address + reserved;
  if (end > aligned + size) ::munmap(reinterpret_cast<void*>(aligned + size), end - aligned - size);
  void* data = reinterpret_cast<void*>(aligned);
  ::madvise(data, size, MADV_HUGEPAGE);  // advice: a kernel without huge pages ignores it
  return data;
}

}  // namespace

CpuPool::CpuPool(uint64_t retained_bytes) : retained_limit_bytes_(retained_bytes) {}

CpuPool::~CpuPool() {
  for (const auto& [size, data] : retained_) ::munmap(data, size);
}

Result<void*> CpuPool::allocate(uint64_t size_bytes, uint32_t alignment, weft_stream*, const char* tag) {
  alignment = std::max(alignment, kDefaultAlignment);
  if ((alignment & (alignment - 1)) != 0 || alignment > kHugePage) {
    return Status(StatusCode::kInvalidArgument, "an alignment must be a power of two, at most 2 MiB")
        .got(std::to_string(alignment));
  }
  if (size_bytes > (uint64_t{1} << 47)) return out_of_memory(size_bytes, tag);  // more than an address space
  if (size_bytes < kMappedFrom) {
    const uint64_t rounded =
        std::max<uint64_t>((size_bytes + alignment - 1) & ~(uint64_t{alignment} - 1), alignment);
    void* data = std::aligned_alloc(alignment, rounded);
    if (!data) return out_of_memory(size_bytes, tag);
    return data;
  }
  const uint64_t size = mapped_size(size_bytes);
  {
    const std::lock_guard lock(mutex_);
    const auto found = retained_.find(size);
    if (found != retained_.end()) {
      void* data = found->second;
      retained_bytes_ -= found->first;
      retained_.erase(found);
      return data;
    }
  }
  void* data = map_aligned(size);
  if (!data) {
    // What is kept for reuse may be what is missing.
    const std::lock_guard lock(mutex_);
    for (const auto& [kept_size, kept] : retained_) ::munmap(kept, kept_size);
    retained_.clear();
    retained_bytes_ = 0;
    data = map_aligned(size);
  }
  if (!data) return out_of_memory(size_bytes, tag);
  return data;
}

void CpuPool::deallocate(void* data, uint64_t size_bytes, uint32_t, weft_stream*) noexcept {
  if (!data) return;
  if (size_bytes < kMappedFrom) {
    std::free(data);
    return;
  }
  const uint64_t size = mapped_size(size_bytes);
  {
    const std::lock_guard lock(mutex_);
    if (retained_bytes_ + size <= retained_limit_bytes_) {
      try {
        retained_.emplace(size, data);
        retained_bytes_ += size;
        return;
      } catch (const std::bad_alloc&) {
        // Then it is given back.
      }
    }
  }
  ::munmap(data, size);
}

}  // namespace weft
