/// Latents as they travel between nodes: port type "image.latent", f32 [pictures, rows, columns, channels], in a pipeline's
/// scale. Ownership: views of the values. Thread safety: pure functions.
#ifndef WEFT_PLUGINS_IMAGE_LATENT_H
#define WEFT_PLUGINS_IMAGE_LATENT_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <span>

#include "plugins/image/diffusion_model.h"

namespace weft::image {

inline constexpr const char* kLatent = "image.latent";

/// A latent that came in, checked against the model. Errors: kInvalidShape, naming `port`.
Result<weft_tensor> latent_of(const sdk::Value& value, const DiffusionModel& model, const char* port);
std::span<const float> floats_of(const weft_tensor& tensor);

/// Most of an input: what it declares, else what image.generate may make.
struct LatentBounds {
  int64_t images = 0, height = 0, width = 0;
};
LatentBounds latent_bounds(const weft_spec& input, const DiffusionModel& model);

int64_t bound_or(int64_t bound, int64_t otherwise);

}  // namespace weft::image
#endif
