/// The merge loop that all byte-pair tokenizers share: again and again the pair of neighbours with the best priority,
/// the leftmost of equals, becomes one symbol. O(n log n) in the symbols of a word.
///
/// Source: Sennrich et al. 2016, arXiv:1508.07909; the heap over a linked list is SentencePiece's way to do it.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_MERGE_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_MERGE_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace weft {

/// A part of the word: bytes [begin, begin + size), and its token or -1.
struct Symbol {
  uint32_t begin = 0;
  uint32_t size = 0;
  int32_t id = -1;
};

struct Merge {
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  uint32_t priority = kNone;  ///< lower goes first; kNone: these two do not merge
  int32_t id = -1;            ///< of the result
};

/// Working memory, kept by the caller over many words.
struct MergeScratch {
  struct Candidate {
    uint32_t priority;
    uint32_t left;  // index into symbols; also the tie-break
    uint32_t right;
    uint32_t left_size;  // both sizes as they were: a candidate is stale once either has grown
    uint32_t right_size;
    int32_t id;
    bool operator<(const Candidate& other) const {  // the heap's top is the greatest
      return priority != other.priority ? priority > other.priority : left > other.left;
    }
  };
  std::vector<Merge> merges;
  std::vector<Candidate> heap;
  std::vector<uint32_t> previous, next;
};

namespace merge_detail {

// For a handful of symbols, looking at all pairs beats a heap.
template <typename Lookup>
void merge_few(std::vector<Symbol>& symbols, const Lookup& lookup, MergeScratch& scratch) {
  std::vector<Merge>& merges = scratch.merges;  // merges[i]: of symbols i and i + 1
  merges.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) merges.push_back(lookup(symbols[i], symbols[i + 1]));
  while (!merges.empty()) {
    const auto best = std::min_element(
        merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.priority < b.priority; });
    if (best->priority == Merge::kNone) return;
    const size_t i = static_cast<size_t>(best - merges.begin());
    symbols[i].size += symbols[i + 1].size;
    symbols[i].id = best->id;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(i) + 1);
    merges.erase(best);
    if (i > 0) merges[i - 1] = lookup(symbols[i - 1], symbols[i]);
    if (i < merges.size()) merges[i] = lookup(symbols[i], symbols[i + 1]);
  }
}

template <typename Lookup, typename Stop>
void merge_many(std::vector<Symbol>& symbols, const Lookup& lookup, const Stop& stop, MergeScratch& scratch) {
  constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();
  const auto count = static_cast<uint32_t>(symbols.size());
  std::vector<MergeScratch::Candidate>& heap = scratch.heap;
  heap.clear();
  scratch.previous.resize(count);
  scratch.next.resize(count);
  const auto candidate = [&](uint32_t left, uint32_t right, std::vector<MergeScratch::Candidate>& into) {
    const Merge merge = lookup(symbols[left], symbols[right]);
    if (merge.priority == Merge::kNone) return false;
    into.push_back({merge.priority, left, right, symbols[left].size, symbols[right].size, merge.id});
    return true;
  };
  for (uint32_t i = 0; i < count && !stop(); ++i) {
    scratch.previous[i] = i == 0 ? kEnd : i - 1;
    scratch.next[i] = i + 1 == count ? kEnd : i + 1;
    if (i + 1 < count) candidate(i, i + 1, heap);
  }
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty() && !stop()) {
    std::pop_heap(heap.begin(), heap.end());
    const MergeScratch::Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];  // a symbol that was merged away has size 0
    if (left.size != best.left_size || right.size != best.right_size) continue;
    left.size += right.size;
    left.id = best.id;
    right.size = 0;
    const uint32_t after = scratch.next[best.right];
    scratch.next[best.left] = after;
    if (after != kEnd) scratch.previous[after] = best.left;
    const uint32_t before = scratch.previous[best.left];
    if (before != kEnd && candidate(before, best.left, heap)) std::push_heap(heap.begin(), heap.end());
    if (after != kEnd && candidate(best.left, after, heap)) std::push_heap(heap.begin(), heap.end());
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.size == 0; });
}

}  // namespace merge_detail

/// Merges `symbols` in place. `lookup(left, right)` gives the Merge of two neighbours. Every symbol has a size above 0.
/// `stop()` is asked at every step of a long word; true leaves `symbols` merged in part.
template <typename Lookup, typename Stop>
void merge_symbols(std::vector<Symbol>& symbols, const Lookup& lookup, const Stop& stop,
                   MergeScratch& scratch) {
  constexpr size_t kFew = 24;
  if (symbols.size() <= kFew) merge_detail::merge_few(symbols, lookup, scratch);
  else merge_detail::merge_many(symbols, lookup, stop, scratch);
}

}  // namespace weft
#endif
