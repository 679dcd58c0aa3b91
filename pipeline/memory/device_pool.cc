#include "pipeline/memory/device_pool.h"

#include <algorithm>
#include <new>
#include <string>

weft_stream::~weft_stream() {
  if (driver) driver->destroy_stream(native);
}

namespace weft {

BufferUses::~BufferUses() {
  if (ready_) driver_.destroy_event(ready_);
  for (const auto& [stream, event] : left_) driver_.destroy_event(event);
}

Status BufferUses::record(NativeEvent& event, NativeStream stream) {
  if (!event) {
    auto made = driver_.create_event();
    if (!made.ok()) return made.status();
    event = *made;
  }
  return driver_.record(event, stream);
}

Status BufferUses::ready(weft_stream* producer) {
  const std::lock_guard lock(mutex_);
  return record(ready_, producer->native);
}

Status BufferUses::acquire(weft_stream* consumer, Access access) {
  const std::lock_guard lock(mutex_);
  if (ready_) {
    if (Status status = driver_.wait(consumer->native, ready_); !status.ok()) return status;
  }
  if (access == Access::kRead) return {};
  for (const auto& [stream, event] : left_) {
    if (stream == consumer->native) continue;
    if (Status status = driver_.wait(consumer->native, event); !status.ok()) return status;
  }
  return {};
}

Status BufferUses::leave(weft_stream* stream) {
  const std::lock_guard lock(mutex_);
  const auto known = std::ranges::find(left_, stream->native, &std::pair<NativeStream, NativeEvent>::first);
  if (known != left_.end()) return record(known->second, stream->native);
  NativeEvent event = nullptr;
  Status status = record(event, stream->native);
  if (event) left_.emplace_back(stream->native, event);
  return status;
}

Status BufferUses::hand_over(NativeStream foreign) {
  const std::lock_guard lock(mutex_);
  return ready_ ? driver_.wait(foreign, ready_) : Status();
}

Status BufferUses::leave_foreign(NativeStream foreign) {
  const std::lock_guard lock(mutex_);
  // A buffer may be lent many times; places that are passed say nothing more.
  std::erase_if(left_, [this](const auto& left) {
    if (left.first) return false;
    const auto reached = driver_.reached(left.second);
    if (reached.ok() && *reached) driver_.destroy_event(left.second);
    return reached.ok() && *reached;
  });
  NativeEvent event = nullptr;
  Status status = record(event, foreign);
  if (event) left_.emplace_back(nullptr, event);
  return status;
}

bool BufferUses::passed() {
  const std::lock_guard lock(mutex_);
  const auto reached = [this](NativeEvent event) {
    const auto known = driver_.reached(event);
    return !known.ok() || *known;  // of a lost device nothing runs any more
  };
  return (!ready_ || reached(ready_)) &&
         std::ranges::all_of(left_, [&](const auto& left) { return reached(left.second); });
}

weft_stream* BufferUses::behind_all(weft_stream* last_use) {
  const std::lock_guard lock(mutex_);
  const bool alone = last_use == allocated_on_ && std::ranges::all_of(left_, [&](const auto& left) {
                       return left.first == last_use->native;
                     });
  if (alone) return last_use;
  // Of a lost device nothing is behind anything, and nothing runs any more.
  const auto wait = [&](NativeEvent event) {
    [[maybe_unused]] const Status lost = driver_.wait(recycling_->native, event);
  };
  if (ready_) wait(ready_);
  for (const auto& [stream, event] : left_) wait(event);
  for (weft_stream* stream : {allocated_on_, last_use}) {
    NativeEvent now = nullptr;
    if (stream && record(now, stream->native).ok()) wait(now);
    if (now) driver_.destroy_event(now);
  }
  return recycling_;
}

Result<std::unique_ptr<DevicePool>> DevicePool::create(std::shared_ptr<ComputeDevice> device,
                                                       weft_device as) {
  std::unique_ptr<DevicePool> pool(new DevicePool(std::move(device), as));
  auto recycling = pool->create_stream();
  if (!recycling.ok()) return recycling.status();
  pool->recycling_ = *std::move(recycling);
  return pool;
}

DevicePool::~DevicePool() { finish(); }

void DevicePool::finish() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (pending_.empty()) return;
    }
    // Of a lost device nothing runs any more.
    (void)device_->driver().synchronize(recycling_->native);
    call_passed();
  }
}

