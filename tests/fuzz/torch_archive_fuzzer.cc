// Any bytes as a torch archive: an error, or tensors that lie within the bytes.
#include <cstdlib>

#include "modalities/weights/torch_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const Result<TorchHeader> header = read_torch_archive(bytes, "fuzz.pt");
  if (!header.ok()) {
    if (header.error().where.empty() || header.error().message.empty()) std::abort();
    return 0;
  }
  for (const WeightTensor& tensor : header->tensors) {
    if (tensor.offset > size || tensor.size_bytes > size - tensor.offset) std::abort();
    if (tensor.data != bytes.data() + tensor.offset || tensor.count() < 0) std::abort();
  }
  return 0;
}
