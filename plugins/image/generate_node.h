/// image.generate: prompts to pictures, all in one: text encoders, sampler, autoencoder.
///
/// All memory but the result lies in the workspace, so that prepare() knows the peak exactly: a slot for each request that
/// goes through the UNet's calls with others, and room for one call and for what comes before and after. Thread safety: as
/// every node.
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
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  class Job;
  /// What a request keeps from one stage to the next.
  struct Kept {
    EncodedPrompts prompts;
    std::span<float> latents, first_noise, history;  // [n, h, w, c]; of the sampler
    std::span<float> picture, masked_picture;        // [n, h, w, c], or [h, w, c] for all
    std::span<float> mask;                           // [h, w]
    std::span<std::byte> controls;                   // pictures on a device
    std::span<float> enlarged, second_latents, second_noise, second_history;  // of the second pass
  };
  Kept place(Scratch& scratch) const;
  void measure(Scratch& scratch) const;
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
  uint32_t max_requests_;  // 0: not known
  int64_t slots_ = 1;      // requests at a time
  uint64_t host_bytes_ = 0;
};

extern const weft_node_type kGenerateNode;

}  // namespace weft::image
#endif
