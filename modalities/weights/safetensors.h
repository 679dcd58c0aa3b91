/// Reads the header of a safetensors file from bytes: where each tensor lies, and its __metadata__ strings.
///
/// As strict as the format's own reader: the header's length is bounded, keys are unique, every tensor's
/// bytes follow from its dtype and shape, and the tensors fill the data section without holes or overlap. In
/// addition a tensor must be aligned to its elements, because it is used in place. Source:
/// huggingface/safetensors, README "Format".
#ifndef WEFT_MODALITIES_WEIGHTS_SAFETENSORS_H
#define WEFT_MODALITIES_WEIGHTS_SAFETENSORS_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft {

inline constexpr uint64_t kSafetensorsMaxHeaderBytes = 100'000'000;  // the format's own limit

struct SafetensorsHeader {
  std::vector<WeightTensor> tensors;  // in file order; data points into the bytes
  std::vector<std::pair<std::string, UnreadableTensor>> unreadable;
  std::vector<std::pair<std::string, std::string>> metadata;  // __metadata__
};

/// True if the bytes can be a safetensors file: a plausible length followed by '{'.
bool is_safetensors(std::span<const std::byte> bytes);

/// `name` is the file's, for errors. `bytes` must outlive the result.
/// Errors: kCorruptData, kUnsupported (a misaligned tensor).
Result<SafetensorsHeader> read_safetensors(std::span<const std::byte> bytes, const std::string& name);

}  // namespace weft
#endif
