/// Reads the header of a GGUF file, versions 2 and 3, from bytes: metadata, and where each tensor lies.
///
/// Checked before use: every count, length and offset against the bytes at hand; key and tensor names
/// (length, UTF-8, unique); rank and extents (their product within 63 bits, rows of whole blocks); tensor
/// offsets (aligned, within the file, not overlapping). Nothing is allocated in proportion to a number that
/// the file merely claims. Source: ggml, docs/gguf.md.
#ifndef WEFT_MODALITIES_WEIGHTS_GGUF_H
#define WEFT_MODALITIES_WEIGHTS_GGUF_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft {

inline constexpr uint64_t kGgufMaxKeys = 1 << 16;
inline constexpr uint64_t kGgufMaxTensors = 1 << 20;
inline constexpr uint64_t kGgufMaxNameBytes = 1024;

struct GgufHeader {
  uint32_t version = 0;
  Metadata metadata;                  // values are views into the bytes
  std::vector<WeightTensor> tensors;  // data points into the bytes
  std::vector<std::pair<std::string, UnreadableTensor>> unreadable;
};

/// True if the bytes begin like a GGUF file.
bool is_gguf(std::span<const std::byte> bytes);

/// `name` is the file's, for errors. `bytes` must outlive the result.
/// Errors: kCorruptData, kUnsupported (version 1, big-endian files, nested arrays).
Result<GgufHeader> read_gguf(std::span<const std::byte> bytes, const std::string& name);

}  // namespace weft
#endif
