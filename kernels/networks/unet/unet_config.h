/// The shape and the switches of a Stable Diffusion UNet: plain data, filled from a checkpoint's configuration or from
/// its tensors (networks/diffusion_checkpoint), read by the one forward pass (unet.h).
#ifndef WEFT_KERNELS_NETWORKS_UNET_UNET_CONFIG_H
#define WEFT_KERNELS_NETWORKS_UNET_UNET_CONFIG_H

#include <cstdint>
#include <vector>

namespace weft {

/// One resolution, on the way down and on the way up.
struct UNetLevel {
  int64_t channels = 0;
  int64_t n_resnets = 2;                // on the way down; one more on the way up
  int64_t down_transformer_layers = 0;  // after each residual block; 0: no attention there
  int64_t up_transformer_layers = 0;
  int64_t n_heads = 8;
  bool only_cross_attention = false;
};

/// What is added to the time embedding for a class label.
enum class ClassEmbedding : uint8_t {
  kNone,
  kTable,      // a learned row a label
  kTimestep,   // an embedding as that of the time step
  kProjection  // two dense layers over a vector of class_width
};

struct UNetConfig {
  int64_t in_channels =
      4;  // 9 for inpainting models, 8 for edits and depth 5: latents and what is given beside them
  int64_t out_channels = 4;
  std::vector<UNetLevel> levels;  // from the full resolution down
  bool has_mid_block = true;
  int64_t mid_transformer_layers = 1;  // 0: no attention in the middle
  int64_t mid_heads = 8;
  int64_t context_width = 768;
  int64_t groups = 32;
  float epsilon = 1e-5f;

  bool flip_sin_to_cos = true;  // of the time embedding: cosines first
  float frequency_shift = 0;
  int64_t guidance_width = 0;  // of an embedding of the guidance scale (LCM); 0: none

  ClassEmbedding class_embedding = ClassEmbedding::kNone;
  int64_t n_classes = 0;    // kTable
  int64_t class_width = 0;  // kProjection

  // SDXL: a pooled text embedding and six sizes (five for the refiner), embedded like the time step.
  int64_t added_time_width = 0;  // of the embedding of one size; 0: none
  int64_t added_width = 0;       // of the pooled text and all sizes' embeddings together

  int64_t time_projection_width() const { return levels.empty() ? 0 : levels[0].channels; }
  int64_t time_width() const { return 4 * time_projection_width(); }
  /// How many sizes an SDXL model wants, given the width of its pooled text.
  int64_t n_added_sizes(int64_t pooled_width) const {
    return added_time_width > 0 ? (added_width - pooled_width) / added_time_width : 0;
  }
};

}  // namespace weft
#endif
