/// From noise to latents: the sampler's calls of the UNet, which requests go through together, each wherever in its steps
/// it is.
///
/// A picture's latents depend on its seed, the prompts and the parameters, not on what else goes through a call. Requests
/// share calls if their latents have one size, their prompts one length, and no control networks act on them.
/// Ownership: a Denoising refers to model, latents and what its inputs refer to. Thread safety: one thread.
///
///   Denoising a(model, shape, inputs_a, latents_a), b(model, shape, inputs_b, latents_b);
///   UNetCalls calls(compute);
///   while (!a.finished() || !b.finished()) calls.advance(std::array{&a, &b});
#ifndef WEFT_PLUGINS_IMAGE_DENOISING_H
#define WEFT_PLUGINS_IMAGE_DENOISING_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "kernels/diffusion/noise/noise.h"
#include "kernels/diffusion/sampling_plan.h"
#include "kernels/layers/stop_request.h"
#include "plugins/image/control.h"
#include "plugins/image/model_compute.h"
#include "plugins/image/preview.h"
#include "plugins/image/prompt_encoding.h"

namespace weft::image {

/// What a request's memory depends on.
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
  std::span<float> history;  // at least what history_count() says of the shape

  std::span<const float> picture;  // latents to start from, [h, w, c] for all or [images, h, w, c]; or empty
  std::span<const float> mask;     // [h, w]: 1 where the picture is painted anew; or empty
  /// What an inpainting UNet sees beside the mask: [h, w, c] for all or [images, h, w, c].
  std::span<const float> masked_picture;
  bool starts_from_noise = false;  // although there is a picture
  Controls controls;               // none, or pictures of the size that is painted, from bring_controls()
  Previews* previews = nullptr;    // where somebody looks
  /// After each call: calls done, calls in all.
  std::function<void(int64_t, int64_t)> progress;
  StopRequest stop;
};

/// Numbers that a sampler keeps of a request from one call to the next.
int64_t history_count(const DiffusionModel& model, const DenoisingShape& shape);

/// One request's pictures on their way.
class Denoising {
 public:
  /// shape: n_context and history_slots are bounds, what counts is in the inputs. latents: [images, h, w, c], the result.
  Denoising(const DiffusionModel& model, const DenoisingShape& shape, DenoisingInputs inputs,
            std::span<float> latents);

  /// No call is left, or one went wrong.
  bool finished() const;
  /// Errors: those of UNet::forward and ControlNet::forward; kInvalidArgument where the UNet wants what the inputs do not
  /// have; kCancelled.
  const Status& status() const { return status_; }

 private:
  friend class UNetCalls;
  struct Rows;

  Status check() const;
  bool guides() const;
  int64_t rows() const;
  bool shares_calls_with(const Denoising& other) const;
  bool stops() const;
  std::span<float> of_image(std::span<float> batch, int64_t image) const;
  std::span<const float> of_image(std::span<const float> values, int64_t image) const;
  void fill(const Rows& rows) const;
  void fill_sizes(std::span<float> sizes, bool is_positive) const;
  void fill_extra(std::span<float> extra) const;
  Status take(const Rows& rows, ModelCompute& compute);
  void guide(std::span<float> output) const;
  void keep_outside_of_mask(std::span<float> noised);

  const DiffusionModel& model_;
  const DenoisingShape shape_;
  const DenoisingInputs in_;
  std::span<float> latents_;
  int64_t picture_;  // numbers of one
  int64_t call_ = 0;
  Status status_;
};

/// The UNet, called for several requests at once.
class UNetCalls {
 public:
  explicit UNetCalls(ModelCompute& compute) : compute_(compute), model_(compute.model()) {}

  /// What advance() takes of the scratch for up to `requests` of this shape.
  static void measure(Scratch& scratch, const DiffusionModel& model, const DenoisingShape& shape,
                      int64_t requests, uint32_t n_threads);
  /// One call further with each that has not finished; what goes wrong is in the status of those that it concerns.
  void advance(std::span<Denoising* const> denoisings);
  /// Lets go of the UNet's weights, which advance() holds on to: before other networks of the model are used.
  void leave() { use_.reset(); }

 private:
  Status call(std::span<Denoising* const> together);

  ModelCompute& compute_;
  const DiffusionModel& model_;
  std::optional<ModelStages::Use> use_;
};

/// One request alone, from beginning to end. Memory: UNetCalls::measure for one. Errors: as Denoising::status().
Status denoise(ModelCompute& compute, const DenoisingShape& shape, DenoisingInputs inputs,
               std::span<float> latents);

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
