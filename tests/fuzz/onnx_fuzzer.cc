// Any bytes as an ONNX file: an error with its place, or a model whose external data can be asked about.
#include <cstdlib>

#include "modalities/weights/onnx_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  const Result<OnnxModel> model =
      read_onnx_model({reinterpret_cast<const std::byte*>(data), size}, "fuzz.onnx");
  if (!model.ok()) {
    if (model.error().where.empty() || model.error().message.empty()) std::abort();
    return 0;
  }
  if (model->weight_bytes > model->widened_bytes) std::abort();
  for (const OnnxExternalData& external : model->external)
    if (external.file_offset > size) std::abort();
  // There is no such folder: whatever the model names, it is not found or not allowed.
  const auto files = check_external_data(*model, "/nonexistent/fuzz.onnx");
  if (files.ok() != model->external.empty()) std::abort();
  return 0;
}
