/// Pictures to latents and back, one picture at a time, so that a batch needs no more memory than one.
///
/// Latents are a pipeline's: (the autoencoder's - shift) * scale. Thread safety: as ModelCompute.
#ifndef WEFT_PLUGINS_IMAGE_LATENT_CODEC_H
#define WEFT_PLUGINS_IMAGE_LATENT_CODEC_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>

#include "kernels/diffusion/noise/noise.h"
#include "kernels/layers/stop_request.h"
#include "modalities/image/image.h"
#include "plugins/image/model_compute.h"

namespace weft::image {

// height, width: of the latents. tile: latents a side of the tiles that the autoencoder works in; 0: none, whole pictures.
void measure_decoding(Scratch& scratch, const DiffusionModel& model, int64_t height, int64_t width,
                      int64_t tile, uint32_t n_threads);
void measure_encoding_picture(Scratch& scratch, const DiffusionModel& model, int64_t height, int64_t width,
                              int64_t tile, uint32_t n_threads);

/// latents: [height, width, c]. pixels: u8 [height * factor, width * factor, 3]. Errors: those of Vae::decode.
Status decode_picture(ModelCompute& compute, std::span<const float> latents, int64_t height, int64_t width,
                      int64_t tile, uint8_t* pixels, const StopRequest& stop);

/// Encodes picture `index` of a batch of three channels (or one, or four whose alpha is left out). generators: latents are
/// drawn once by each, from the distribution that the encoder gives, as diffusers does; none: its mean, once. mask: pixels
/// above 0.5 count as middle gray, or no mask. latents: [max(1, generators), height, width, c]. Errors: those of Vae::encode.
Status encode_picture(ModelCompute& compute, const ImageView& picture, int64_t index, const ImageView* mask,
                      std::span<diffusion::NoiseGenerator> generators, int64_t tile, std::span<float> latents,
                      const StopRequest& stop);

/// A pixel's value as 0..1.
float unit_value(const ImageView& picture, int64_t index, int64_t y, int64_t x, int64_t channel);

/// The mask for latents: 1 where the pixel at the latent's corner is above 0.5, else 0. mask: gray, or the first of more
/// channels. out: [height, width].
void latent_mask(const ImageView& mask, int64_t factor, int64_t width, std::span<float> out);

}  // namespace weft::image
#endif
