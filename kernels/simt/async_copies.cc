#include "kernels/simt/async_copies.h"

#include <cstring>

namespace weft::simt {

void AsyncCopies::finish_group(std::vector<Copy>& group, Checker& checker, const Accessor& who) {
  for (const Copy& copy : group) {
    if (copy.source_bytes > 0) std::memcpy(copy.shared, copy.global, static_cast<size_t>(copy.source_bytes));
    std::memset(static_cast<char*>(copy.shared) + copy.source_bytes, 0,
                static_cast<size_t>(copy.bytes - copy.source_bytes));
    checker.set_pending(reinterpret_cast<uintptr_t>(copy.shared), static_cast<unsigned>(copy.bytes), false,
                        who);
  }
  group.clear();
}

void AsyncCopies::issue(const Copy& copy, CopyTime time, Checker& checker, const Accessor& who) {
  if (groups_.empty()) groups_.emplace_back();
  checker.set_pending(reinterpret_cast<uintptr_t>(copy.shared), static_cast<unsigned>(copy.bytes), true, who);
  groups_.back().push_back(copy);
  if (time == CopyTime::kLatest) std::memset(copy.shared, 0xff, static_cast<size_t>(copy.bytes));
  else if (copy.source_bytes > 0)
    std::memcpy(copy.shared, copy.global, static_cast<size_t>(copy.source_bytes));
}

void AsyncCopies::commit() {
  if (groups_.empty()) groups_.emplace_back();
  groups_.emplace_back();
}

void AsyncCopies::wait(size_t groups_left, Checker& checker, const Accessor& who) {
  if (groups_.empty()) return;
  const size_t committed = groups_.size() - 1;
  const size_t done = committed > groups_left ? committed - groups_left : 0;
  for (size_t i = 0; i < done; ++i) finish_group(groups_[i], checker, who);
  groups_.erase(groups_.begin(), groups_.begin() + static_cast<std::ptrdiff_t>(done));
}

void AsyncCopies::finish(Checker& checker, const Accessor& who) {
  for (std::vector<Copy>& group : groups_) finish_group(group, checker, who);
  groups_.clear();
}

}  // namespace weft::simt
