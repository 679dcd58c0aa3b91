/// A KV cache in a buffer of the host's pool, for the length of one execute.
#ifndef WEFT_PLUGINS_TEXT_CACHE_MEMORY_H
#define WEFT_PLUGINS_TEXT_CACHE_MEMORY_H

#include <weft/sdk/plugin.h>

#include "kernels/networks/decoder/kv_cache.h"

namespace weft::text {

/// The cache's memory outlives the cache: members are destroyed last to first.
struct CacheMemory {
  sdk::Buffer buffer;
  KvCache cache;
};

/// Errors: kOutOfMemory (the host's limit), kInvalidShape (a format that the head size does not allow).
inline Result<CacheMemory> allocate_cache(const sdk::Host& host, weft_stream* stream, const KvLayout& layout,
                                          int64_t n_pages) {
  const uint64_t size_bytes = static_cast<uint64_t>(n_pages * layout.page_bytes());
  Result<sdk::Buffer> buffer = host.allocate(size_bytes, stream, "KV cache");
  if (!buffer.ok()) return buffer.status();
  Result<KvCache> cache = KvCache::create(layout, {static_cast<std::byte*>(buffer->data()), size_bytes});
  if (!cache.ok()) return cache.status();
  return CacheMemory{*std::move(buffer), *std::move(cache)};
}

/// The choices of parameter "kv_type", and the format that one of them means.
inline constexpr const char* kKvTypes[] = {"f16", "bf16", "q8_0", "f32", nullptr};
inline KvFormat kv_format(std::string_view name) {
  return name == "bf16"   ? KvFormat::kBF16
         : name == "q8_0" ? KvFormat::kQ8_0
         : name == "f32"  ? KvFormat::kF32
                          : KvFormat::kF16;
}

}  // namespace weft::text
#endif
