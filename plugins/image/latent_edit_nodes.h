/// Nodes that change latents between image.sample and image.vae_decode: image.latent_upscale, image.latent_composite,
/// image.latent_batch. Thread safety: as every node.
#ifndef WEFT_PLUGINS_IMAGE_LATENT_EDIT_NODES_H
#define WEFT_PLUGINS_IMAGE_LATENT_EDIT_NODES_H

#include <weft/sdk/plugin.h>

#include <cstdint>

#include "plugins/image/diffusion_model.h"
#include "plugins/image/latent_resize.h"

namespace weft::image {

/// Another size, for a second pass over a larger picture.
class LatentUpscaleNode {
 public:
  explicit LatentUpscaleNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Result<LatentExtent> target(const LatentExtent& source) const;

  const DiffusionModel* model_;
  int64_t width_, height_;  // in pixels; 0: by scale
  double scale_;
  ResizeFilter filter_;
};

/// One over another, where a mask lets it.
class LatentCompositeNode {
 public:
  explicit LatentCompositeNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  const DiffusionModel* model_;
};

/// Several as one batch.
class LatentBatchNode {
 public:
  explicit LatentBatchNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  const DiffusionModel* model_;
  int64_t repeat_;
};

extern const weft_node_type kLatentUpscaleNode, kLatentCompositeNode, kLatentBatchNode;

}  // namespace weft::image
#endif
