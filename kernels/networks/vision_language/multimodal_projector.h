/// From the states of a vision tower to rows among a language model's embeddings, as LLaVA and Gemma 3 do it.
///
///   kTwoLayers:  y = W2 f(W1 x + b1) + b2, row by row
///   kMeanNorm:   y = W norm(mean of pooled_side x pooled_side patches), norm: RMS, its weights plus 1
///
/// Stages, ownership and threads: as of VisionTransformer. Numerics: rows are f32; within, and products, as `compute` says. The bits of
/// a row depend on what it is made of alone.
/// Source: Liu et al. 2023, arXiv:2310.03744; Gemma Team 2025, arXiv:2503.19786. Names of tensors as in transformers' multi_modal_projector.
///
///   Result<MultimodalProjector> projector = MultimodalProjector::open(multimodal_projector_source(file), config, DType::kF32);
///   Status done = projector->forward(states, rows, workspace, executor);
#ifndef WEFT_KERNELS_NETWORKS_VISION_LANGUAGE_MULTIMODAL_PROJECTOR_H
#define WEFT_KERNELS_NETWORKS_VISION_LANGUAGE_MULTIMODAL_PROJECTOR_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/layers/device_passes.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/tensor.h"

namespace weft {

enum class ProjectorKind : uint8_t { kTwoLayers, kMeanNorm };

struct MultimodalProjectorConfig {
  ProjectorKind kind = ProjectorKind::kTwoLayers;
  int64_t tower_width = 1024;
  int64_t text_width = 4096;
  int64_t n_states = 576;  // of a picture; with kMeanNorm a square of patches
  // kTwoLayers
  Activation activation = Activation::kGelu;
  bool has_biases = true;
  // kMeanNorm
  int64_t pooled_side = 1;  // patches of a side that become one row; divides the picture's
  float epsilon = 1e-6f;

  /// Rows of a picture.
  int64_t n_rows() const;
};

class MultimodalProjector {
 public:
  /// Errors: as VisionTransformer::open().
  static Result<MultimodalProjector> open(WeightSource source, const MultimodalProjectorConfig& config,
                                          DType compute);

  MultimodalProjector(MultimodalProjector&&) noexcept;
  MultimodalProjector& operator=(MultimodalProjector&&) noexcept;
  ~MultimodalProjector();

  const MultimodalProjectorConfig& config() const;
  int64_t packed_weights_bytes() const;
  int64_t workspace_bytes(uint32_t n_threads) const;
  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor);
  bool loaded() const;
  void unload();

  /// Of one picture. states: [n_states, tower_width] f32; rows: [n_rows(), text_width]. workspace: workspace_bytes(), aligned to 64.
  /// Errors: kInvalidArgument (not loaded), kOutOfMemory (the workspace), kCancelled.
  Status forward(const float* states, float* rows, std::span<std::byte> workspace, Executor executor,
                 const StopRequest& stop = {}) const;

  // On a device, as of VisionTransformer.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  int64_t device_workspace_bytes() const;
  /// states, rows and the workspace are in the device's memory.
  Status forward_on(DevicePasses& passes, const float* states, float* rows, std::span<std::byte> workspace,
                    const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit MultimodalProjector(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
