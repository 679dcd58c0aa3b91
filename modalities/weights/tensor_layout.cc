#include "modalities/weights/tensor_layout.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "modalities/weights/checked_arithmetic.h"

namespace weft {
namespace {

constexpr auto kMaxSize = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

// The product, or nothing above 63 bits. A zero extent does not excuse the others.
std::optional<uint64_t> element_count(std::span<const uint64_t> extents) {
  uint64_t count = 1;
  bool empty = false;
  for (uint64_t extent : extents) {
    empty = empty || extent == 0;
    const std::optional<uint64_t> product = checked_multiply(count, std::max<uint64_t>(extent, 1));
    if (!product || *product > kMaxSize) return std::nullopt;
    count = *product;
  }
  return empty ? 0 : count;
}

}  // namespace

Status set_layout(WeightTensor& tensor, std::span<const uint64_t> extents) {
  const std::string label = "tensor '" + tensor.name + "'";
  if (extents.size() > WeightTensor::kMaxRank)
    return Status(StatusCode::kCorruptData, label + " has too many dimensions")
        .expected("at most " + std::to_string(WeightTensor::kMaxRank))
        .got(std::to_string(extents.size()));
  const std::optional<uint64_t> count = element_count(extents);
  if (!count)
    return Status(StatusCode::kCorruptData, "the extents of " + label + " overflow")
        .expected("fewer than 2^63 elements");
  const BlockLayout block = block_layout(tensor.format);
  const auto block_elements = static_cast<uint64_t>(block.elements);
  const uint64_t row = extents.empty() ? 1 : extents.back();
  if (row % block_elements != 0)
    return Status(StatusCode::kCorruptData, "the rows of " + label + " are not whole blocks of " + block.name)
        .expected("a multiple of " + std::to_string(block.elements))
        .got(std::to_string(row));
  const std::optional<uint64_t> size =
      checked_multiply(*count / block_elements, static_cast<uint64_t>(block.bytes));
  if (!size || *size > kMaxSize)
    return Status(StatusCode::kCorruptData, "the size of " + label + " overflows")
        .expected("fewer than 2^63 bytes");
  tensor.rank = static_cast<int>(extents.size());
  std::copy(extents.begin(), extents.end(), tensor.extents);
  tensor.size_bytes = *size;
  return {};
}

Status check_no_overlap(std::span<const WeightTensor> tensors, const std::string& file) {
  std::vector<const WeightTensor*> by_offset;
  by_offset.reserve(tensors.size());
  for (const WeightTensor& tensor : tensors)
    if (tensor.size_bytes > 0) by_offset.push_back(&tensor);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const WeightTensor* a, const WeightTensor* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const WeightTensor& before = *by_offset[i - 1];
    if (before.offset + before.size_bytes > by_offset[i]->offset)
      return Status(StatusCode::kCorruptData,
                    "tensors '" + before.name + "' and '" + by_offset[i]->name + "' overlap")
          .at(file + ", offset " + std::to_string(by_offset[i]->offset))
          .expected("an offset of at least " + std::to_string(before.offset + before.size_bytes));
  }
  return {};
}

}  // namespace weft
