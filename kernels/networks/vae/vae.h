/// The autoencoder of the Stable Diffusion family (AutoencoderKL): pictures to latents and back.
///
/// Three stages, as everywhere: open() reads headers only, load() packs, then encode() and decode() compute for a batch.
/// Pictures are [-1, 1]; latents are as the network makes them, before the configuration's scaling_factor and shift:
/// a pipeline's latents are (latents - shift_factor) * scaling_factor. Either half may be absent from a checkpoint.
///
/// Numerics, ownership, threads: as for the UNet (networks/unet/unet.h), but that residual connections are stored as f32 with
/// bf16 compute too.
/// Source: Rombach et al. 2022, arXiv:2112.10752; names as in diffusers' AutoencoderKL.
///
///   Result<Vae> vae = Vae::open(WeightSource::all_of(file), config, DType::kF32);
///   Status loaded = vae->load(store, "sha256-of-the-file.vae", executor);
///   Status done = vae->decode(TensorView::contiguous(z, DType::kF32, {1, 64, 64, 4}),
///                             TensorView::contiguous(rgb, DType::kF32, {1, 512, 512, 3}), workspace, executor);
#ifndef WEFT_KERNELS_NETWORKS_VAE_VAE_H
#define WEFT_KERNELS_NETWORKS_VAE_VAE_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/layers/device_passes.h"
#include "kernels/layers/layer_pass.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/tensor.h"

namespace weft {

struct VaeConfig {
  int64_t image_channels = 3;
  int64_t latent_channels = 4;
  std::vector<int64_t> channels;  // a level each, from the full resolution down
  int64_t n_resnets = 2;          // of an encoder's level; one more in the decoder's
  int64_t groups = 32;
  bool mid_attention = true;
  bool quant_convolution = true;       // after the encoder
  bool post_quant_convolution = true;  // before the decoder
  bool has_encoder = true;
  bool has_decoder = true;
  float scaling_factor = 0.18215f;
  float shift_factor = 0;

  /// Pixels a latent, along one side.
  int64_t factor() const { return int64_t{1} << (channels.empty() ? 0 : channels.size() - 1); }
};

class Vae {
 public:
  /// Errors: kInvalidArgument (a configuration that makes no network); kNotFound, kInvalidShape, kUnsupported, listing every
  /// tensor that is missing, misshapen or unexpected.
  static Result<Vae> open(WeightSource source, const VaeConfig& config, DType compute);

  Vae(Vae&&) noexcept;
  Vae& operator=(Vae&&) noexcept;
  ~Vae();

  const VaeConfig& config() const;
  DType compute() const;
  int64_t packed_weights_bytes() const;
  int64_t parameters() const;
  /// Exact bytes of workspace for latents of height x width. Precondition: extents >= 1, below 2^16.
  int64_t encode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const;
  int64_t decode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const;

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// pictures: [images, h * factor, w * factor, image_channels]; moments: [images, h, w, 2 * latent_channels], the mean, then
  /// the logarithm of the variance. f32, contiguous. workspace: encode_workspace_bytes(images, h, w), aligned to 64.
  /// Errors: kInvalidArgument (not loaded, null), kUnsupported (no encoder), kInvalidShape, kOutOfMemory, kCancelled.
  Status encode(const TensorView& pictures, const TensorView& moments, std::span<std::byte> workspace,
                Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  /// latents: [images, h, w, latent_channels]; pictures: [images, h * factor, w * factor, image_channels]. As encode().
  Status decode(const TensorView& latents, const TensorView& pictures, std::span<std::byte> workspace,
                Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  /// The same for one image in overlapping tiles of up to `tile` latents a side, where the whole one's activations do not fit
  /// into memory: they need the workspace of a tile, and what lies at the latents' resolution. There are no seams: up to
  /// rounding, pixels are those of the whole pass. For that tiles are gone over until the statistics of all norms have
  /// settled, about half as often as there are norms above the latents.
  /// Further errors: kInvalidArgument (tile < least_tile()), kInvalidShape (more than one image).
  Status encode_tiled(const TensorView& picture, const TensorView& moments, int64_t tile,
                      std::span<std::byte> workspace, Executor executor, const StopRequest& stop = {},
                      LayerTimes* times = nullptr) const;
  Status decode_tiled(const TensorView& latents, const TensorView& picture, int64_t tile,
                      std::span<std::byte> workspace, Executor executor, const StopRequest& stop = {},
                      LayerTimes* times = nullptr) const;

  /// In the place of load(): the weights in a device's memory, for the calls below. memory: device_weights_bytes(), or empty: it is
  /// allocated. Errors: kOutOfMemory, kCancelled, those of the device.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  /// encode() and decode() on the device that holds the weights. Pictures, moments and latents are the host's,
  /// workspace is the device's: device_encode_workspace_bytes(), device_decode_workspace_bytes(), exact. Errors: as there, those
  /// of the device.
  Status encode_on(DevicePasses& passes, const TensorView& pictures, const TensorView& moments,
                   std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  Status decode_on(DevicePasses& passes, const TensorView& latents, const TensorView& pictures,
                   std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  int64_t device_encode_workspace_bytes(int64_t images, int64_t height, int64_t width) const;
  int64_t device_decode_workspace_bytes(int64_t images, int64_t height, int64_t width) const;

  /// encode_tiled() and decode_tiled() there: workspaces of device_tiled_encode_workspace_bytes(), device_tiled_decode_workspace_bytes(),
  /// exact.
  Status encode_tiled_on(DevicePasses& passes, const TensorView& picture, const TensorView& moments,
                         int64_t tile, std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  Status decode_tiled_on(DevicePasses& passes, const TensorView& latents, const TensorView& picture,
                         int64_t tile, std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  int64_t device_tiled_encode_workspace_bytes(int64_t height, int64_t width, int64_t tile) const;
  int64_t device_tiled_decode_workspace_bytes(int64_t height, int64_t width, int64_t tile) const;

  int64_t least_tile() const;
  /// Exact bytes, for latents of height x width. Precondition: tile >= least_tile().
  int64_t tiled_encode_workspace_bytes(int64_t height, int64_t width, int64_t tile, uint32_t n_threads) const;
  int64_t tiled_decode_workspace_bytes(int64_t height, int64_t width, int64_t tile, uint32_t n_threads) const;

  struct State;

 private:
  explicit Vae(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
