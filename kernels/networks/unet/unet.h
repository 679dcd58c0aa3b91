/// The denoising UNets of the Stable Diffusion family (1.x, 2.x, XL base and refiner, inpainting, Turbo, LCM): one forward
/// pass for every shape and switch that UNetConfig can say.
///
/// Three stages. open() reads headers only: every tensor's presence and shape, exact sizes. load() packs the weights into
/// a store. After that forward() predicts for a batch of latent images, which may come from different prompts, seeds and
/// time steps.
///
/// Numerics: with compute kF32 everything is f32; with kBF16 products round to bf16 and add in f32, and activations are
/// stored as bf16 in between. The bits of an image's prediction depend on the model, its own inputs and the ISA level, not on
/// the rest of the batch or the number of threads.
///
/// Ownership: a UNet refers to the WeightFiles behind its source and to the PackedWeightStore, which outlive it; workspace
/// and output are the caller's. Thread safety: after load() const members may be called by several threads, each with its
/// own workspace. Source: Rombach et al. 2022, arXiv:2112.10752; Podell et al. 2023, arXiv:2307.01952.
///
///   Result<UNet> unet = UNet::open(WeightSource::all_of(file), config, DType::kBF16);
///   Status loaded = unet->load(store, "sha256-of-the-file.unet", executor);
///   UNetInputs in{.sample = TensorView::contiguous(latents, DType::kF32, {2, 64, 64, 4}), .timesteps = times,
///                 .context = TensorView::contiguous(text, DType::kF32, {2, 77, 768})};
///   std::vector<std::byte> workspace(unet->workspace_bytes({2, 64, 64, 77}, executor.max_threads()));  // aligned to 64
///   Status done = unet->forward(in, TensorView::contiguous(noise, DType::kF32, {2, 64, 64, 4}), workspace, executor);
#ifndef WEFT_KERNELS_NETWORKS_UNET_UNET_H
#define WEFT_KERNELS_NETWORKS_UNET_UNET_H

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
#include "kernels/networks/unet/unet_config.h"
#include "kernels/tensor.h"

namespace weft {

struct UNetExtent {
  int64_t images = 1;
  int64_t height = 0, width = 0;  // of the latents
  int64_t n_context = 0;          // text tokens an image
};

/// Views are contiguous.
struct UNetInputs {
  TensorView sample;  // [images, h, w, c] f32
  /// [images, h, w, in_channels - c] f32: the mask and the masked image of inpainting models; rank 0: none.
  TensorView extra = {};
  std::span<const float> timesteps;  // [images]
  TensorView context;                // [images, n_context, context_width] f32

  // Where the configuration asks for them.
  TensorView pooled = {};                 // [images, p] f32: SDXL's pooled text
  TensorView sizes = {};                  // [images, n_added_sizes(p)] f32: original size, crop, target size
  TensorView guidance = {};               // [images, guidance_width] f32, or rank 0: none
  std::span<const int32_t> classes = {};  // [images]: kTable
  TensorView class_vector = {};           // [images, class_width] f32: kProjection; [images, 1]: kTimestep

  // ControlNet (control_net.h): added to the skip connections, in the order in which the way down makes them, and to the
  // middle's output. Both or neither. forward_on() reads them in the device's memory.
  std::span<const TensorView> skip_residuals = {};  // n_skips() of [images, h, w, channels] f32 each, or none
  TensorView mid_residual = {};                     // rank 0: none
};

class UNet {
 public:
  /// Reads headers only. compute: kF32 or kBF16. Errors: kInvalidArgument (a configuration that makes no network);
  /// kNotFound, kInvalidShape, kUnsupported, listing every tensor that is missing, misshapen or unexpected.
  static Result<UNet> open(WeightSource source, const UNetConfig& config, DType compute);

  UNet(UNet&&) noexcept;
  UNet& operator=(UNet&&) noexcept;
  ~UNet();

  const UNetConfig& config() const;
  DType compute() const;
  /// Exact bytes that load() asks of its store.
  int64_t packed_weights_bytes() const;
  int64_t parameters() const;
  /// Exact bytes of forward()'s workspace with an executor of n_threads. Precondition: extents >= 1, below 2^20.
  int64_t workspace_bytes(const UNetExtent& extent, uint32_t n_threads) const;
  /// Skip connections of a forward pass.
  int64_t n_skips() const;

  /// Packs all weights into one entry of `store`. source_key: identifies the content of the source (a file's SHA-256, and
  /// any adapters merged into it); part of the entry's key. Errors: the store's, kOutOfMemory.
  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// In the place of load(): the weights in a device's memory, for forward_on(). memory: device_weights_bytes(), or empty: it is
  /// allocated. Errors: kOutOfMemory, kCancelled, those of the device.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  /// Exact bytes of forward_on()'s workspace.
  int64_t device_workspace_bytes(const UNetExtent& extent) const;

  /// output: [images, h, w, out_channels] f32, contiguous. No allocation. workspace: workspace_bytes() of the inputs' extent,
  /// aligned to 64. `stop` is asked between blocks. times: added to, if not null. Errors: kInvalidArgument (not loaded, an
  /// input that is missing or null), kInvalidShape (an input's shape), kOutOfMemory (the workspace), kCancelled.
  Status forward(const UNetInputs& inputs, const TensorView& output, std::span<std::byte> workspace,
                 Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  /// The same on a device, whose results may differ in the last bits with the number of images. passes: on the device that holds
  /// the weights. workspace: the device's memory, device_workspace_bytes(). Inputs, residuals apart, and output are the host's.
  /// Errors: as forward(), those of the device.
  Status forward_on(DevicePasses& passes, const UNetInputs& inputs, const TensorView& output,
                    std::span<std::byte> workspace, const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit UNet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
