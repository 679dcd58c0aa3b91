/// The parameters that image.generate, image.sample and image.text_encode share: their declarations, and their values read.
#ifndef WEFT_PLUGINS_IMAGE_GENERATION_PARAMETERS_H
#define WEFT_PLUGINS_IMAGE_GENERATION_PARAMETERS_H

#include <weft/sdk/plugin.h>

#include <vector>

#include "kernels/diffusion/noise/noise.h"
#include "kernels/diffusion/sampling_plan.h"
#include "modalities/image/image.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/prompt_encoding.h"

namespace weft::image {

inline constexpr double kMaxGeneratedSide = 4096;  // pixels
inline constexpr int64_t kMaxGeneratedImages = 64;

inline constexpr const char* kDiffusionModelTypes[] = {"image.diffusion", nullptr};
inline constexpr const char* kSamplerChoices[] = {
    "auto", "ddim",  "ddpm",     "pndm",         "lms",       "euler",  "euler_ancestral",
    "heun", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "uni_pc", "uni_pc_bh2",
    "lcm",  "tcd",   "deis",     "ipndm",        "ipndm_v",   nullptr};
inline constexpr const char* kScheduleChoices[] = {"auto",        "normal", "karras", "exponential",
                                                   "sgm_uniform", "beta",   "simple", nullptr};
inline constexpr const char* kProfileChoices[] = {"diffusers", "comfyui", nullptr};
inline constexpr const char* kRngChoices[] = {"torch-cpu", "philox", nullptr};
inline constexpr const char* kNotationChoices[] = {"auto", "none", "a1111", "comfyui", "novelai", nullptr};

inline constexpr weft_parameter kModelParameter = sdk::parameter(
    {.name = "model", .type = "model", .choices = kDiffusionModelTypes, .help = "The diffusion model."});
inline constexpr weft_parameter kProfileParameter = sdk::parameter(
    {.name = "profile",
     .type = "choice",
     .default_json = "\"diffusers\"",
     .choices = kProfileChoices,
     .help = "Whose conventions for steps, noise and prompts: a seed means the same picture there."});
inline constexpr weft_parameter kSeedParameter =
    sdk::parameter({.name = "seed",
                    .type = "seed",
                    .help = "Of the noise; drawn once and recorded if absent. The i-th picture has seed + i.",
                    .flags = WEFT_PARAMETER_PER_REQUEST | WEFT_PARAMETER_OPTIONAL});
inline constexpr weft_parameter kRngParameter =
    sdk::parameter({.name = "rng",
                    .type = "choice",
                    .default_json = "\"torch-cpu\"",
                    .choices = kRngChoices,
                    .help = "Whose random numbers: PyTorch's on a CPU, or on CUDA (philox)."});
inline constexpr weft_parameter kCountParameter = sdk::parameter({.name = "n",
                                                                  .type = "int",
                                                                  .default_json = "1",
                                                                  .minimum = 1,
                                                                  .maximum = kMaxGeneratedImages,
                                                                  .help = "Pictures, made as one batch."});

inline constexpr weft_parameter kTileParameter = sdk::parameter(
    {.name = "tile",
     .type = "int",
     .default_json = "0",
     .minimum = 0,
     .maximum = kMaxGeneratedSide,
     .unit = "pixels",
     .help = "Side of the tiles that the autoencoder works in: large pictures in less memory, without seams, "
             "but slower. 0: none."});

constexpr weft_parameter generated_side_parameter(
    const char* name, const char* help = "A multiple of 8; 0: what the model was trained on.") {
  return sdk::parameter({.name = name,
                         .type = "int",
                         .default_json = "0",
                         .minimum = 0,
                         .maximum = kMaxGeneratedSide,
                         .unit = "pixels",
                         .help = help});
}

inline constexpr weft_parameter kPromptParameters[] = {
    sdk::parameter(
        {.name = "prompt_weights",
         .type = "choice",
         .default_json = "\"auto\"",
         .choices = kNotationChoices,
         .help =
             "How prompts weigh words: a1111 (word:1.3), comfyui, novelai {word}; none: prompts are text. "
             "auto: comfyui with that profile, else none."}),
    sdk::parameter(
        {.name = "clip_skip",
         .type = "int",
         .default_json = "0",
         .minimum = 0,
         .maximum = 11,
         .unit = "layers",
         .help = "Layers of the text encoder left out at the end; 1 is stable-diffusion-webui's 2."}),
    sdk::parameter({.name = "max_chunks",
                    .type = "int",
                    .default_json = "4",
                    .minimum = 1,
                    .maximum = 64,
                    .help = "Most chunks of the text encoder's length that a prompt may take."})};

inline constexpr weft_parameter kSamplingParameters[] = {
    sdk::parameter({.name = "steps",
                    .type = "int",
                    .default_json = "20",
                    .minimum = 1,
                    .maximum = diffusion::SamplingPlan::kMaxSteps,
                    .unit = "steps",
                    .help = "Of the sampler; second-order ones call the UNet twice a step."}),
    sdk::parameter({.name = "cfg",
                    .type = "float",
                    .default_json = "7.5",
                    .minimum = 0,
                    .maximum = 100,
                    .help = "Classifier-free guidance; at most 1: the negative prompt is not used.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "guidance_rescale",
                    .type = "float",
                    .default_json = "0.0",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "How far guided predictions get back the deviation of unguided ones.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "sampler",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kSamplerChoices,
                    .help = "auto: the checkpoint's own."}),
    sdk::parameter({.name = "schedule",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kScheduleChoices,
                    .help = "Which noise levels the steps visit; auto: the checkpoint's own."}),
    sdk::parameter({.name = "strength",
                    .type = "float",
                    .default_json = "0.8",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "Of a picture to start from: how much of it is painted anew.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "eta",
                    .type = "float",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "Noise that ddim (default 0) and tcd (default 0.3) add.",
                    .flags = WEFT_PARAMETER_PER_REQUEST | WEFT_PARAMETER_OPTIONAL})};

PromptOptions prompt_options(const sdk::Parameters& parameters);
/// Errors: those of SamplingPlan::make. strength: of a picture to start from; 1 without one.
/// What the network's output is taken for.
Result<diffusion::Prediction> prediction(const DiffusionModel& model, const sdk::Parameters& parameters);
Result<diffusion::SamplingPlan> sampling_plan(const DiffusionModel& model, const sdk::Parameters& parameters,
                                              int64_t steps, double strength);
/// One an image, seeded seed, seed + 1, ...
std::vector<diffusion::NoiseGenerator> noise_generators(const sdk::Parameters& parameters, int64_t images);

/// Pixels of the pictures to make, checked. Errors: kInvalidArgument.
struct PictureSize {
  int64_t height = 0, width = 0;
};
Result<PictureSize> picture_size(const DiffusionModel& model, const sdk::Parameters& parameters);
/// The parameter "tile" in latents. Errors: kInvalidArgument (mostly overlap), kUnsupported (on a device).
Result<int64_t> tile_size(const DiffusionModel& model, const sdk::Parameters& parameters);
/// The size of a larger picture that follows from a smaller one: sides as wanted, or where that is 0 `scale` times as long,
/// to the nearest that the model takes. Errors: kInvalidArgument.
Result<PictureSize> enlarged_size(const DiffusionModel& model, const PictureSize& from,
                                  const PictureSize& wanted, double scale);
/// A picture that comes in has the size that was prepared for. Errors: kInvalidShape.
Status check_picture_size(const ImageShape& picture, const PictureSize& expected, const char* port);

/// A request's cancellation as the networks ask for it. The request outlives it.
StopRequest stop_request(const sdk::Request& request);

}  // namespace weft::image
#endif