void DevicePool::when_passed(BufferUses& uses, weft_stream* last_use, std::function<void()> then) {
  if (last_use && last_use->driver) (void)uses.leave(last_use);
  if (uses.passed()) return then();
  (void)uses.behind_all(nullptr);  // the recycling stream
  DeviceDriver& driver = device_->driver();
  const auto passed = driver.create_event();
  if (!passed.ok()) return then();
  // An event that could not be recorded counts as reached.
  (void)driver.record(*passed, recycling_->native);
  {
    const std::lock_guard lock(mutex_);
    pending_.push_back({*passed, std::move(then)});
  }
  call_passed();
}

void DevicePool::call_passed() {
  DeviceDriver& driver = device_->driver();
  for (;;) {
    Pending first;
    {
      const std::lock_guard lock(mutex_);
      if (pending_.empty()) return;
      const auto reached = driver.reached(pending_.front().passed);
      if (reached.ok() && !*reached) return;
      first = std::move(pending_.front());
      pending_.pop_front();
    }
    driver.destroy_event(first.passed);
    first.then();  // may call the pool
  }
}

Result<std::unique_ptr<weft_stream>> DevicePool::create_stream() {
  auto native = device_->driver().create_stream();
  if (!native.ok()) return native.status();
  auto stream = std::make_unique<weft_stream>();
  stream->device = as_;
  stream->native = *native;
  stream->driver = std::shared_ptr<DeviceDriver>(device_, &device_->driver());
  return stream;
}

Result<void*> DevicePool::allocate(uint64_t size_bytes, uint32_t alignment, weft_stream* stream,
                                   const char* tag) {
  call_passed();
  if ((alignment & (alignment - 1)) != 0 || alignment > kDeviceAlignment)
    return Status(StatusCode::kInvalidArgument,
                  "an alignment in a device's memory must be a power of two, at most " +
                      std::to_string(kDeviceAlignment))
        .got(std::to_string(alignment));
  DeviceDriver& driver = device_->driver();
  const NativeStream on = (stream && stream->driver ? stream : recycling_.get())->native;
  auto data = driver.allocate(size_bytes, on, tag);
  const DevicePoolStatistics now = driver.pool_statistics();
  if (data.code() != StatusCode::kOutOfMemory || now.reserved_bytes == now.used_bytes) return data;
  // Blocks that were given back and whose place no stream had passed. Waiting here is better than failing.
  if (Status passed = driver.synchronize(recycling_->native); !passed.ok()) return passed;
  if (Status passed = driver.synchronize(on); !passed.ok()) return passed;
  if (Status trimmed = driver.trim(0); !trimmed.ok()) return trimmed;
  return driver.allocate(size_bytes, on, tag);
}

Status DevicePool::trim(uint64_t keep_bytes) { return device_->driver().trim(keep_bytes); }

void DevicePool::deallocate(void* data, uint64_t, uint32_t, weft_stream* last_use) noexcept {
  call_passed();
  if (!data) return;
  const NativeStream behind = (last_use && last_use->driver ? last_use : recycling_.get())->native;
  [[maybe_unused]] const Status told_by_the_next_call = device_->driver().release(data, behind);
}

std::unique_ptr<BufferUses> DevicePool::uses(weft_stream* producer) {
  call_passed();
  if (!producer || !producer->driver) producer = recycling_.get();
  return std::make_unique<BufferUses>(device_->driver(), producer, recycling_.get());
}

}  // namespace weft
