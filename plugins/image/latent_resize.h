/// Resampling of latents: each channel is a plane of its own, whose values mean no colour and no transparency.
///
/// Thread safety: pure; scratch belongs to one call.
#ifndef WEFT_PLUGINS_IMAGE_LATENT_RESIZE_H
#define WEFT_PLUGINS_IMAGE_LATENT_RESIZE_H

#include <cstdint>
#include <span>

#include "modalities/image/resize.h"
#include "plugins/image/scratch.h"

namespace weft::image {

/// Of one picture's latents.
struct LatentExtent {
  int64_t height = 0, width = 0, channels = 0;
  int64_t count() const { return height * width * channels; }
};

/// Places what resize_latents() takes.
void measure_latent_resize(Scratch& scratch, const LatentExtent& from, const LatentExtent& to,
                           ResizeFilter filter);
/// source: [height, width, channels] of `from`; target: of `to`, with as many channels.
void resize_latents(std::span<const float> source, const LatentExtent& from, std::span<float> target,
                    const LatentExtent& to, ResizeFilter filter, Scratch& scratch);

}  // namespace weft::image
#endif
