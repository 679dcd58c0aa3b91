#include "kernels/device/stream_ordered_pool.h"

#include <algorithm>
#include <bit>
#include <string>

namespace weft {
namespace {

/// Behind each block, so that a kernel that leaves it does not find the next one.
constexpr uint64_t kGapBytes = 256;

/// Eight sizes a doubling, so that blocks of nearly equal sizes serve for each other and at most an eighth is lost.
uint64_t reserved_for(uint64_t size_bytes) {
  const uint64_t needed = size_bytes + kGapBytes,
                 step = std::max(kDeviceAlignment, std::bit_floor(needed) / 8);
  return (needed + step - 1) / step * step;
}

}  // namespace

Result<StreamOrderedPool::Block> StreamOrderedPool::allocate(uint64_t size_bytes, const HostStream& stream,
                                                             const char* tag) {
  const std::lock_guard lock(mutex_);
  const bool possible = size_bytes <= arena_.capacity_bytes();
  const uint64_t reserved = possible ? reserved_for(size_bytes) : 0;
  void* data = nullptr;
  // The youngest first: what was used last is most likely still in a cache.
  for (auto kept = kept_.rbegin(); possible && kept != kept_.rend(); ++kept) {
    if (kept->reserved_bytes != reserved) continue;
    if (!stream.follows(kept->given_back) && !kept->given_back.reached()) continue;
    data = kept->data;
    kept_bytes_ -= reserved;
    kept_.erase(std::next(kept).base());
    break;
  }
  if (!data && possible) data = arena_.take(reserved);
  if (!data && possible) {
    trim_locked(0);
    data = arena_.take(reserved);
  }
  if (!data)
    return Status(StatusCode::kOutOfMemory,
                  "the device has no memory for " + std::to_string(size_bytes) + " bytes")
        .at(tag ? std::string("buffer '") + tag + "'" : "")
        .expected("at most " + std::to_string(arena_.capacity_bytes()) + " bytes in all")
        .got(std::to_string(used_bytes_) + " in use, " + std::to_string(kept_bytes_) +
             " given back at places that their streams have not passed");
  used_bytes_ += reserved;
  peak_used_bytes_ = std::max(peak_used_bytes_, used_bytes_);
  used_[data] = {size_bytes, reserved};
  return Block{data, size_bytes};
}

Result<StreamOrderedPool::Block> StreamOrderedPool::release(void* data, const HostStream& stream) {
  const std::lock_guard lock(mutex_);
  const auto found = used_.find(data);
  if (found == used_.end())
    return Status(StatusCode::kInvalidArgument, "memory was given back to a device that did not hand it out");
  const Used used = found->second;
  used_.erase(found);
  used_bytes_ -= used.reserved_bytes;
  kept_bytes_ += used.reserved_bytes;
  kept_.push_back({data, used.reserved_bytes, stream.mark()});
  return Block{data, used.size_bytes};
}

DevicePoolStatistics StreamOrderedPool::statistics() const {
  const std::lock_guard lock(mutex_);
  return {used_bytes_, peak_used_bytes_, used_bytes_ + kept_bytes_};
}

void StreamOrderedPool::trim(uint64_t keep_bytes) {
  const std::lock_guard lock(mutex_);
  trim_locked(keep_bytes);
}

void StreamOrderedPool::trim_locked(uint64_t keep_bytes) {
  for (auto kept = kept_.begin(); kept != kept_.end() && used_bytes_ + kept_bytes_ > keep_bytes;) {
    if (!kept->given_back.reached()) {
      ++kept;
      continue;
    }
    arena_.give_back(kept->data, kept->reserved_bytes);
    kept_bytes_ -= kept->reserved_bytes;
    kept = kept_.erase(kept);
  }
}

}  // namespace weft
