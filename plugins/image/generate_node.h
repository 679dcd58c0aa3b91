/// image.generate: prompts to pictures, all in one: text encoders, sampler, autoencoder.
///
/// All memory but the result lies in the workspace, so that prepare() knows the peak exactly. Thread safety: as every node.
#ifndef WEFT_PLUGINS_IMAGE_GENERATE_NODE_H
#define WEFT_PLUGINS_IMAGE_GENERATE_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <vector>

#include "plugins/image/denoising.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/generation_parameters.h"
#include "plugins/image/picture.h"

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
    std::span<float> latents, picture, masked_picture, mask;
  };
  Kept place(Scratch& scratch, int64_t max_chunks) const;
  Status encode_texts(const sdk::Request& request, Kept& kept, Scratch& scratch) const;
  Status encode_pictures(const sdk::Request& request, std::vector<diffusion::NoiseGenerator>& generators,
                         Kept& kept, Scratch& scratch) const;

  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;  // those that are the same for all requests
  int64_t images_;
  bool has_picture_, has_mask_;
  PictureSize size_;
  int64_t tile_ = 0;  // latents
  DenoisingShape shape_;
  int64_t max_chunks_ = 1;
};

extern const weft_node_type kGenerateNode;

}  // namespace weft::image
#endif
