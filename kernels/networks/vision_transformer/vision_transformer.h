/// Encoders of pictures: the image towers of CLIP, SigLIP and SigLIP 2, ViT and DINOv2. Pictures to vectors, of each patch
/// and of the whole, and to the classes of a classifier.
///
/// Three stages: open() reads headers only, load() packs, then forward() encodes a batch of pictures. Numerics, ownership,
/// threads: as for BERT (networks/bert/bert.h).
/// Source: Dosovitskiy et al. 2021, arXiv:2010.11929; Radford et al. 2021, arXiv:2103.00020; Zhai et al. 2023, arXiv:2303.15343;
/// Oquab et al. 2023, arXiv:2304.07193. Names as in transformers' CLIPVisionModel.
///
///   Result<VisionTransformerConfig> config = read_vision_transformer_config(file.metadata());
///   Result<VisionTransformer> clip = VisionTransformer::open(vision_transformer_source(file), *config, DType::kF32);
///   Status loaded = clip->load(store, "sha256-of-the-file.vision", executor);
///   Status done = clip->forward(pictures, {.pooled = pooled}, workspace, executor);   // [n, 224, 224, 3] to [n, 768]
#ifndef WEFT_KERNELS_NETWORKS_VISION_TRANSFORMER_VISION_TRANSFORMER_H
#define WEFT_KERNELS_NETWORKS_VISION_TRANSFORMER_VISION_TRANSFORMER_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/layers/device_passes.h"
#include "kernels/layers/layer_pass.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/tensor.h"

namespace weft {

/// What the vector of a whole picture is.
enum class PicturePooling : uint8_t {
  kNone,        // there is none: states alone
  kClassToken,  // its last state, normed, and projected where there is a projection
  kAttention,   // what a learned query finds in the patches, and an MLP (SigLIP)
};
/// What a classifier reads.
enum class ClassifierInput : uint8_t { kNone, kClassToken, kClassTokenAndMean };

struct VisionTransformerConfig {
  int64_t width = 1024;
  int64_t n_layers = 24;
  int64_t n_heads = 16;
  int64_t mlp_width = 4096;
  bool gated_mlp = false;    // SwiGLU, if the activation is kSilu
  int64_t image_size = 224;  // pixels of a side
  int64_t patch_size = 14;   // at most image_size; what does not fill a patch is not seen
  /// Most patches of a picture that keeps its own shape (SigLIP 2's NaFlex); 0: pictures are squares of image_size.
  int64_t max_patches = 0;
  /// Of the table of positions, where that was trained on pictures of another size: it is resized then.
  int64_t trained_patches_a_side = 16;
  Activation activation = Activation::kQuickGelu;
  float epsilon = 1e-5f;
  bool has_class_token = true;
  bool patches_have_bias = false;
  bool norms_embeddings = true;  // before the layers
  bool norms_hidden = false;     // the last norm is of all states, and not of what is pooled alone
  PicturePooling pooling = PicturePooling::kClassToken;
  int64_t projection_width = 768;  // of the pooled class token; 0: none
  ClassifierInput classifier = ClassifierInput::kNone;
  int64_t n_classes = 0;

  int64_t patches_a_side() const { return image_size / patch_size; }
  int64_t n_class_tokens() const { return has_class_token ? 1 : 0; }
  bool keeps_shapes() const { return max_patches > 0; }
  int64_t patch_values() const { return patch_size * patch_size * 3; }
  /// Of a picture: its class token and its patches, row by row; at most, where it keeps its shape.
  int64_t n_tokens() const {
    return n_class_tokens() + (keeps_shapes() ? max_patches : patches_a_side() * patches_a_side());
  }
  /// Values of a picture, at most.
  int64_t picture_values() const {
    return keeps_shapes() ? max_patches * patch_values() : image_size * image_size * 3;
  }
  int64_t pooled_width() const { return projection_width > 0 ? projection_width : width; }
};

struct VisionTransformerOutputs {
  float* hidden = nullptr;   // [images, n_tokens, width] of the last layer, or [all patches, width], or null
  float* pooled = nullptr;   // [images, pooled_width()], or null; not with PicturePooling::kNone
  float* classes = nullptr;  // [images, n_classes] logits, or null; a classifier's alone
  float* hidden_on_device = nullptr;  // hidden in the device's memory, or null; of forward_on() alone
};

/// Of a picture.
struct PatchGrid {
  int64_t rows = 0, columns = 0;

  int64_t count() const { return rows * columns; }
  friend bool operator==(const PatchGrid&, const PatchGrid&) = default;
};

/// Pictures that keep their shapes, one behind the other without padding.
struct PatchedPictures {
  /// [all patches, patch_values()] f32, normalised; a patch as [patch_size, patch_size, 3].
  TensorView patches;
  std::span<const PatchGrid> grids;  // of each picture, of at least one and at most max_patches
  std::span<const int64_t> starts;   // [pictures + 1]: a picture's first patch; the last is the number of all
};

class VisionTransformer {
 public:
  /// source: names as vision_transformer_source() gives them. Errors: as Bert::open().
  static Result<VisionTransformer> open(WeightSource source, const VisionTransformerConfig& config,
                                        DType compute);

  VisionTransformer(VisionTransformer&&) noexcept;
  VisionTransformer& operator=(VisionTransformer&&) noexcept;
  ~VisionTransformer();

  const VisionTransformerConfig& config() const;
  DType compute() const;
  int64_t packed_weights_bytes() const;
  int64_t parameters() const;
  int64_t workspace_bytes(int64_t n_images, uint32_t n_threads) const;

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// images: [n, image_size, image_size, 3] f32, normalised; not of a model that keeps shapes. No allocation. workspace:
  /// workspace_bytes(), aligned to 64. Errors:
  /// kInvalidArgument (not loaded), kInvalidShape (other pictures), kUnsupported (not f32), kOutOfMemory (the workspace),
  /// kCancelled.
  Status forward(const TensorView& images, const VisionTransformerOutputs& outputs,
                 std::span<std::byte> workspace, Executor executor, const StopRequest& stop = {},
                 LayerTimes* times = nullptr) const;
  /// The same of a model that keeps shapes. A picture's bits do not depend on the others.
  Status forward_patches(const PatchedPictures& pictures, const VisionTransformerOutputs& outputs,
                         std::span<std::byte> workspace, Executor executor, const StopRequest& stop = {},
                         LayerTimes* times = nullptr) const;

  /// In the place of load(): the weights in a device's memory, for forward_on(). memory: device_weights_bytes(), or empty: it is
  /// allocated. Errors: kOutOfMemory, kCancelled, those of the device.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  /// Enough for forward_on()'s workspace, whatever is asked of it.
  int64_t device_workspace_bytes(int64_t n_images) const;
  /// forward() on the device that holds the weights; a picture's last bits may depend on the number of pictures there. workspace: the
  /// device's memory. images, which are contiguous, and outputs are the host's, but for hidden_on_device. Errors: as forward(), those of
  /// the device.
  Status forward_on(DevicePasses& passes, const TensorView& images, const VisionTransformerOutputs& outputs,
                    std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  /// The same of a model that keeps shapes.
  Status forward_patches_on(DevicePasses& passes, const PatchedPictures& pictures,
                            const VisionTransformerOutputs& outputs, std::span<std::byte> workspace,
                            const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit VisionTransformer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
