#include "modalities/text/constraint/code_point_set.h"

#include <utf8proc.h>

#include <algorithm>

namespace weft::constraint {
namespace {
constexpr uint32_t kLastCodePoint = 0x10FFFF, kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;
}

void CodePointSet::add(uint32_t first, uint32_t last) {
  if (first > last) return;
  // The ranges that touch or overlap the new one become one with it.
  auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                                [](const CodePointRange& r, uint32_t f) { return r.last + 1 < f; });
  auto end = begin;
  while (end != ranges_.end() && end->first <= last + 1) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
    ++end;
  }
  ranges_.insert(ranges_.erase(begin, end), CodePointRange{first, last});
}

void CodePointSet::add(const CodePointSet& other) {
  for (const CodePointRange& range : other.ranges_) add(range.first, range.last);
}

CodePointSet CodePointSet::complement() const {
  CodePointSet out;
  const auto add_characters = [&](uint32_t first, uint32_t last) {  // [first, last] without surrogates
    if (first > last) return;
    if (first < kFirstSurrogate) out.add(first, std::min(last, kFirstSurrogate - 1));
    if (last > kLastSurrogate) out.add(std::max(first, kLastSurrogate + 1), last);
  };
  uint32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) add_characters(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) add_characters(next, kLastCodePoint);
  return out;
}

CodePointSet CodePointSet::intersection(const CodePointSet& other) const {
  CodePointSet out;
  auto a = ranges_.begin(), b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const uint32_t first = std::max(a->first, b->first), last = std::min(a->last, b->last);
    if (first <= last) out.ranges_.push_back({first, last});
    (a->last < b->last ? a : b)++;
  }
  return out;
}

bool CodePointSet::contains(uint32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const CodePointRange& r) { return r.first <= code_point && code_point <= r.last; });
}

CodePointSet CodePointSet::category(std::string_view name) {
  CodePointSet out;
  if (name.empty() || name.size() > 2) return out;
  for (uint32_t c = 0; c <= kLastCodePoint; ++c) {
    if (c == kFirstSurrogate) c = kLastSurrogate + 1;
    if (!std::string_view(utf8proc_category_string(static_cast<utf8proc_int32_t>(c))).starts_with(name))
      continue;
    if (!out.ranges_.empty() && out.ranges_.back().last + 1 == c) {
      out.ranges_.back().last = c;
    } else {
      out.ranges_.push_back({c, c});
    }
  }
  return out;
}

}  // namespace weft::constraint
