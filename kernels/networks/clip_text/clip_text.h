/// The text towers of CLIP and SigLIP, which are also the text encoders of the Stable Diffusion family (CLIP ViT-L/14's and the
/// OpenCLIP ones, H and bigG).
///
/// Three stages: open() reads headers only, load() packs, then forward() encodes a batch of token sequences of one length.
/// A token id from the vocabulary's end on names a row of extra_embeddings: that is textual inversion.
///
/// Numerics, ownership, threads: as for the UNet (networks/unet/unet.h). The token table is read row by row from its file.
/// Source: Radford et al. 2021, arXiv:2103.00020; names as in transformers' CLIPTextModel.
///
///   Result<ClipText> clip = ClipText::open(WeightSource::all_of(file), config, DType::kF32);
///   Status loaded = clip->load(store, "sha256-of-the-file.text", executor);
///   ClipTextInputs in{.tokens = ids, .n_sequences = 2};                        // 2 * 77 ids
///   Status done = clip->forward(in, {.hidden = hidden}, workspace, executor);  // [2, 77, 768]
#ifndef WEFT_KERNELS_NETWORKS_CLIP_TEXT_CLIP_TEXT_H
#define WEFT_KERNELS_NETWORKS_CLIP_TEXT_CLIP_TEXT_H

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
#include "kernels/ops/dense_attention/dense_attention.h"
#include "kernels/tensor.h"

namespace weft {

/// Which of a sequence's states is pooled.
enum class TextPooling : uint8_t { kEndToken, kLastToken };

struct ClipTextConfig {
  int64_t vocabulary = 49408;
  int64_t width = 768;
  int64_t n_layers = 12;
  int64_t n_heads = 12;
  int64_t mlp_width = 3072;
  int64_t n_positions = 77;
  Activation activation = Activation::kQuickGelu;
  float epsilon = 1e-5f;
  int64_t projection_width = 0;  // of the pooled output; 0: pooled is the normed hidden state itself
  /// Ends a text; its first place is pooled. 2 (an old mistake in configurations): the place of the largest id.
  int32_t end_token = 49407;
  AttentionMask mask =
      AttentionMask::kCausal;  // SigLIP's texts are padded to all positions, and see all of them
  TextPooling pooling = TextPooling::kEndToken;
  bool projection_has_bias = false;
};

struct ClipTextInputs {
  std::span<const int32_t> tokens;  // [n_sequences, n_tokens], ids below vocabulary + extra embeddings
  int64_t n_sequences = 1;
  const float* extra_embeddings = nullptr;  // [n_extra, width]
  int64_t n_extra = 0;
  /// Layers left out at the end, for `hidden`: 0 the last layer's output, 1 the penultimate's ("clip skip 2").
  int64_t skipped_layers = 0;
  /// Whether `hidden` goes through the last norm: true for SD 1.x and 2.x, false for SDXL.
  bool final_norm = true;
};

struct ClipTextOutputs {
  float* hidden = nullptr;  // [n_sequences, n_tokens, width], or null
  float* pooled = nullptr;  // [n_sequences, projection_width or width] of the last layer, or null
};

class ClipText {
 public:
  /// Tensors may carry transformers' "text_model." before their names or not. Errors: as UNet::open().
  static Result<ClipText> open(WeightSource source, const ClipTextConfig& config, DType compute);

  ClipText(ClipText&&) noexcept;
  ClipText& operator=(ClipText&&) noexcept;
  ~ClipText();

  const ClipTextConfig& config() const;
  DType compute() const;
  int64_t packed_weights_bytes() const;
  /// Bytes that stay mapped and are read row by row: the token table.
  int64_t mapped_bytes() const;
  int64_t parameters() const;
  int64_t workspace_bytes(int64_t n_sequences, int64_t n_tokens, uint32_t n_threads) const;

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// No allocation. workspace: workspace_bytes(), aligned to 64. Errors: kInvalidArgument (not loaded, a token out of range,
  /// more layers skipped than there are), kInvalidShape (more tokens than positions, sequences of unequal length),
  /// kOutOfMemory (the workspace), kCancelled.
  Status forward(const ClipTextInputs& inputs, const ClipTextOutputs& outputs, std::span<std::byte> workspace,
                 Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  /// In the place of load(): the weights in a device's memory, for forward_on(); the token table stays in its file. memory:
  /// device_weights_bytes(), or empty: it is allocated. Errors: kOutOfMemory, kCancelled, those of the device.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  /// Exact bytes of forward_on()'s workspace; less may do where nothing is pooled.
  int64_t device_workspace_bytes(int64_t n_sequences, int64_t n_tokens) const;
  /// forward() on the device that holds the weights. workspace: the device's memory. Inputs and outputs are the host's. Errors: as
  /// forward(), those of the device.
  Status forward_on(DevicePasses& passes, const ClipTextInputs& inputs, const ClipTextOutputs& outputs,
                    std::span<std::byte> workspace, const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit ClipText(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
