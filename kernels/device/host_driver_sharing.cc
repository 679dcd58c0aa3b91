// What a HostDriver does between processes: blocks are places in its file, events are counters there.
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/device/host_driver.h"

namespace weft {
namespace {

void put(std::array<std::byte, 64>& bytes, uint64_t number) {
  std::memcpy(bytes.data(), &number, sizeof number);
}
uint64_t get(const std::array<std::byte, 64>& bytes) {
  uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

}  // namespace

Result<int> HostDriver::export_pool() {
  const int descriptor = ::fcntl(arena_->file()->descriptor(), F_DUPFD_CLOEXEC, 0);
  if (descriptor >= 0) return descriptor;
  return Status(StatusCode::kIoError, "the process has no file descriptor left").at(options_.name);
}

Result<NativeEvent> HostDriver::create_shared_event() {
  auto shared = arena_->file()->take_event();
  if (!shared.ok()) return std::move(shared.status()).at(options_.name);
  auto event = std::make_unique<Event>();
  event->shared = {*shared,
                   [file = arena_->file()](SharedFile::Event* used) { file->give_back_event(used); }};
  event->ours = true;
  return reinterpret_cast<NativeEvent>(event.release());
}

Result<SharedBlock> HostDriver::export_block(void* data, uint64_t size_bytes, NativeEvent ready,
                                             NativeEvent returned) {
  const SharedFile& file = *arena_->file();
  const auto offset = static_cast<uint64_t>(static_cast<char*>(data) - file.memory());
  SharedBlock block;
  block.size_bytes = size_bytes;
  bool known = file.holds(offset, size_bytes);
  put(block.memory, offset);
  for (const auto& [event, bytes] : {std::pair{ready, &block.ready}, std::pair{returned, &block.returned}}) {
    const Event& shared = *reinterpret_cast<Event*>(event);
    known = known && shared.ours;
    put(*bytes, shared.ours ? file.index_of(shared.shared.get()) : 0);
  }
  if (known) return block;
  return Status(StatusCode::kInvalidArgument, "a block of this device and its shared events can be exported")
      .at(options_.name);
}

Result<NativePool> HostDriver::open_pool(int descriptor) {
  auto file = SharedFile::open(descriptor);
  if (!file.ok()) return std::move(file.status()).at(options_.name);
  return reinterpret_cast<NativePool>(new Pool{*std::move(file)});
}

void HostDriver::close_pool(NativePool pool) noexcept { delete reinterpret_cast<Pool*>(pool); }

Result<OpenedBlock> HostDriver::open_block(NativePool pool, const SharedBlock& block) {
  const auto& file = reinterpret_cast<Pool*>(pool)->file;
  SharedFile::Event* const ready = file->event(get(block.ready));
  SharedFile::Event* const returned = file->event(get(block.returned));
  const uint64_t offset = get(block.memory);
  if (!ready || !returned || !file->holds(offset, block.size_bytes))
    return Status(StatusCode::kInvalidArgument, "this is no block of the other process").at(options_.name);
  const auto open = [&](SharedFile::Event* shared) {
    auto event = std::make_unique<Event>();
    event->shared = {file, shared};
    return reinterpret_cast<NativeEvent>(event.release());
  };
  char* const data = file->memory() + offset;
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const std::lock_guard lock(allocations_mutex_);
  // The last use of the same place may be queued still.
  Allocation& place = allocations_[begin];
  place = {"a block of another process", begin, std::max(place.end, begin + block.size_bytes),
           place.opened + 1};
  return OpenedBlock{data, open(ready), open(returned)};
}

Status HostDriver::close_block(const OpenedBlock& block, NativeStream last_use) {
  stream_of(last_use).enqueue([this, begin = reinterpret_cast<uintptr_t>(block.data)]() -> Status {
    const std::lock_guard lock(allocations_mutex_);
    const auto found = allocations_.find(begin);
    if (found != allocations_.end() && --found->second.opened == 0) allocations_.erase(found);
    return {};
  });
  Status recorded = record(block.returned, last_use);
  destroy_event(block.ready);
  destroy_event(block.returned);
  return recorded;
}

Status HostDriver::allow_peer(int) {
  return Status(StatusCode::kUnsupported, "this device has no others beside it").at(options_.name);
}

}  // namespace weft
