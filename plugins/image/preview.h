/// Pictures of what is being painted, after every call of the UNet, for whoever watches the run: by the model's tiny
/// autoencoder (TAESD) if it names one, else by a linear map from latents to colours.
///
/// What is shown is the sampler's estimate of the finished picture, not the noisy sample; a batch's pictures stand side by
/// side. The linear map comes from the model's own decoder: the colours of one small decoded noise, fitted by least
/// squares. Memory comes from scratch. Nothing that is painted depends on whether it is shown. Thread safety: one thread.
///
///   if (previews_wanted(host)) measure_previews(measure, model, shape, n_threads);                // in prepare
///   Previews previews(request, model, prediction);                                               // in run
///   Status ready = previews.prepare(compute, stop);                                              // before denoise()
///   Status shown = previews.show(plan, call, shape, latents, output, compute, stop);             // after a call
#ifndef WEFT_PLUGINS_IMAGE_PREVIEW_H
#define WEFT_PLUGINS_IMAGE_PREVIEW_H

#include <weft/abi/draft/previews.h>
#include <weft/sdk/plugin.h>

#include <array>
#include <span>
#include <vector>

#include "kernels/diffusion/sampling_plan.h"
#include "plugins/image/latent_resize.h"
#include "plugins/image/model_compute.h"

namespace weft::image {

/// Whether the host wants any.
bool previews_wanted(const sdk::Host& host);

/// Latents to colours, 0 to 1: colour = offset + the weighted channels.
struct LinearColors {
  std::vector<std::array<float, 3>> weights;  // a latent channel each
  std::array<float, 3> offset{};
};
/// latents: [cells, channels]; colors: [cells, 3], 0 to 1. Cells: more than channels. Least squares, slightly damped.
LinearColors fit_colors(std::span<const float> latents, std::span<const float> colors, size_t channels);

/// sample: a sampler's, before call `call`; output: the network's there. The picture that both imply.
void estimate_picture(const diffusion::SamplingPlan& plan, int64_t call, diffusion::Prediction prediction,
                      std::span<const float> sample, std::span<const float> output, std::span<float> picture);

/// Of a batch of latents.
struct PreviewShape {
  int64_t images = 1;
  LatentExtent extent;
};

void measure_previews(Scratch& scratch, const DiffusionModel& model, const PreviewShape& shape,
                      uint32_t n_threads);

class Previews {
 public:
  Previews(const sdk::Request& request, const DiffusionModel& model, diffusion::Prediction prediction);
  /// Whether show() does anything.
  bool wanted() const { return api_ != nullptr; }
  /// Before denoising, which keeps the UNet in memory where there may be no room for the decoder beside it: fits the linear
  /// map if show() needs one. Errors: those of the decoder.
  Status prepare(ModelCompute& compute, const StopRequest& stop);
  /// sample: the latents before call `call`; output: the network's there, after guidance; both [images, h, w, c]. Errors:
  /// those of the decoders; a preview that cannot be encoded is left out.
  Status show(const diffusion::SamplingPlan& plan, int64_t call, const PreviewShape& shape,
              std::span<const float> sample, std::span<const float> output, ModelCompute& compute,
              const StopRequest& stop);

 private:
  Status paint(std::span<const float> latents, const LatentExtent& extent, const ImageView& into,
               ModelCompute& compute, const StopRequest& stop) const;

  const sdk::Request& request_;
  const DiffusionModel& model_;
  const weft_previews_api* api_;
  diffusion::Prediction prediction_;
  LinearColors colors_;  // from prepare(), without a tiny autoencoder
};

}  // namespace weft::image
#endif
