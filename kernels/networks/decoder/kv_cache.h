/// Keys and values of past tokens, in pages: a fixed pool, handed out page by page to sequences.
///
/// A page holds kPageTokens consecutive positions of one sequence, for all layers. Pages are reference-counted:
/// fork() shares them, so that sequences with a common prefix store it once; the last, partly filled page is
/// copied when one of its owners appends. Memory for pages is taken once, at create(); afterwards only a
/// sequence's own list of page addresses grows.
///
/// Ownership: the cache owns the pool and outlives its sequences; a KvSequence owns a reference to each of its
/// pages and gives them back when destroyed. Thread safety: none; one thread at a time uses a cache and its
/// sequences (Decoder::forward uses its executor's threads inside).
///
///   Result<KvCache> cache = KvCache::create({.n_layers = 30, .n_kv_heads = 3, .head_dim = 64}, 256 << 20);
///   KvSequence sequence = cache->new_sequence();
///   ... decoder.forward(...) appends to it ...
///   KvSequence other = sequence.fork();   // no copy
///   sequence.truncate(10);                // forgets all but the first ten tokens
#ifndef WEFT_KERNELS_NETWORKS_DECODER_KV_CACHE_H
#define WEFT_KERNELS_NETWORKS_DECODER_KV_CACHE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/ops/attention/attention.h"

namespace weft {

struct KvLayout {
  int64_t n_layers = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  KvFormat format = KvFormat::kF16;

  /// Bytes of a page: keys and values of kPageTokens tokens in all layers.
  int64_t page_bytes() const { return n_layers * n_kv_heads * 2 * kv_block_bytes(format, head_dim); }
  int64_t bytes_per_token() const { return page_bytes() / kPageTokens; }
};

/// Pages that hold `n_tokens` tokens of one sequence.
constexpr int64_t kv_pages(int64_t n_tokens) { return (n_tokens + kPageTokens - 1) / kPageTokens; }

class KvSequence;

class KvCache {
 public:
  /// As many pages as fit into `budget_bytes`, from the heap. Errors: kInvalidShape (an extent below 1, head_dim
  /// above kMaxHeadDim, or not a multiple of 32 with kQ8_0), kOutOfMemory (no page fits, or no such memory).
  static Result<KvCache> create(const KvLayout& layout, int64_t budget_bytes);
  /// The same in the caller's memory, aligned to 64 bytes, which outlives the cache.
  static Result<KvCache> create(const KvLayout& layout, std::span<std::byte> memory);
  /// The same where the host cannot touch the memory: `copy` copies a page, ordered with what uses pages.
  using PageCopy = std::function<Status(std::byte* to, const std::byte* from, int64_t size_bytes)>;
  static Result<KvCache> create(const KvLayout& layout, std::span<std::byte> memory, PageCopy copy);

  KvCache(KvCache&&) noexcept;
  KvCache& operator=(KvCache&&) noexcept;
  ~KvCache();

  const KvLayout& layout() const;
  int64_t n_pages() const;
  int64_t n_free_pages() const;
  /// An empty sequence.
  KvSequence new_sequence();

  struct Pool;

 private:
  explicit KvCache(std::unique_ptr<Pool> pool);
  std::unique_ptr<Pool> pool_;
};

class KvSequence {
 public:
  KvSequence(KvSequence&& other) noexcept;
  KvSequence& operator=(KvSequence&& other) noexcept;
  ~KvSequence();

  /// Tokens stored: the position of the next one.
  int64_t length() const { return length_; }
  /// Of the cache that it belongs to.
  const KvLayout& layout() const;
  /// Pages referred to, shared ones included.
  int64_t n_pages() const { return static_cast<int64_t>(pages_.size()); }

  /// A second sequence with the same tokens; shares all pages.
  KvSequence fork() const;
  /// Forgets all but the first `length` tokens and gives back pages that are no longer needed. Precondition:
  /// length <= length().
  void truncate(int64_t length);

  /// Free pages that appending `n_tokens` would take, the copy of a shared partial page included.
  int64_t pages_to_append(int64_t n_tokens) const;
  /// Makes room for `n_tokens` more; length() stays. All or nothing. Errors: kOutOfMemory (fewer free pages than
  /// pages_to_append()), those of a copy.
  Status reserve(int64_t n_tokens);
  /// Counts `n_tokens` as stored. Precondition: reserved, and written by the caller.
  void commit(int64_t n_tokens) { length_ += n_tokens; }
  /// The pages' addresses, in order of position; valid until the sequence changes.
  std::span<std::byte* const> pages() const { return pages_; }

 private:
  friend class KvCache;
  explicit KvSequence(KvCache::Pool* pool);

  KvCache::Pool* pool_ = nullptr;
  std::vector<std::byte*> pages_;
  int64_t length_ = 0;
};

}  // namespace weft
#endif
