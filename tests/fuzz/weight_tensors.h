/// What any reader of weight files owes for any bytes: an error that names the file, or tensors that lie within the bytes.
#ifndef WEFT_TESTS_FUZZ_WEIGHT_TENSORS_H
#define WEFT_TESTS_FUZZ_WEIGHT_TENSORS_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "modalities/weights/weight_file.h"

namespace weft {

inline std::span<const std::byte> bytes_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// Whether there is a header; aborts where a promise is broken.
template <typename Header>
bool holds(const Result<Header>& header, std::span<const std::byte> bytes) {
  if (!header.ok()) {
    if (header.error().where.empty() || header.error().message.empty()) std::abort();
    return false;
  }
  for (const WeightTensor& tensor : header->tensors) {
    if (tensor.offset > bytes.size() || tensor.size_bytes > bytes.size() - tensor.offset) std::abort();
    if (tensor.data != bytes.data() + tensor.offset || tensor.count() < 0) std::abort();
  }
  return true;
}

}  // namespace weft
#endif
