#include "pipeline/memory/pool.h"

#include <weft/sdk/device.h>

#include <algorithm>
#include <cstring>

#include "pipeline/memory/device_pool.h"

namespace weft {

namespace {

/// "cuda:0, buffer 'KV cache'"
std::string place_of(weft_device device, const char* tag) {
  const std::string where = device.kind == WEFT_DEVICE_CPU ? "" : sdk::device_name(device);
  if (!tag) return where;
  return where + (where.empty() ? "buffer '" : ", buffer '") + tag + "'";
}

}  // namespace

Pool::~Pool() = default;
std::unique_ptr<BufferUses> Pool::uses(weft_stream*) { return nullptr; }
std::unique_ptr<BufferUses> LimitPool::uses(weft_stream* producer) { return upstream_.uses(producer); }
std::unique_ptr<BufferUses> StatisticsPool::uses(weft_stream* producer) { return upstream_.uses(producer); }

Result<void*> LimitPool::allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                                  const char* tag) {
  uint64_t live = live_bytes_.load(std::memory_order_relaxed);
  do {
    if (size_bytes > limit_bytes_ || live > limit_bytes_ - size_bytes) {
      return Status(StatusCode::kOutOfMemory, "the memory limit is reached")
          .at(place_of(device(), tag))
          .expected("at most " + std::to_string(limit_bytes_) + " bytes in all")
          .got(std::to_string(live) + " in use and " + std::to_string(size_bytes) + " asked for")
          .hint("raise --max-memory or ask for less");
    }
  } while (!live_bytes_.compare_exchange_weak(live, live + size_bytes, std::memory_order_relaxed));
  auto data = upstream_.allocate(size_bytes, alignment, stream, tag);
  if (!data.ok()) live_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed);
  return data;
}

void LimitPool::deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                           weft_stream* last_use) noexcept {
  upstream_.deallocate(data, size_bytes, alignment, last_use);
  if (data) live_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed);
}

Result<void*> StatisticsPool::allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                                       const char* tag) {
  auto data = upstream_.allocate(size_bytes, alignment, stream, tag);
  if (!data.ok()) return data;
  allocation_count_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t live = live_bytes_.fetch_add(size_bytes, std::memory_order_relaxed) + size_bytes;
  uint64_t peak = peak_bytes_.load(std::memory_order_relaxed);
  while (peak < live && !peak_bytes_.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
  return data;
}

void StatisticsPool::deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                                weft_stream* last_use) noexcept {
  upstream_.deallocate(data, size_bytes, alignment, last_use);
  if (data) live_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed);
}

PoolStatistics StatisticsPool::statistics() const {
  return {live_bytes_.load(std::memory_order_relaxed), peak_bytes_.load(std::memory_order_relaxed),
          allocation_count_.load(std::memory_order_relaxed)};
}

namespace {

constexpr uint64_t kGuardBytes = 64;
constexpr unsigned char kGuard = 0xfd;
constexpr unsigned char kFresh = 0xcd;  // an f32 of -4.3e8: reading what was never written shows

bool intact(const unsigned char* guard, uint64_t size) {
  return std::all_of(guard, guard + size, [](unsigned char byte) { return byte == kGuard; });
}

/// What was overwritten around [data, data + size), or "".
std::string damage(const unsigned char* data, uint64_t size, uint64_t lead, const std::string& tag) {
  const std::string name = "buffer '" + tag + "' of " + std::to_string(size) + " bytes: ";
  if (!intact(data - lead, lead)) return name + "a write before its first byte";
  if (!intact(data + size, kGuardBytes)) return name + "a write behind its last byte";
  return "";
}

}  // namespace

Result<void*> GuardPool::allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                                  const char* tag) {
  const uint64_t lead = std::max<uint64_t>(kGuardBytes, alignment);
  if (size_bytes > UINT64_MAX - lead - kGuardBytes) {
    return Status(StatusCode::kOutOfMemory, "no memory for " + std::to_string(size_bytes) + " bytes");
  }
  auto block = upstream_.allocate(lead + size_bytes + kGuardBytes, alignment, stream, tag);
  if (!block.ok()) return block;
  auto* data = static_cast<unsigned char*>(*block) + lead;
  std::memset(data - lead, kGuard, lead);
  std::memset(data, kFresh, size_bytes);
  std::memset(data + size_bytes, kGuard, kGuardBytes);
  const std::lock_guard lock(mutex_);
  live_[data] = Record{{tag ? tag : "", size_bytes}, next_serial_++, lead};
  return static_cast<void*>(data);
}

void GuardPool::deallocate(void* data, uint64_t size_bytes, uint32_t alignment,
                           weft_stream* last_use) noexcept {
  if (!data) return;
  uint64_t lead = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(data);
    if (found == live_.end()) {
      violations_.push_back("a buffer was freed that is not allocated");
      return;
    }
    lead = found->second.lead_bytes;
    std::string found_damage = damage(static_cast<unsigned char*>(data), found->second.block.size_bytes, lead,
                                      found->second.block.tag);
    if (!found_damage.empty()) violations_.push_back(std::move(found_damage));
    live_.erase(found);
  }
  upstream_.deallocate(static_cast<unsigned char*>(data) - lead, lead + size_bytes + kGuardBytes, alignment,
                       last_use);
}

std::vector<GuardPool::Block> GuardPool::live() const {
  const std::lock_guard lock(mutex_);
  std::vector<const Record*> records;
  for (const auto& [data, record] : live_) records.push_back(&record);
  std::sort(records.begin(), records.end(),
            [](const Record* a, const Record* b) { return a->serial < b->serial; });
  std::vector<Block> blocks;
  for (const Record* record : records) blocks.push_back(record->block);
  return blocks;
}

std::vector<std::string> GuardPool::violations() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all = violations_;
  for (const auto& [data, record] : live_) {
    std::string found = damage(static_cast<unsigned char*>(data), record.block.size_bytes, record.lead_bytes,
                               record.block.tag);
    if (!found.empty()) all.push_back(std::move(found));
  }
  return all;
}

}  // namespace weft
