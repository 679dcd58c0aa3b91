#include "plugins/image/latent.h"

#include <string>

#include "plugins/image/generation_parameters.h"

namespace weft::image {

Result<weft_tensor> latent_of(const sdk::Value& value, const DiffusionModel& model, const char* port) {
  const weft_tensor tensor = value.as_tensor();
  const bool fits = tensor.rank == 4 && tensor.dtype == WEFT_DTYPE_F32 && sdk::is_contiguous(tensor) &&
                    tensor.shape[3] == model.latent_channels() && sdk::element_count(tensor) > 0;
  if (fits) return tensor;
  return Status(StatusCode::kInvalidShape, "not latents of this model")
      .at(std::string("port '") + port + "'")
      .expected("f32 [pictures, rows, columns, " + std::to_string(model.latent_channels()) + "]")
      .got("rank " + std::to_string(tensor.rank) + " with " +
           std::to_string(tensor.rank > 0 ? tensor.shape[tensor.rank - 1] : 0) + " channels");
}

std::span<const float> floats_of(const weft_tensor& tensor) {
  return {static_cast<const float*>(tensor.data), static_cast<size_t>(sdk::element_count(tensor))};
}

LatentBounds latent_bounds(const weft_spec& input, const DiffusionModel& model) {
  const int64_t side = static_cast<int64_t>(kMaxGeneratedSide) / model.vae().config().factor();
  if (input.rank != 4) return {kMaxGeneratedImages, side, side};
  return {bound_or(input.shape[0], kMaxGeneratedImages), bound_or(input.shape[1], side),
          bound_or(input.shape[2], side)};
}

int64_t bound_or(int64_t bound, int64_t otherwise) { return bound == WEFT_UNBOUNDED ? otherwise : bound; }

}  // namespace weft::image
