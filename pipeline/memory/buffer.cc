#include "pipeline/memory/buffer.h"

#include <weft/sdk/device.h>
#include <weft/sdk/error.h>

#include <new>

#include "pipeline/memory/device_pool.h"

weft_buffer::weft_buffer() = default;
weft_buffer::~weft_buffer() = default;

namespace weft {
namespace {

void dispose_to_pool(void* owner, weft_buffer* buffer, weft_stream* last_use) noexcept {
  if (buffer->uses) last_use = buffer->uses->behind_all(last_use);
  static_cast<Pool*>(owner)->deallocate(buffer->data, buffer->size_bytes, buffer->alignment, last_use);
}

void retain(weft_buffer* buffer) { buffer->references.fetch_add(1, std::memory_order_relaxed); }

void release(weft_buffer* buffer, weft_stream* last_use) {
  if (!buffer) return;
  if (last_use && !last_use->driver) last_use = nullptr;  // the CPU has done its work already
  if (buffer->uses && last_use && buffer->references.load(std::memory_order_acquire) > 1) {
    // Before the reference goes: whoever holds the last one must find the place.
    [[maybe_unused]] const Status lost = buffer->uses->leave(last_use);
  }
  if (buffer->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  buffer->dispose(buffer->owner, buffer, last_use);
  delete buffer;
}

weft_status allocate(void* self, const weft_allocation* request, weft_stream* stream, weft_buffer** out,
                     weft_error* error) {
  *out = nullptr;
  return sdk::barrier(error, [&]() -> Status {
    Pool* pool = static_cast<MemoryService*>(self)->pool(request->device);
    if (!pool)
      return Status(StatusCode::kUnsupported, "no memory pool serves this device")
          .at(sdk::device_name(request->device));
    auto buffer = allocate_buffer(*pool, request->size_bytes, request->alignment, stream, request->tag);
    if (!buffer.ok()) return buffer.status();
    *out = buffer->release();
    return {};
  });
}

// On the CPU a stream runs its work at once, so that contents are ready and readers done when these are called; a buffer of a
// device is not touched by the CPU's streams.
bool on_device(const weft_buffer* buffer, const weft_stream* stream) {
  return buffer->uses && stream && stream->driver;
}
weft_status code_of(const Status& status) { return static_cast<weft_status>(status.code()); }

weft_status ready(weft_buffer* buffer, weft_stream* producer) {
  return on_device(buffer, producer) ? code_of(buffer->uses->ready(producer)) : WEFT_OK;
}
weft_status acquire(weft_buffer* buffer, weft_stream* consumer, int32_t for_write) {
  if (!buffer->uses) return WEFT_OK;
  if (!on_device(buffer, consumer)) return WEFT_UNSUPPORTED;
  return code_of(
      buffer->uses->acquire(consumer, for_write ? BufferUses::Access::kWrite : BufferUses::Access::kRead));
}
weft_status synchronize(weft_stream* stream) {
  return stream && stream->driver ? code_of(stream->driver->synchronize(stream->native)) : WEFT_OK;
}

void* data(const weft_buffer* buffer) { return buffer->data; }
uint64_t size_bytes(const weft_buffer* buffer) { return buffer->size_bytes; }
weft_device device(const weft_buffer* buffer) { return buffer->device; }
weft_device stream_device(const weft_stream* stream) {
  return stream ? stream->device : weft_device{WEFT_DEVICE_CPU, 0};
}
void* native_stream(const weft_stream* stream) { return stream ? stream->native : nullptr; }

weft_status statistics(void* self, weft_device on, weft_memory_statistics* out) {
  auto& service = *static_cast<MemoryService*>(self);
  if (!service.pool(on)) return WEFT_UNSUPPORTED;
  const PoolStatistics found = service.statistics(on);
  out->live_bytes = found.live_bytes;
  out->peak_bytes = found.peak_bytes;
  out->allocation_count = found.allocation_count;
  out->copied_bytes = service.copied_bytes();
  return WEFT_OK;
}

}  // namespace

Buffer Buffer::share(weft_buffer* handle) {
  if (handle) retain(handle);
  return Buffer(handle);
}

Buffer::~Buffer() { weft::release(handle_, nullptr); }

Result<Buffer> allocate_buffer(Pool& pool, uint64_t size, uint32_t alignment, weft_stream* stream,
                               const char* tag) {
  auto uses = pool.uses(stream);
  auto memory = pool.allocate(size, alignment, stream, tag);
  if (!memory.ok()) return memory.status();
  auto* buffer = new (std::nothrow) weft_buffer;
  if (!buffer) {
    pool.deallocate(*memory, size, alignment, stream);
    return Status(StatusCode::kOutOfMemory, "no memory for a buffer's handle");
  }
  buffer->alignment = alignment;
  buffer->device = pool.device();
  buffer->data = *memory;
  buffer->size_bytes = size;
  buffer->dispose = dispose_to_pool;
  buffer->owner = &pool;
  buffer->uses = std::move(uses);
  return Buffer::adopt(buffer);
}

Result<Buffer> wrap_memory(void* memory, uint64_t size, weft_device on, void* owner,
                           void (*dispose)(void* owner, weft_buffer* buffer,
                                           weft_stream* last_use) noexcept) {
  auto* buffer = new (std::nothrow) weft_buffer;
  if (!buffer) return Status(StatusCode::kOutOfMemory, "no memory for a buffer's handle");
  buffer->device = on;
  buffer->data = memory;
  buffer->size_bytes = size;
  buffer->dispose = dispose;
  buffer->owner = owner;
  return Buffer::adopt(buffer);
}

namespace {

struct Shared {
  std::shared_ptr<const void> owner;
  Buffer buffer;  // goes first
};

void let_go_of_shared(void* owner, weft_buffer* buffer, weft_stream* last_use) noexcept {
  if (buffer->uses && last_use) {
    [[maybe_unused]] const Status lost = buffer->uses->leave(last_use);
  }
  delete static_cast<Shared*>(owner);
}

}  // namespace

Result<Buffer> share_memory(Buffer buffer, std::shared_ptr<const void> owner) {
  auto* shared = new (std::nothrow) Shared{std::move(owner), std::move(buffer)};
  if (!shared) return Status(StatusCode::kOutOfMemory, "no memory for a buffer's handle");
  const weft_buffer& inner = *shared->buffer.get();
  auto made = wrap_memory(inner.data, inner.size_bytes, inner.device, shared, let_go_of_shared);
  if (made.ok()) made->get()->uses = inner.uses;
  else delete shared;
  return made;
}

MemoryService::MemoryService(std::vector<Pool*> pools) {
  for (Pool* pool : pools) counted_.push_back(std::make_unique<StatisticsPool>(*pool));
  api_ = {};
  api_.struct_size = sizeof(api_);
  api_.self = this;
  api_.allocate = allocate;
  api_.retain = retain;
  api_.release = weft::release;
  api_.data = data;
  api_.size_bytes = size_bytes;
  api_.device = device;
  api_.ready = ready;
  api_.acquire = acquire;
  api_.stream_device = stream_device;
  api_.native_stream = native_stream;
  api_.synchronize = synchronize;
  api_.statistics = weft::statistics;
}

MemoryService::~MemoryService() = default;

void MemoryService::add(Pool& pool) {
  const std::unique_lock lock(mutex_);
  counted_.push_back(std::make_unique<StatisticsPool>(pool));
}

StatisticsPool* MemoryService::find(weft_device on) const {
  const std::shared_lock lock(mutex_);
  for (const auto& pool : counted_) {
    if (sdk::same_device(pool->device(), on)) return pool.get();
  }
  return nullptr;
}

Pool* MemoryService::pool(weft_device on) const { return find(on); }

PoolStatistics MemoryService::statistics(weft_device on) const {
  const StatisticsPool* pool = find(on);
  return pool ? pool->statistics() : PoolStatistics{};
}

}  // namespace weft
