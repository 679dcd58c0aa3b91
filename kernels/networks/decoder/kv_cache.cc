#include "kernels/networks/decoder/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace weft {

struct KvCache::Pool {
  KvLayout layout;
  std::byte* memory = nullptr;
  std::byte* owned = nullptr;  // memory, if it is ours
  int64_t page_bytes = 0;
  std::vector<int32_t> references;  // [n_pages]
  std::vector<int32_t> free_pages;  // the last one is taken first
  PageCopy copy;

  ~Pool() { std::free(owned); }

  int32_t index(const std::byte* page) const { return static_cast<int32_t>((page - memory) / page_bytes); }
  // Precondition: a page is free.
  std::byte* take() {
    const int32_t page = free_pages.back();
    free_pages.pop_back();
    references[page] = 1;
    return memory + page * page_bytes;
  }
  void release(const std::byte* page) {
    const int32_t i = index(page);
    if (--references[i] == 0) free_pages.push_back(i);
  }
  bool shared(const std::byte* page) const { return references[index(page)] > 1; }
};

namespace {

constexpr int64_t kMaxPages = int64_t{1} << 30;

Status check(const KvLayout& layout) {
  const bool positive = layout.n_layers >= 1 && layout.n_kv_heads >= 1 && layout.head_dim >= 1;
  if (!positive || layout.n_layers > 65536 || layout.n_kv_heads > 65536 || layout.head_dim > kMaxHeadDim)
    return Status(StatusCode::kInvalidShape, "KV cache of an impossible shape")
        .expected("1 to 65536 layers and heads of 1 to " + std::to_string(kMaxHeadDim) + " components")
        .got(std::to_string(layout.n_layers) + " layers, " + std::to_string(layout.n_kv_heads) +
             " heads of " + std::to_string(layout.head_dim));
  if (layout.format == KvFormat::kQ8_0 && layout.head_dim % 32 != 0)
    return Status(StatusCode::kInvalidShape, "a q8_0 KV cache needs heads of a multiple of 32 components")
        .got(std::to_string(layout.head_dim))
        .hint("use f16 or bf16");
  return Status();
}

Status no_page_fits(int64_t page_bytes, int64_t bytes) {
  return Status(StatusCode::kOutOfMemory, "the KV cache has no room for one page")
      .expected("at least " + std::to_string(page_bytes) + " bytes")
      .got(std::to_string(bytes));
}

Status copy_on_host(std::byte* to, const std::byte* from, int64_t size_bytes) {
  std::memcpy(to, from, static_cast<size_t>(size_bytes));
  return {};
}

std::unique_ptr<KvCache::Pool> pool_over(const KvLayout& layout, std::byte* memory, int64_t n_pages) {
  auto pool = std::make_unique<KvCache::Pool>();
  pool->layout = layout;
  pool->memory = memory;
  pool->page_bytes = layout.page_bytes();
  pool->references.assign(n_pages, 0);
  pool->free_pages.reserve(n_pages);
  for (int64_t i = n_pages; i > 0; --i) pool->free_pages.push_back(static_cast<int32_t>(i - 1));
  return pool;
}

}  // namespace

Result<KvCache> KvCache::create(const KvLayout& layout, int64_t budget_bytes) {
  if (Status valid = check(layout); !valid.ok()) return valid;
  const int64_t n_pages = std::min(budget_bytes / layout.page_bytes(), kMaxPages);
  if (n_pages < 1) return no_page_fits(layout.page_bytes(), budget_bytes);
  void* memory = std::aligned_alloc(64, static_cast<size_t>(n_pages * layout.page_bytes()));
  if (!memory)
    return Status(StatusCode::kOutOfMemory, "no memory for the KV cache")
        .expected(std::to_string(n_pages * layout.page_bytes()) + " bytes");
  auto pool = pool_over(layout, static_cast<std::byte*>(memory), n_pages);
  pool->owned = pool->memory;
  pool->copy = copy_on_host;
  return KvCache(std::move(pool));
}

Result<KvCache> KvCache::create(const KvLayout& layout, std::span<std::byte> memory) {
  return create(layout, memory, copy_on_host);
}

