#include "kernels/networks/decoder/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace weft {
namespace {

const KvLayout kLayout = {2, 1, 16, KvFormat::kF32};

KvCache cache_of(int64_t pages) { return std::move(*KvCache::create(kLayout, pages * kLayout.page_bytes())); }

TEST(KvCache, TakesAsManyPagesAsTheBudgetHolds) {
  EXPECT_EQ(kLayout.page_bytes(), 2 * 2 * 16 * 4 * kPageTokens);
  EXPECT_EQ(kLayout.bytes_per_token(), 2 * 2 * 16 * 4);
  Result<KvCache> cache = KvCache::create(kLayout, 5 * kLayout.page_bytes() - 1);
  ASSERT_TRUE(cache.ok());
  EXPECT_EQ(cache->n_pages(), 4);
  EXPECT_EQ(cache->n_free_pages(), 4);
}

TEST(KvCache, RefusesImpossibleLayoutsAndBudgets) {
  EXPECT_EQ(KvCache::create(kLayout, kLayout.page_bytes() - 1).code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(KvCache::create(kLayout, -1).code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(KvCache::create({0, 1, 16, KvFormat::kF16}, 1 << 20).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(KvCache::create({1, 1, kMaxHeadDim + 1, KvFormat::kF16}, 1 << 20).code(),
            StatusCode::kInvalidShape);
  EXPECT_EQ(KvCache::create({1, 1, 48, KvFormat::kQ8_0}, 1 << 20).code(), StatusCode::kInvalidShape);
}

TEST(KvCache, SequencesGrowByPagesAndGiveThemBack) {
  KvCache cache = cache_of(4);
  {
    KvSequence sequence = cache.new_sequence();
    EXPECT_EQ(sequence.pages_to_append(kPageTokens + 1), 2);
    ASSERT_TRUE(sequence.reserve(kPageTokens + 1).ok());
    EXPECT_EQ(sequence.length(), 0);
    sequence.commit(kPageTokens + 1);
    EXPECT_EQ(sequence.pages_to_append(kPageTokens - 1), 0);
    EXPECT_EQ(cache.n_free_pages(), 2);
    sequence.truncate(kPageTokens);
    EXPECT_EQ(cache.n_free_pages(), 3);
    EXPECT_EQ(sequence.length(), kPageTokens);
    sequence.truncate(0);
    EXPECT_EQ(cache.n_free_pages(), 4);
    ASSERT_TRUE(sequence.reserve(1).ok());
  }
  EXPECT_EQ(cache.n_free_pages(), 4);
}

TEST(KvCache, ReservesAllOrNothing) {
  KvCache cache = cache_of(2);
  KvSequence sequence = cache.new_sequence();
  Status full = sequence.reserve(2 * kPageTokens + 1);
  ASSERT_EQ(full.code(), StatusCode::kOutOfMemory);
  EXPECT_THAT(to_string(full.error()), ::testing::HasSubstr("3 free pages"));
  EXPECT_EQ(cache.n_free_pages(), 2);
  EXPECT_TRUE(sequence.reserve(2 * kPageTokens).ok());
}

TEST(KvCache, ForksShareAndCopyOnlyThePartialPageOnWrite) {
  KvCache cache = cache_of(4);
  KvSequence first = cache.new_sequence();
  ASSERT_TRUE(first.reserve(kPageTokens + 3).ok());
  first.commit(kPageTokens + 3);
  std::memset(first.pages()[1], 7, static_cast<size_t>(kLayout.page_bytes()));

  KvSequence second = first.fork();
  EXPECT_EQ(cache.n_free_pages(), 2);
  EXPECT_EQ(second.pages()[0], first.pages()[0]);
  EXPECT_EQ(second.pages()[1], first.pages()[1]);
  EXPECT_EQ(second.pages_to_append(1), 1);
  ASSERT_TRUE(second.reserve(1).ok());
  second.commit(1);
  EXPECT_EQ(second.pages()[0], first.pages()[0]);
  ASSERT_NE(second.pages()[1], first.pages()[1]);
  EXPECT_EQ(std::memcmp(second.pages()[1], first.pages()[1], static_cast<size_t>(kLayout.page_bytes())), 0);
  EXPECT_EQ(first.pages_to_append(1), 0) << "the page is the first's own again";
  first.truncate(0);
  EXPECT_EQ(cache.n_free_pages(), 2) << "the full page is still the second's";
}

TEST(KvCache, ForkLeavesOutPagesThatAreReservedOnly) {
  KvCache cache = cache_of(4);
  KvSequence first = cache.new_sequence();
  ASSERT_TRUE(first.reserve(3 * kPageTokens).ok());
  first.commit(kPageTokens);
  EXPECT_EQ(first.fork().n_pages(), 1);
}

TEST(KvCache, MovedSequencesOwnTheirPagesOnce) {
  KvCache cache = cache_of(2);
  KvSequence a = cache.new_sequence();
  ASSERT_TRUE(a.reserve(1).ok());
  a.commit(1);
  KvSequence b = std::move(a);
  EXPECT_EQ(b.length(), 1);
  a = cache.new_sequence();
  ASSERT_TRUE(a.reserve(1).ok());
  b = std::move(a);
  EXPECT_EQ(cache.n_free_pages(), 1);
}

TEST(KvCache, UsesTheCallersMemory) {
  alignas(64) static std::byte memory[1 << 16];
  Result<KvCache> cache = KvCache::create(kLayout, memory);
  ASSERT_TRUE(cache.ok());
  KvSequence sequence = cache->new_sequence();
  ASSERT_TRUE(sequence.reserve(cache->n_pages() * kPageTokens).ok());
  std::set<const std::byte*> pages(sequence.pages().begin(), sequence.pages().end());
  EXPECT_EQ(static_cast<int64_t>(pages.size()), cache->n_pages());
  for (const std::byte* page : pages) {
    EXPECT_GE(page, memory);
    EXPECT_LE(page + kLayout.page_bytes(), memory + sizeof memory);
  }
}

}  // namespace
}  // namespace weft
