#include "plugins/image/model_compute.h"

#include <utility>

#include "kernels/device/ops.h"

namespace weft::image {
namespace {

// Pictures within one tile are not cut.
bool is_cut(int64_t height, int64_t width, int64_t tile) {
  return tile > 0 && (height > tile || width > tile);
}

}  // namespace

Scratch measuring_scratch(const DiffusionModel& model) {
  return Scratch(model.device() != nullptr ? Scratch::Networks::kApart : Scratch::Networks::kShare);
}

uint64_t plan_memory(const DiffusionModel& model, const Scratch& measured, const sdk::Plan& plan) {
  if (model.device() == nullptr) {
    plan.set_workspace_bytes(measured.peak_bytes());
    return 0;
  }
  plan.set_device(model.device()->id);
  plan.set_workspace_bytes(measured.network_peak_bytes());
  return measured.peak_bytes();
}

int64_t text_workspace_bytes(const DiffusionModel& model, const ClipText& network, int64_t sequences,
                             int64_t tokens, uint32_t n_threads) {
  return model.device() != nullptr ? network.device_workspace_bytes(sequences, tokens)
                                   : network.workspace_bytes(sequences, tokens, n_threads);
}

int64_t unet_workspace_bytes(const DiffusionModel& model, const UNetExtent& extent, uint32_t n_threads) {
  return model.device() != nullptr ? model.unet().device_workspace_bytes(extent)
                                   : model.unet().workspace_bytes(extent, n_threads);
}

int64_t control_workspace_bytes(const DiffusionModel& model, const ControlNet& network,
                                const UNetExtent& extent, uint32_t n_threads) {
  return model.device() != nullptr ? network.device_workspace_bytes(extent, 1)
                                   : network.workspace_bytes(extent, 1, n_threads);
}

int64_t decode_workspace_bytes(const DiffusionModel& model, int64_t height, int64_t width, int64_t tile,
                               uint32_t n_threads) {
  if (model.device() != nullptr)
    return is_cut(height, width, tile) ? model.vae().device_tiled_decode_workspace_bytes(height, width, tile)
                                       : model.vae().device_decode_workspace_bytes(1, height, width);
  return is_cut(height, width, tile)
             ? model.vae().tiled_decode_workspace_bytes(height, width, tile, n_threads)
             : model.vae().decode_workspace_bytes(1, height, width, n_threads);
}

int64_t encode_workspace_bytes(const DiffusionModel& model, int64_t height, int64_t width, int64_t tile,
                               uint32_t n_threads) {
  if (model.device() != nullptr)
    return is_cut(height, width, tile) ? model.vae().device_tiled_encode_workspace_bytes(height, width, tile)
                                       : model.vae().device_encode_workspace_bytes(1, height, width);
  return is_cut(height, width, tile)
             ? model.vae().tiled_encode_workspace_bytes(height, width, tile, n_threads)
             : model.vae().encode_workspace_bytes(1, height, width, n_threads);
}

int64_t preview_workspace_bytes(const DiffusionModel& model, const Taesd& tiny, int64_t height, int64_t width,
                                uint32_t n_threads) {
  return model.device() != nullptr ? tiny.device_decode_workspace_bytes(1, height, width)
                                   : tiny.decode_workspace_bytes(1, height, width, n_threads);
}

Result<ModelCompute> ModelCompute::begin(const DiffusionModel& model, const sdk::Host& host,
                                         const sdk::Execution& execution, uint64_t host_bytes) {
  const Scratch::Memory workspace{execution.workspace(), execution.workspace_bytes()};
  if (model.device() == nullptr) return ModelCompute(model, host.executor(), nullptr, Scratch(workspace));
  Result<sdk::Buffer> memory = host.allocate(host_bytes, execution.stream(), "host workspace");
  if (!memory.ok()) return memory.status();
  ModelCompute compute(model, host.executor(), execution.stream(),
                       Scratch({memory->data(), memory->size_bytes()}, workspace));
  compute.host_memory_ = *std::move(memory);
  compute.passes_ = model.device()->passes(host, execution.stream());
  return compute;
}

Status ModelCompute::encode_text(const ClipText& network, const ClipTextInputs& inputs,
                                 const ClipTextOutputs& outputs, std::span<std::byte> workspace,
                                 const StopRequest& stop) {
  return passes_ ? network.forward_on(*passes_, inputs, outputs, workspace, stop)
                 : network.forward(inputs, outputs, workspace, executor_, stop);
}

Result<std::span<const float>> ModelCompute::bring(std::span<const float> values,
                                                   std::span<std::byte> memory) {
  if (!passes_) return values;
  const DeviceStream& stream = passes_->stream();
  Status copied = stream.copy_to_device(memory.data(), values.data(), values.size_bytes());
  Status passed = stream.synchronize();
  if (!copied.ok()) return copied;
  if (!passed.ok()) return passed;
  return std::span<const float>(reinterpret_cast<const float*>(memory.data()), values.size());
}

Status ModelCompute::control(const ControlNet& network, const UNetInputs& inputs, const TensorView& picture,
                             float strength, std::span<const TensorView> residuals,
                             std::span<std::byte> workspace, const StopRequest& stop) {
  const std::span<const TensorView> skips = residuals.first(residuals.size() - 1);
  const TensorView& mid = residuals.back();
  return passes_ ? network.forward_on(*passes_, inputs, picture, strength, skips, mid, workspace, stop)
                 : network.forward(inputs, picture, strength, skips, mid, workspace, executor_, stop);
}

Status ModelCompute::add(const TensorView& residual, const TensorView& more) {
  const int64_t count = residual.count();
  float* sum = residual.as<float>();
  const float* values = more.as<const float>();
  if (passes_) {
    const DeviceStream& stream = passes_->stream();
    return stream.device()->ops().add({sum, values, count}, stream);
  }
  constexpr int64_t kGrain = int64_t{1} << 16;
  executor_.parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] += values[i];
  });
  return {};
}

