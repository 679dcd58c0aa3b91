/// From noise to latents: the sampler's calls of the UNet for a batch of pictures, each with noise of its own.
///
/// A picture's latents depend on its seed, the prompts and the parameters, not on the other pictures of the batch.
/// Thread safety: as the model; scratch belongs to one call.
#ifndef WEFT_PLUGINS_IMAGE_DENOISING_H
#define WEFT_PLUGINS_IMAGE_DENOISING_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <span>

#include "kernels/diffusion/noise/noise.h"
#include "kernels/diffusion/sampling_plan.h"
#include "kernels/layers/stop_request.h"
#include "plugins/image/control.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/preview.h"
#include "plugins/image/prompt_encoding.h"
#include "plugins/image/scratch.h"

namespace weft::image {

/// What memory depends on.
struct DenoisingShape {
  int64_t images = 1;
  int64_t height = 0, width = 0;  // of the latents
  int64_t n_context = 0;          // text tokens, at most; whole chunks
  int64_t history_slots = 0;      // of the sampler
  int64_t controls = 0;           // pictures for control networks, at most
  enum class Watched : uint8_t { kNo, kByPreviews } watched = Watched::kNo;
};

struct DenoisingInputs {
  const diffusion::SamplingPlan* plan = nullptr;
  double guidance = 7.5;  // at most 1: the negative prompt is not used
  double guidance_rescale = 0;
  std::span<diffusion::NoiseGenerator> generators;  // one an image, for what samplers add on the way
  std::span<const float> first_noise;               // [images, h, w, c]
  /// Two prompts: the negative one, then the positive one.
  EncodedPrompts prompts;

  std::span<const float> picture;  // latents to start from, [h, w, c] for all or [images, h, w, c]; or empty
  std::span<const float> mask;     // [h, w]: 1 where the picture is painted anew; or empty
  /// What an inpainting UNet sees beside the mask: [h, w, c] for all or [images, h, w, c].
  std::span<const float> masked_picture;
  bool starts_from_noise = false;  // although there is a picture
  Controls controls;               // none, or pictures of the size that is painted
  Previews* previews = nullptr;    // where somebody looks
  /// After each call: calls done, calls in all.
  std::function<void(int64_t, int64_t)> progress;
};

void measure_denoising(Scratch& scratch, const DiffusionModel& model, const DenoisingShape& shape,
                       uint32_t n_threads);
/// latents: [images, h, w, c], the result. Errors: those of UNet::forward and ControlNet::forward; kInvalidArgument where the
/// UNet wants what the inputs do not have.
Status denoise(const DiffusionModel& model, const DenoisingShape& shape, const DenoisingInputs& inputs,
               std::span<float> latents, Scratch& scratch, Executor executor, const StopRequest& stop);

/// The first noise of every picture, each from its own generator. noise: [generators, h, w, c]. scratch: of the size of one
/// picture, placed and given back here.
void draw_first_noise(std::span<diffusion::NoiseGenerator> generators, int64_t channels, Scratch& scratch,
                      std::span<float> noise);

/// The generator's next `n` numbers for one picture of c channels, in the order of latents here: rows, columns, channels.
/// chw: scratch of the same size.
void draw_latent_noise(diffusion::NoiseGenerator& generator, int64_t channels, std::span<float> chw,
                       std::span<float> out);

}  // namespace weft::image
#endif
