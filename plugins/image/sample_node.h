/// image.sample: from latents and encoded prompts to painted latents.
///
/// All memory but the result lies in the workspace: a slot for each request that goes through the UNet's calls with others,
/// and room for one call. Thread safety: as every node.
#ifndef WEFT_PLUGINS_IMAGE_SAMPLE_NODE_H
#define WEFT_PLUGINS_IMAGE_SAMPLE_NODE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <span>

#include "plugins/image/denoising.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/generation_parameters.h"

namespace weft::image {

class SampleNode {
 public:
  explicit SampleNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  class Job;
  /// What a request keeps from one call of the UNet to the next.
  struct Kept {
    EncodedPrompts prompts;
    std::span<float> first_noise, history, mask;  // [n, h, w, c]; of the sampler; [h, w]
    std::span<std::byte> controls;                // pictures on a device
  };
  Kept place(Scratch& scratch) const;
  PictureSize pixels_of(const DenoisingShape& shape) const;
  int64_t most_tokens(sdk::Specs inputs) const;

  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;
  DenoisingShape bounds_;
  bool has_mask_;
  uint32_t max_requests_;  // 0: not known
  int64_t slots_ = 1;      // requests at a time
  uint64_t host_bytes_ = 0;
};

extern const weft_node_type kSampleNode;

}  // namespace weft::image
#endif
