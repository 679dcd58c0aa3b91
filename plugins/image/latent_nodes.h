/// The parts of image.generate as nodes of their own, for flows that it does not have: image.text_encode, image.empty_latent,
/// image.vae_encode, image.vae_decode, and image.sample (sample_node.h).
///
/// Two port types join them. "image.latent": f32 [pictures, rows, columns, channels], in a pipeline's scale.
/// "image.conditioning": f32 [rows, width]: a text's hidden states, and in one further row SDXL's pooled text; the attributes
/// say {"tokens": 77, "pooled": 0}. Thread safety: as every node.
#ifndef WEFT_PLUGINS_IMAGE_LATENT_NODES_H
#define WEFT_PLUGINS_IMAGE_LATENT_NODES_H

#include <weft/sdk/plugin.h>

#include <cstdint>

#include "plugins/image/diffusion_model.h"
#include "plugins/image/generation_parameters.h"

namespace weft::image {

class TextEncodeNode {
 public:
  explicit TextEncodeNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;
  int64_t max_chunks_ = 1;
  uint64_t host_bytes_ = 0;
};

class EmptyLatentNode {
 public:
  explicit EmptyLatentNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  const DiffusionModel* model_;
  sdk::Parameters parameters_;
  int64_t shape_[4] = {};
};

class VaeEncodeNode {
 public:
  explicit VaeEncodeNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;
  PictureSize size_;
  int64_t tile_ = 0;  // latents
  uint64_t host_bytes_ = 0;
};

class VaeDecodeNode {
 public:
  explicit VaeDecodeNode(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  sdk::Host host_;
  const DiffusionModel* model_;
  sdk::Parameters parameters_;
  int64_t tile_ = 0;  // latents
  uint64_t host_bytes_ = 0;
};

extern const weft_node_type kTextEncodeNode, kEmptyLatentNode, kVaeEncodeNode, kVaeDecodeNode;

}  // namespace weft::image
#endif
