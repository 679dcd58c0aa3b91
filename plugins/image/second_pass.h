/// The second pass of image.generate ("hires"): what was painted is enlarged, and painted on at the larger size.
///
/// Thread safety: as ModelCompute.
#ifndef WEFT_PLUGINS_IMAGE_SECOND_PASS_H
#define WEFT_PLUGINS_IMAGE_SECOND_PASS_H

#include <weft/sdk/plugin.h>

#include <optional>
#include <span>

#include "modalities/image/resize.h"
#include "plugins/image/generation_parameters.h"
#include "plugins/image/latent_resize.h"
#include "plugins/image/model_compute.h"
#include "plugins/image/resize_node.h"

namespace weft::image {

struct SecondPass {
  enum class Way : uint8_t { kLatent, kPixels } way = Way::kLatent;
  PictureSize size;
  ResizeFilter filter = ResizeFilter::kBilinear;
  int64_t steps = 0;
};

inline constexpr const char* kEnlargingChoices[] = {"latent", "pixels", nullptr};
inline constexpr weft_parameter kSecondPassParameters[] = {
    sdk::parameter({.name = "hires_scale",
                    .type = "float",
                    .default_json = "1.0",
                    .minimum = 1,
                    .maximum = 8,
                    .help = "Above 1: a second pass paints on at so many times the sides."}),
    generated_side_parameter("hires_width", "Of the second pass, a multiple of 8; 0: by hires_scale."),
    generated_side_parameter("hires_height", "Of the second pass, a multiple of 8; 0: by hires_scale."),
    sdk::parameter({.name = "hires_strength",
                    .type = "float",
                    .default_json = "0.6",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "How much of the enlarged picture the second pass paints anew.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "hires_steps",
                    .type = "int",
                    .default_json = "0",
                    .minimum = 0,
                    .maximum = diffusion::SamplingPlan::kMaxSteps,
                    .unit = "steps",
                    .help = "Of the second pass before hires_strength shortens it; 0: steps."}),
    sdk::parameter(
        {.name = "hires_enlarge",
         .type = "choice",
         .default_json = "\"latent\"",
         .choices = kEnlargingChoices,
         .help =
             "latent: at once; pixels: decoded, enlarged and encoded again, which is sharper and slower."}),
    sdk::parameter({.name = "hires_filter",
                    .type = "choice",
                    .default_json = "\"bilinear\"",
                    .choices = kFilterChoices,
                    .help = "How values in between are found."})};

/// What the parameters ask for; nothing if the second size is the first. Errors: kInvalidArgument.
Result<std::optional<SecondPass>> second_pass(const DiffusionModel& model, const sdk::Parameters& parameters,
                                              const PictureSize& first);

void measure_enlarging(Scratch& scratch, const DiffusionModel& model, const SecondPass& pass,
                       const LatentExtent& from, const LatentExtent& to, int64_t tile, uint32_t n_threads);
/// One picture's latents, enlarged. tile: of the autoencoder, as in latent_codec.h. Errors: those of Vae::decode and Vae::encode.
Status enlarge(ModelCompute& compute, const SecondPass& pass, std::span<const float> source,
               const LatentExtent& from, std::span<float> target, const LatentExtent& to, int64_t tile,
               const StopRequest& stop);

}  // namespace weft::image
#endif
