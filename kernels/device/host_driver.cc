#include "kernels/device/host_driver.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/device/ops.h"

namespace weft {
namespace {

constexpr int kPoison = 0xff;  // NaN in f32, f16 and bf16

}  // namespace

Result<std::unique_ptr<HostDriver>> HostDriver::create(HostDriverOptions options) {
  auto arena = HostArena::create(options.memory_bytes);
  if (!arena.ok()) return arena.status();
  return std::unique_ptr<HostDriver>(new HostDriver(std::move(options), std::move(*arena)));
}

HostDriver::HostDriver(HostDriverOptions options, std::unique_ptr<HostArena> arena)
    : options_(std::move(options)), arena_(std::move(arena)), pool_(*arena_) {
  facts_.name = options_.name;
  facts_.description = "this process, for tests";
  facts_.memory_bytes = options_.memory_bytes;
}

HostDriver::~HostDriver() { end_streams(); }

void HostDriver::end_streams() {
  for (auto& [handle, stream] : streams_) stream.reset();
  streams_.clear();
}

const DeviceOps& HostDriver::ops() const {
  static const DeviceOps none;
  return none;
}

// A plain stream is its own handle: nobody looks into one.
NativeStream HostDriver::make_handle(HostStream& stream) { return reinterpret_cast<NativeStream>(&stream); }
void HostDriver::drop_handle(NativeStream) noexcept {}

Result<NativeStream> HostDriver::create_stream() {
  if (Status status = health_.status(); !status.ok()) return status;
  const std::lock_guard lock(streams_mutex_);
  ++n_streams_made_;
  const uint32_t seed = options_.delay_seed == 0 ? 0 : options_.delay_seed * 1000 + n_streams_made_;
  auto stream = std::make_unique<HostStream>(health_, seed);
  const NativeStream handle = make_handle(*stream);
  streams_[handle] = std::move(stream);
  return handle;
}

void HostDriver::destroy_stream(NativeStream handle) noexcept {
  std::unique_ptr<HostStream> stream;
  {
    const std::lock_guard lock(streams_mutex_);
    const auto found = streams_.find(handle);
    if (found == streams_.end()) return;
    stream = std::move(found->second);
    streams_.erase(found);
  }
  stream.reset();  // its work may still use the handle
  drop_handle(handle);
}

HostStream& HostDriver::stream_of(NativeStream handle) {
  const std::lock_guard lock(streams_mutex_);
  return *streams_.at(handle);
}

Status HostDriver::expect_stream(NativeStream handle) {
  const std::lock_guard lock(streams_mutex_);
  if (streams_.contains(handle)) return {};
  return Status(StatusCode::kInvalidArgument, "this is no stream of the device").at(options_.name);
}

Result<NativeEvent> HostDriver::create_event() { return reinterpret_cast<NativeEvent>(new Event); }
void HostDriver::destroy_event(NativeEvent event) noexcept { delete reinterpret_cast<Event*>(event); }

Status HostDriver::ready_for_more(const HostStream& stream) const {
  if (stream.captured())
    return Status(StatusCode::kInvalidArgument,
                  "a stream that is captured takes kernels, copies and fills alone")
        .at(options_.name);
  return health_.status();
}

Status HostDriver::record(NativeEvent handle, NativeStream stream) {
  if (Status status = expect_stream(stream); !status.ok()) return status;
  if (Status status = ready_for_more(stream_of(stream)); !status.ok()) return status;
  Event& event = *reinterpret_cast<Event*>(handle);
  const std::lock_guard lock(event.mutex);
  if (event.shared) {
    stream_of(stream).enqueue([shared = event.shared, time = event.shared->record()]() -> Status {
      shared->reach(time);
      return {};
    });
  }
  event.mark = stream_of(stream).mark();
  return health_.status();
}

Status HostDriver::wait(NativeStream stream, NativeEvent handle) {
  if (Status status = expect_stream(stream); !status.ok()) return status;
  if (Status status = ready_for_more(stream_of(stream)); !status.ok()) return status;
  Event& event = *reinterpret_cast<Event*>(handle);
  const std::lock_guard lock(event.mutex);
  if (event.shared) {
    stream_of(stream).enqueue(
        [shared = event.shared, ours = event.ours, time = event.shared->recorded.load()] {
          Status waited = shared->wait_until(time);
          return ours ? Status() : waited;  // an importer that has ended uses the block no more
        });
  }
  stream_of(stream).wait(event.mark);
  return health_.status();
}

Result<bool> HostDriver::reached(NativeEvent handle) {
  Event& event = *reinterpret_cast<Event*>(handle);
  const std::lock_guard lock(event.mutex);
  const bool reached = event.shared ? event.shared->reached >= event.shared->recorded : event.mark.reached();
  if (Status status = health_.status(); !status.ok()) return status;
  return reached;
}

Status HostDriver::synchronize(NativeStream stream) {
  if (Status status = ready_for_more(stream_of(stream)); !status.ok()) return status;
  stream_of(stream).synchronize();
  pool_.trim(release_threshold_bytes_.load());
  return health_.status();
}

Status HostDriver::enqueue(NativeStream stream, HostStream::Work work) {
  if (Status status = health_.status(); !status.ok()) return status;
  return enqueue_kernel(stream_of(stream), std::move(work));
}

Status HostDriver::enqueue_kernel(HostStream& stream, HostStream::Work work) {
  if (Status status = health_.status(); !status.ok()) return status;
  stream.enqueue([this, work = std::move(work)] {
    const HostArena::Access access(*arena_);
    return work();
  });
  return {};
}

Result<void*> HostDriver::allocate(uint64_t size_bytes, NativeStream handle, const char* tag) {
  HostStream& stream = stream_of(handle);
  if (Status status = ready_for_more(stream); !status.ok()) return status;
  if (++n_allocations_ == options_.fail_allocation)
    return Status(StatusCode::kOutOfMemory,
                  "the device has no memory for " + std::to_string(size_bytes) + " bytes")
        .at(options_.name + (tag ? std::string(", buffer '") + tag + "'" : ""))
        .got("allocation " + std::to_string(options_.fail_allocation) + ", which was to fail");
  auto block = pool_.allocate(size_bytes, stream, tag);
  if (!block.ok()) return std::move(block.status()).at(options_.name);
  const auto begin = reinterpret_cast<uintptr_t>(block->data);
  Allocation allocation{tag ? tag : "", begin, begin + size_bytes, 0};
  Status queued = enqueue_kernel(stream, [this, allocation = std::move(allocation)]() -> Status {
    std::memset(reinterpret_cast<void*>(allocation.begin), kPoison, allocation.end - allocation.begin);
    const std::lock_guard lock(allocations_mutex_);
    allocations_[allocation.begin] = allocation;
    return {};
  });
  if (!queued.ok()) return queued;
  return block->data;
}

Status HostDriver::release(void* data, NativeStream handle) {
  if (!data) return {};
  HostStream& stream = stream_of(handle);
  if (stream.captured()) return ready_for_more(stream);
  // Queued before the pool takes the place: whoever gets the block comes after it.
  stream.enqueue([this, begin = reinterpret_cast<uintptr_t>(data)]() -> Status {
    const HostArena::Access access(*arena_);
    const std::lock_guard lock(allocations_mutex_);
    const auto found = allocations_.find(begin);
    if (found == allocations_.end()) return {};  // the device was lost before it was handed out
    std::memset(reinterpret_cast<void*>(begin), kPoison, found->second.end - begin);
    allocations_.erase(found);
    return {};
  });
  auto block = pool_.release(data, stream);
  return block.ok() ? Status() : block.status();
}

Status HostDriver::trim(uint64_t keep_bytes) {
  pool_.trim(keep_bytes);
  return health_.status();
}

Status HostDriver::set_release_threshold(uint64_t keep_bytes) {
  release_threshold_bytes_.store(keep_bytes);
  return health_.status();
}

Result<void*> HostDriver::allocate_pinned(uint64_t size_bytes) {
  void* data = std::aligned_alloc(64, (size_bytes + 64) / 64 * 64);
  if (!data)
    return Status(StatusCode::kOutOfMemory,
                  "the system has no memory for " + std::to_string(size_bytes) + " pinned bytes");
  return data;
}

void HostDriver::release_pinned(void* data) noexcept { std::free(data); }

std::vector<HostDriver::Allocation> HostDriver::allocations() const {
  const std::lock_guard lock(allocations_mutex_);
  std::vector<Allocation> all;
  for (const auto& [begin, allocation] : allocations_) all.push_back(allocation);
  return all;
}

Status HostDriver::expect_allocated(const void* data, uint64_t size_bytes, const char* what) const {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const std::lock_guard lock(allocations_mutex_);
  auto after = allocations_.upper_bound(begin);
  const Allocation* nearest = after == allocations_.begin() ? nullptr : &std::prev(after)->second;
  if (nearest && begin <= nearest->end && size_bytes <= nearest->end - begin) return {};
  Status error(StatusCode::kInternal, std::string(what) + " of " + std::to_string(size_bytes) +
                                          " bytes goes outside of what the device has allocated");
  if (!nearest) return std::move(error).at(options_.name);
  return std::move(error)
      .at(options_.name)
      .expected("within '" + nearest->tag + "' of " + std::to_string(nearest->end - nearest->begin) +
                " bytes")
      .got("from byte " + std::to_string(begin - nearest->begin));
}

Status HostDriver::copy_to_device(void* to, const void* from, uint64_t size_bytes, NativeStream stream) {
  copies_.count({.to_device_bytes = size_bytes}, stream);
  return enqueue(stream, [this, to, from, size_bytes]() -> Status {
    if (Status status = expect_allocated(to, size_bytes, "a copy to the device"); !status.ok()) return status;
    std::memcpy(to, from, size_bytes);
    return {};
  });
}

Status HostDriver::copy_to_host(void* to, const void* from, uint64_t size_bytes, NativeStream stream) {
  copies_.count({.to_host_bytes = size_bytes}, stream);
  return enqueue(stream, [this, to, from, size_bytes]() -> Status {
    if (Status status = expect_allocated(from, size_bytes, "a copy from the device"); !status.ok())
      return status;
    std::memcpy(to, from, size_bytes);
    return {};
  });
}

Status HostDriver::copy_within(void* to, const void* from, uint64_t size_bytes, NativeStream stream) {
  copies_.count({.within_bytes = size_bytes}, stream);
  return enqueue(stream, [this, to, from, size_bytes]() -> Status {
    for (const void* end : {static_cast<const void*>(to), from}) {
      if (Status status = expect_allocated(end, size_bytes, "a copy on the device"); !status.ok())
        return status;
    }
    std::memmove(to, from, size_bytes);
    return {};
  });
}

Status HostDriver::fill(void* to, uint8_t value, uint64_t size_bytes, NativeStream stream) {
  return enqueue(stream, [this, to, value, size_bytes]() -> Status {
    if (Status status = expect_allocated(to, size_bytes, "a fill"); !status.ok()) return status;
    std::memset(to, value, size_bytes);
    return {};
  });
}

Status HostDriver::begin_capture(NativeStream handle) {
  HostStream& stream = stream_of(handle);
  if (Status status = ready_for_more(stream); !status.ok()) return status;
  stream.begin_capture();
  copies_.begin_capture(handle);
  return {};
}

Result<NativeGraph> HostDriver::end_capture(NativeStream handle) {
  const auto graph = reinterpret_cast<NativeGraph>(new Graph{stream_of(handle).end_capture()});
  copies_.end_capture(handle, graph);
  return graph;
}

Status HostDriver::launch(NativeGraph graph, NativeStream handle) {
  HostStream& stream = stream_of(handle);
  if (Status status = ready_for_more(stream); !status.ok()) return status;
  copies_.launch(graph);
  for (const HostStream::Work& work : reinterpret_cast<Graph*>(graph)->work) stream.enqueue(work);
  return {};
}

void HostDriver::destroy_graph(NativeGraph graph) noexcept {
  copies_.destroy(graph);
  delete reinterpret_cast<Graph*>(graph);
}

}  // namespace weft
