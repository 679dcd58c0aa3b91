/// Tiny autoencoders (TAESD) for the latents of the Stable Diffusion family: a picture of a latent in a fraction of a VAE's
/// time, for previews while an image is being made.
///
/// Stages, ownership and threads: as for the Vae (networks/vae/vae.h). Latents are as a UNet sees them, already scaled; pictures
/// are [-1, 1] and may lie slightly outside. With compute kBF16 products round to bf16; residual connections are f32.
/// Source: O. Boer Bohan 2023, TAESD; names as in diffusers' AutoencoderTiny.
///
///   Result<Taesd> tiny = Taesd::open(WeightSource::all_of(file), config, DType::kBF16);
///   Status done = tiny->decode(latents, picture, workspace, executor);     // [1, 64, 64, 4] to [1, 512, 512, 3]
#ifndef WEFT_KERNELS_NETWORKS_TAESD_TAESD_H
#define WEFT_KERNELS_NETWORKS_TAESD_TAESD_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/layers/device_passes.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/layers/weight_source.h"
#include "kernels/tensor.h"

namespace weft {

struct TaesdConfig {
  int64_t image_channels = 3;
  int64_t latent_channels = 4;
  int64_t channels = 64;  // of every level
  /// Residual blocks a level, from the full resolution down; empty: there is no encoder.
  std::vector<int64_t> encoder_blocks = {1, 3, 3, 3};
  std::vector<int64_t> decoder_blocks = {3, 3, 3, 1};  // and up again

  bool has_encoder() const { return !encoder_blocks.empty(); }
  /// Pixels a latent, along one side.
  int64_t factor() const { return int64_t{1} << (decoder_blocks.empty() ? 0 : decoder_blocks.size() - 1); }
};

class Taesd {
 public:
  /// Errors: as Vae::open().
  static Result<Taesd> open(WeightSource source, const TaesdConfig& config, DType compute);

  Taesd(Taesd&&) noexcept;
  Taesd& operator=(Taesd&&) noexcept;
  ~Taesd();

  const TaesdConfig& config() const;
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

  /// pictures: [images, h * factor, w * factor, image_channels]; latents: [images, h, w, latent_channels]; f32, contiguous.
  /// Errors: kInvalidArgument (not loaded, null, no encoder), kInvalidShape, kOutOfMemory, kCancelled.
  Status encode(const TensorView& pictures, const TensorView& latents, std::span<std::byte> workspace,
                Executor executor, const StopRequest& stop = {}) const;
  Status decode(const TensorView& latents, const TensorView& pictures, std::span<std::byte> workspace,
                Executor executor, const StopRequest& stop = {}) const;

  /// In the place of load(): the weights in a device's memory, for the calls below. memory: device_weights_bytes(), or empty: it is
  /// allocated. Errors: kOutOfMemory, kCancelled, those of the device.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  /// encode() and decode() on the device that holds the weights. Pictures and latents are the host's, workspace is the device's:
  /// device_encode_workspace_bytes(), device_decode_workspace_bytes(), exact. Errors: as there, those of the device.
  Status encode_on(DevicePasses& passes, const TensorView& pictures, const TensorView& latents,
                   std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  Status decode_on(DevicePasses& passes, const TensorView& latents, const TensorView& pictures,
                   std::span<std::byte> workspace, const StopRequest& stop = {}) const;
  int64_t device_encode_workspace_bytes(int64_t images, int64_t height, int64_t width) const;
  int64_t device_decode_workspace_bytes(int64_t images, int64_t height, int64_t width) const;

  struct State;

 private:
  explicit Taesd(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
