// Any bytes as a safetensors file: an error, or tensors that lie within the bytes.
#include "modalities/weights/safetensors.h"
#include "tests/fuzz/weight_tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  holds(read_safetensors(bytes_of(data, size), "fuzz.safetensors"), bytes_of(data, size));
  return 0;
}