Status ModelCompute::predict(const UNetInputs& inputs, const TensorView& noise,
                             std::span<std::byte> workspace, const StopRequest& stop) {
  return passes_ ? model_->unet().forward_on(*passes_, inputs, noise, workspace, stop)
                 : model_->unet().forward(inputs, noise, workspace, executor_, stop);
}

Status ModelCompute::decode(const TensorView& latents, const TensorView& picture, int64_t tile,
                            std::span<std::byte> workspace, const StopRequest& stop) {
  const Vae& vae = model_->vae();
  const bool cut = is_cut(latents.shape[1], latents.shape[2], tile);
  if (passes_)
    return cut ? vae.decode_tiled_on(*passes_, latents, picture, tile, workspace, stop)
               : vae.decode_on(*passes_, latents, picture, workspace, stop);
  return cut ? vae.decode_tiled(latents, picture, tile, workspace, executor_, stop)
             : vae.decode(latents, picture, workspace, executor_, stop);
}

Status ModelCompute::encode(const TensorView& picture, const TensorView& moments, int64_t tile,
                            std::span<std::byte> workspace, const StopRequest& stop) {
  const Vae& vae = model_->vae();
  const bool cut = is_cut(moments.shape[1], moments.shape[2], tile);
  if (passes_)
    return cut ? vae.encode_tiled_on(*passes_, picture, moments, tile, workspace, stop)
               : vae.encode_on(*passes_, picture, moments, workspace, stop);
  return cut ? vae.encode_tiled(picture, moments, tile, workspace, executor_, stop)
             : vae.encode(picture, moments, workspace, executor_, stop);
}

Status ModelCompute::preview(const Taesd& tiny, const TensorView& latents, const TensorView& picture,
                             std::span<std::byte> workspace, const StopRequest& stop) {
  return passes_ ? tiny.decode_on(*passes_, latents, picture, workspace, stop)
                 : tiny.decode(latents, picture, workspace, executor_, stop);
}

}  // namespace weft::image
