/// What every container of tensors must get right: extents that fit, and places that do not overlap.
#ifndef WEFT_MODALITIES_WEIGHTS_TENSOR_LAYOUT_H
#define WEFT_MODALITIES_WEIGHTS_TENSOR_LAYOUT_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>

#include "modalities/weights/weight_file.h"

namespace weft {

/// Sets rank, extents and size_bytes of a tensor whose name and format are set. `extents`: outermost first.
/// Errors: kCorruptData if the rank is above WeightTensor::kMaxRank, the elements or bytes do not fit in 63
/// bits, or a row is not a whole number of blocks.
Status set_layout(WeightTensor& tensor, std::span<const uint64_t> extents);

/// Errors: kCorruptData, naming both tensors and the offset. `file` names the file. Reads offset and
/// size_bytes.
Status check_no_overlap(std::span<const WeightTensor> tensors, const std::string& file);

}  // namespace weft
#endif
