/// image.generate: prompts to pictures, all in one: text encoders, sampler, autoencoder.
///
/// All memory but the result lies in the workspace, so that prepare() knows the peak exactly. Thread safety: as every node.
#ifndef WEFT_PLUGINS_IMAGE_GENERATE_NODE_H
#define WEFT_PLUGINS_IMAGE_GENERATE_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "plugins/image/denoising.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/generation_parameters.h"
#include "plugins/image/picture.h"
#include "plugins/image/second_pass.h"

namespace weft::image {

class GenerateNode {
 public:
  explicit GenerateNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  /// What a request keeps from one stage to the next.
  struct Kept {
    EncodedPrompts prompts;
    std::span<float> latents, first_noise;                    // [n, h, w, c]
    std::span<float> picture, masked_picture;                 // [n, h, w, c], or [h, w, c] for all
    std::span<float> mask;                                    // [h, w]
    std::span<float> enlarged, second_latents, second_noise;  // of the second pass
  };
  Kept place(Scratch& scratch, int64_t max_chunks) const;
  Status encode_texts(const sdk::Request& request, Kept& kept, Scratch& scratch) const;
  /// Draws the first noise, and before and after it, in diffusers' order, what its encoder draws of the pictures.
  Status prepare_latents(const sdk::Request& request, std::span<diffusion::NoiseGenerator> generators,
                         double strength, Kept& kept, Scratch& scratch) const;
  Status encode_masked(const sdk::Request& request, const ImageView& picture,
                       std::span<diffusion::NoiseGenerator> generators, Kept& kept, Scratch& scratch) const;

  /// Denoises kept.latents, and after that, if there is one, by the second pass kept.second_latents.
  Status paint(const sdk::Request& request, Kept& kept, Scratch& scratch) const;
  Status paint_enlarged(const sdk::Request& request, const DenoisingInputs& first,
                        const diffusion::SamplingPlan& plan, Kept& kept, Scratch& scratch) const;
  LatentExtent extent_of(const DenoisingShape& shape) const;

  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;  // those that are the same for all requests
  int64_t images_;
  bool has_picture_, has_mask_;
  PictureSize size_;
  int64_t tile_ = 0;  // latents
  DenoisingShape shape_;
  std::optional<SecondPass> second_;
  DenoisingShape second_shape_;
  int64_t max_chunks_ = 1;
};

extern const weft_node_type kGenerateNode;

}  // namespace weft::image
#endif
