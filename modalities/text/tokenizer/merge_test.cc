#include "modalities/text/tokenizer/merge.h"

#include <gtest/gtest.h>

#include <optional>

#include "modalities/text/tokenizer/piece_table.h"
#include "modalities/text/tokenizer/testing/test_lines.h"

namespace weft {
namespace {

// The definition, as slow as it is plain.
std::vector<int32_t> merge_naively(std::vector<int32_t> ids, const MergeTable& table) {
  for (;;) {
    Merge best;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      if (const Merge merge = table.find(ids[i], ids[i + 1]); merge.priority < best.priority) {
        best = merge;
        at = i;
      }
    if (best.priority == Merge::kNone) return ids;
    ids[at] = best.id;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

std::vector<int32_t> merge(const std::vector<int32_t>& ids, const MergeTable& table, MergeScratch& scratch) {
  std::vector<Symbol> symbols;
  for (size_t i = 0; i < ids.size(); ++i) symbols.push_back({static_cast<uint32_t>(i), 1, ids[i]});
  merge_symbols(
      symbols, [&](const Symbol& left, const Symbol& right) { return table.find(left.id, right.id); },
      [] { return false; }, scratch);
  std::vector<int32_t> merged;
  uint32_t begin = 0;
  for (const Symbol& symbol : symbols) {
    EXPECT_EQ(symbol.begin, begin);
    begin += symbol.size;
    merged.push_back(symbol.id);
  }
  EXPECT_EQ(begin, ids.size());
  return merged;
}

TEST(MergeSymbols, AgreesWithTheDefinitionWhateverTheLength) {
  testing::SplitMix64 random(1);
  MergeScratch scratch;
  for (int round = 0; round < 300; ++round) {
    const int32_t alphabet = 2 + static_cast<int32_t>(random.below(3));
    const int32_t tokens = alphabet + 1 + static_cast<int32_t>(random.below(40));
    MergeTable table;
    table.reserve(static_cast<size_t>(tokens));
    for (int32_t id = alphabet; id < tokens; ++id)
      table.insert(static_cast<int32_t>(random.below(static_cast<uint64_t>(id))),
                   static_cast<int32_t>(random.below(static_cast<uint64_t>(id))),
                   {static_cast<uint32_t>(random.below(20)), id});  // equal priorities: the leftmost wins
    for (size_t size : {0u, 1u, 2u, 3u, 23u, 24u, 25u, 26u, 100u, 257u}) {
      std::vector<int32_t> ids;
      for (size_t i = 0; i < size; ++i)
        ids.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(alphabet))));
      ASSERT_EQ(merge(ids, table, scratch), merge_naively(ids, table)) << size;
    }
  }
}

TEST(MergeTable, FindsOnlyWhatWasPutIn) {
  MergeTable table;
  table.reserve(1000);
  for (int32_t i = 0; i < 1000; ++i) table.insert(i, 2 * i, {static_cast<uint32_t>(i), i});
  table.insert(5, 10, {0, 99});  // the first stays
  for (int32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(table.find(i, 2 * i).id, i);
    EXPECT_EQ(table.find(2 * i + 1, i).priority, Merge::kNone);
  }
  EXPECT_EQ(table.find(-1, 0).priority, Merge::kNone);
  EXPECT_EQ(table.find(-1, -1).priority, Merge::kNone);
}

TEST(PieceTrie, FindsTheLongest) {
  PieceTrie trie;
  EXPECT_EQ(trie.longest("abc").size, 0u);
  trie.insert("ab", 1);
  trie.insert("abcd", 2);
  trie.insert("", 3);
  trie.insert("ab", 4);  // the first stays
  EXPECT_EQ(trie.longest("abc").id, 1);
  EXPECT_EQ(trie.longest("abcde").id, 2);
  EXPECT_EQ(trie.longest("abcde").size, 4u);
  EXPECT_EQ(trie.longest("b").size, 0u);
  EXPECT_EQ(trie.longest("").size, 0u);
}

TEST(PieceIndex, PrefersTheLowestOfEqualStrings) {
  PieceTable table;
  for (const char* piece : {"a", "b", "a", "", "abc"}) table.push_back(piece);
  const PieceIndex index(table);
  EXPECT_EQ(index.find("a"), 0);
  EXPECT_EQ(index.find("b"), 1);
  EXPECT_EQ(index.find(""), 3);
  EXPECT_EQ(index.find("abc"), 4);
  EXPECT_EQ(index.find("abcd"), -1);
  EXPECT_EQ(PieceIndex().find("a"), -1);
}

}  // namespace
}  // namespace weft
