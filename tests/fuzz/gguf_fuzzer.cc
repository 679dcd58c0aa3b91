// Any bytes as a GGUF file: an error, or tensors that lie within the bytes and metadata that can be read.
#include <cstdlib>

#include "modalities/weights/gguf.h"
#include "tests/fuzz/weight_tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  const Result<GgufHeader> header = read_gguf(bytes_of(data, size), "fuzz.gguf");
  if (!holds(header, bytes_of(data, size))) return 0;
  for (const auto& [key, value] : header->metadata.entries()) {
    const Metadata& metadata = header->metadata;
    const bool any = metadata.integer(key).ok() || metadata.number(key).ok() || metadata.boolean(key).ok() ||
                     metadata.string(key).ok() || metadata.integers(key).ok() || metadata.numbers(key).ok() ||
                     metadata.strings(key).ok();
    // Only an integer above 63 bits has no getter: as a number it does, but not within an array.
    if (!any && !(value.is_array && value.type == MetadataType::kU64)) std::abort();
  }
  return 0;
}
