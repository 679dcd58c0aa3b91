#include "kernels/layers/packed_weight_store.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace weft {

void HeapWeightStore::Free::operator()(std::byte* bytes) const { std::free(bytes); }

Result<const std::byte*> HeapWeightStore::get(const std::string& key, int64_t size_bytes,
                                              const std::function<Status(std::byte*)>& fill) {
  constexpr int64_t kHugePage = int64_t{2} << 20;
  const int64_t alignment = size_bytes >= kHugePage ? kHugePage : 64;
  const int64_t rounded = (std::max<int64_t>(size_bytes, 1) + alignment - 1) / alignment * alignment;
  std::unique_ptr<std::byte, Free> block(static_cast<std::byte*>(
      std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(rounded))));
  if (!block)
    return Status(StatusCode::kOutOfMemory, "no memory for packed weights")
        .at(key)
        .expected(std::to_string(rounded) + " bytes");
  if (alignment == kHugePage) (void)madvise(block.get(), static_cast<size_t>(rounded), MADV_HUGEPAGE);
  if (Status filled = fill(block.get()); !filled.ok()) return filled;
  blocks_.push_back(std::move(block));
  return static_cast<const std::byte*>(blocks_.back().get());
}

}  // namespace weft
