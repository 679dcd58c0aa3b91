// Any bytes as a torch archive: an error, or tensors that lie within the bytes.
#include "modalities/weights/torch_archive.h"
#include "tests/fuzz/weight_tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  holds(read_torch_archive(bytes_of(data, size), "fuzz.pt"), bytes_of(data, size));
  return 0;
}