Result<KvCache> KvCache::create(const KvLayout& layout, std::span<std::byte> memory, PageCopy copy) {
  if (Status valid = check(layout); !valid.ok()) return valid;
  const int64_t bytes = static_cast<int64_t>(memory.size());
  const int64_t n_pages = std::min(bytes / layout.page_bytes(), kMaxPages);
  if (n_pages < 1) return no_page_fits(layout.page_bytes(), bytes);
  auto pool = pool_over(layout, memory.data(), n_pages);
  pool->copy = std::move(copy);
  return KvCache(std::move(pool));
}

KvCache::KvCache(std::unique_ptr<Pool> pool) : pool_(std::move(pool)) {}
KvCache::KvCache(KvCache&&) noexcept = default;
KvCache& KvCache::operator=(KvCache&&) noexcept = default;
KvCache::~KvCache() = default;

const KvLayout& KvCache::layout() const { return pool_->layout; }
int64_t KvCache::n_pages() const { return static_cast<int64_t>(pool_->references.size()); }
int64_t KvCache::n_free_pages() const { return static_cast<int64_t>(pool_->free_pages.size()); }
KvSequence KvCache::new_sequence() { return KvSequence(pool_.get()); }

KvSequence::KvSequence(KvCache::Pool* pool) : pool_(pool) {}
KvSequence::KvSequence(KvSequence&& other) noexcept
    : pool_(other.pool_), pages_(std::move(other.pages_)), length_(std::exchange(other.length_, 0)) {
  other.pages_.clear();
}
KvSequence& KvSequence::operator=(KvSequence&& other) noexcept {
  if (this == &other) return *this;
  for (const std::byte* page : pages_) pool_->release(page);
  pool_ = other.pool_;
  pages_ = std::move(other.pages_);
  other.pages_.clear();
  length_ = std::exchange(other.length_, 0);
  return *this;
}
KvSequence::~KvSequence() {
  for (const std::byte* page : pages_) pool_->release(page);
}

const KvLayout& KvSequence::layout() const { return pool_->layout; }

KvSequence KvSequence::fork() const {
  KvSequence copy(pool_);
  copy.pages_.assign(pages_.begin(), pages_.begin() + kv_pages(length_));
  copy.length_ = length_;
  for (const std::byte* page : copy.pages_) ++pool_->references[pool_->index(page)];
  return copy;
}

void KvSequence::truncate(int64_t length) {
  assert(length >= 0 && length <= length_);
  length_ = length;
  while (n_pages() > kv_pages(length)) {
    pool_->release(pages_.back());
    pages_.pop_back();
  }
}

int64_t KvSequence::pages_to_append(int64_t n_tokens) const {
  const bool copies =
      n_tokens > 0 && length_ % kPageTokens != 0 && pool_->shared(pages_[length_ / kPageTokens]);
  return std::max<int64_t>(kv_pages(length_ + n_tokens) - n_pages(), 0) + (copies ? 1 : 0);
}

Status KvSequence::reserve(int64_t n_tokens) {
  const int64_t needed = pages_to_append(n_tokens);
  const int64_t available = static_cast<int64_t>(pool_->free_pages.size());
  if (needed > available)
    return Status(StatusCode::kOutOfMemory, "the KV cache is full")
        .expected(std::to_string(needed) + " free pages of " + std::to_string(kPageTokens) + " tokens")
        .got(std::to_string(available) + " of " + std::to_string(pool_->references.size()));
  if (needed == 0) return Status();
  pages_.reserve(kv_pages(length_ + n_tokens));
  if (length_ % kPageTokens != 0) {
    std::byte*& partial = pages_[length_ / kPageTokens];
    if (pool_->shared(partial)) {
      std::byte* copy = pool_->take();
      if (Status copied = pool_->copy(copy, partial, pool_->page_bytes); !copied.ok()) {
        pool_->release(copy);
        return copied;
      }
      pool_->release(partial);
      partial = copy;
    }
  }
  while (n_pages() < kv_pages(length_ + n_tokens)) pages_.push_back(pool_->take());
  return Status();
}

}  // namespace weft
