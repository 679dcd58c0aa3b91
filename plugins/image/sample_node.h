/// image.sample: from latents and encoded prompts to painted latents.
///
/// All memory but the result lies in the workspace. Thread safety: as every node.
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
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  int64_t most_tokens(sdk::Specs inputs) const;
  /// Both prompts, the negative one first.
  Result<EncodedPrompts> prompts(const sdk::Request& request, Scratch& scratch) const;
  /// For the latents; empty without a mask.
  Result<std::span<const float>> mask(const sdk::Request& request, const DenoisingShape& shape,
                                      Scratch& scratch) const;
  Result<std::span<const float>> masked_picture(const sdk::Request& request,
                                                const DenoisingShape& shape) const;

  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;
  DenoisingShape bounds_;
};

extern const weft_node_type kSampleNode;

}  // namespace weft::image
#endif
