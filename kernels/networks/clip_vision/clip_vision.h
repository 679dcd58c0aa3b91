/// The image towers of CLIP models (ViT-B/32, B/16, L/14, H/14): pictures to vectors, of each patch and of the whole.
///
/// Three stages: open() reads headers only, load() packs, then forward() encodes a batch of pictures. Numerics, ownership,
/// threads: as for BERT (networks/bert/bert.h).
/// Source: Radford et al. 2021, arXiv:2103.00020; names as in transformers' CLIPVisionModel.
///
///   Result<ClipVisionConfig> config = read_clip_vision_config(file.metadata());
///   Result<ClipVision> clip = ClipVision::open(clip_vision_source(file), *config, DType::kF32);
///   Status loaded = clip->load(store, "sha256-of-the-file.vision", executor);
///   Status done = clip->forward(pictures, {.pooled = pooled}, workspace, executor);   // [n, 224, 224, 3] to [n, 768]
#ifndef WEFT_KERNELS_NETWORKS_CLIP_VISION_CLIP_VISION_H
#define WEFT_KERNELS_NETWORKS_CLIP_VISION_CLIP_VISION_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/layers/layer_pass.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/tensor.h"

namespace weft {

struct ClipVisionConfig {
  int64_t width = 1024;
  int64_t n_layers = 24;
  int64_t n_heads = 16;
  int64_t mlp_width = 4096;
  int64_t image_size = 224;  // pixels of a side
  int64_t patch_size = 14;   // at most image_size; what does not fill a patch is not seen
  Activation activation = Activation::kQuickGelu;
  float epsilon = 1e-5f;
  int64_t projection_width = 768;  // of the pooled output; 0: pooled is the normed class token itself

  int64_t patches_a_side() const { return image_size / patch_size; }
  /// Of a picture: its class token and its patches, row by row.
  int64_t n_tokens() const { return 1 + patches_a_side() * patches_a_side(); }
};

struct ClipVisionOutputs {
  float* hidden = nullptr;  // [images, n_tokens, width] of the last layer, or null
  float* pooled = nullptr;  // [images, projection_width or width], or null
};

class ClipVision {
 public:
  /// source: names as clip_vision_source() gives them. Errors: as Bert::open().
  static Result<ClipVision> open(WeightSource source, const ClipVisionConfig& config, DType compute);

  ClipVision(ClipVision&&) noexcept;
  ClipVision& operator=(ClipVision&&) noexcept;
  ~ClipVision();

  const ClipVisionConfig& config() const;
  DType compute() const;
  int64_t packed_weights_bytes() const;
  int64_t parameters() const;
  int64_t workspace_bytes(int64_t n_images, uint32_t n_threads) const;

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// images: [n, image_size, image_size, 3] f32, normalised. No allocation. workspace: workspace_bytes(), aligned to 64. Errors:
  /// kInvalidArgument (not loaded), kInvalidShape (other pictures), kUnsupported (not f32), kOutOfMemory (the workspace),
  /// kCancelled.
  Status forward(const TensorView& images, const ClipVisionOutputs& outputs, std::span<std::byte> workspace,
                 Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  struct State;

 private:
  explicit ClipVision(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
