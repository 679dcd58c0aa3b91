/// Where a node's calls of a diffusion model compute: on the executor's threads, in the node's workspace; or on the model's
/// device, where the workspace is the networks' and everything else is the host's memory.
///
/// Ownership: refers to model and execution; keeps the host's memory of a node on a device, and the graphs of passes that come
/// again. Thread safety: one thread; the CPU's calls use the executor's threads.
///
///   host_bytes_ = plan_memory(model, measured, plan);                                                     // in prepare
///   Result<ModelCompute> compute = ModelCompute::begin(model, host, execution, host_bytes_);              // in execute
///   Status done = compute->predict(inputs, noise, workspace, stop);   // workspace: compute->scratch()'s, for a network
#ifndef WEFT_PLUGINS_IMAGE_MODEL_COMPUTE_H
#define WEFT_PLUGINS_IMAGE_MODEL_COMPUTE_H

#include <weft/sdk/plugin.h>

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/layers/device_passes.h"
#include "plugins/image/diffusion_model.h"
#include "plugins/image/scratch.h"

namespace weft::image {

/// For measuring what a node takes.
Scratch measuring_scratch(const DiffusionModel& model);
/// Tells the plan of workspace and device. Gives the bytes that a node on a device takes of the host beside, when it executes.
uint64_t plan_memory(const DiffusionModel& model, const Scratch& measured, const sdk::Plan& plan);

// Bytes of a network's workspace in the calls below. tile: latents a side; 0: whole pictures.
int64_t text_workspace_bytes(const DiffusionModel& model, const ClipText& network, int64_t sequences,
                             int64_t tokens, uint32_t n_threads);
int64_t unet_workspace_bytes(const DiffusionModel& model, const UNetExtent& extent, uint32_t n_threads);
/// One control picture for all images.
int64_t control_workspace_bytes(const DiffusionModel& model, const ControlNet& network,
                                const UNetExtent& extent, uint32_t n_threads);
int64_t decode_workspace_bytes(const DiffusionModel& model, int64_t height, int64_t width, int64_t tile,
                               uint32_t n_threads);
int64_t encode_workspace_bytes(const DiffusionModel& model, int64_t height, int64_t width, int64_t tile,
                               uint32_t n_threads);
int64_t preview_workspace_bytes(const DiffusionModel& model, const Taesd& tiny, int64_t height, int64_t width,
                                uint32_t n_threads);

class ModelCompute {
 public:
  /// host_bytes: plan_memory()'s. Errors: kOutOfMemory.
  static Result<ModelCompute> begin(const DiffusionModel& model, const sdk::Host& host,
                                    const sdk::Execution& execution, uint64_t host_bytes);

  const DiffusionModel& model() const { return *model_; }
  Executor executor() const { return executor_; }
  Scratch& scratch() { return scratch_; }
  /// As DiffusionModel::enter().
  Result<ModelStages::Use> enter(ModelStage stage, const StopRequest& stop) const {
    return model_->enter(stage, stop, stream_);
  }

  // The networks' calls. Views are the host's, but for residuals. Errors: theirs.
  Status encode_text(const ClipText& network, const ClipTextInputs& inputs, const ClipTextOutputs& outputs,
                     std::span<std::byte> workspace, const StopRequest& stop);
  /// What networks read in several calls, where they compute: on a device a copy in `memory`, at least as large; else `values`.
  Result<std::span<const float>> bring(std::span<const float> values, std::span<std::byte> memory);
  /// picture: one for all images, from bring(). residuals: of the skip connections, and last of the middle; a network's memory, like
  /// those of predict()'s inputs.
  Status control(const ControlNet& network, const UNetInputs& inputs, const TensorView& picture,
                 float strength, std::span<const TensorView> residuals, std::span<std::byte> workspace,
                 const StopRequest& stop);
  /// residual += more
  Status add(const TensorView& residual, const TensorView& more);
  Status predict(const UNetInputs& inputs, const TensorView& noise, std::span<std::byte> workspace,
                 const StopRequest& stop);
  /// One picture.
  Status decode(const TensorView& latents, const TensorView& picture, int64_t tile,
                std::span<std::byte> workspace, const StopRequest& stop);
  Status encode(const TensorView& picture, const TensorView& moments, int64_t tile,
                std::span<std::byte> workspace, const StopRequest& stop);
  /// One picture, by the model's tiny autoencoder.
  Status preview(const Taesd& tiny, const TensorView& latents, const TensorView& picture,
                 std::span<std::byte> workspace, const StopRequest& stop);

 private:
  ModelCompute(const DiffusionModel& model, Executor executor, weft_stream* stream, Scratch scratch)
      : model_(&model), executor_(executor), stream_(stream), scratch_(scratch) {}

  const DiffusionModel* model_;
  Executor executor_;
  weft_stream* stream_;
  sdk::Buffer host_memory_;  // on a device
  Scratch scratch_;
  SparePasses::Lease passes_;  // on a device
};

}  // namespace weft::image
#endif
