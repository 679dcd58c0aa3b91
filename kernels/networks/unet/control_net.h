/// Control networks (ControlNet) for Stable Diffusion: a UNet's way down that also sees a picture (edges, depth, a pose), and
/// adds what it makes of it to the UNet's skip connections.
///
/// Stages, numerics, ownership and threads: as for the UNet (unet.h).
/// Source: Zhang et al. 2023, arXiv:2302.05543; names as in diffusers' ControlNetModel.
///
///   Result<ControlNet> control = ControlNet::open(WeightSource::all_of(file), config, DType::kBF16);
///   Status loaded = control->load(store, "sha256-of-the-file.control", executor);
///   Status done = control->forward(in, picture, 1.0f, residuals, mid, workspace, executor);
///   in.skip_residuals = residuals, in.mid_residual = mid;                 // and on to UNet::forward()
#ifndef WEFT_KERNELS_NETWORKS_UNET_CONTROL_NET_H
#define WEFT_KERNELS_NETWORKS_UNET_CONTROL_NET_H

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/networks/unet/unet.h"

namespace weft {

struct ControlNetConfig {
  UNetConfig unet;  // of which the way up is not there
  int64_t picture_channels = 3;
  std::vector<int64_t> hint_channels = {
      16, 32, 96, 256};  // of the picture's embedding; each step but the first halves it

  /// Pixels a latent, along one side.
  int64_t factor() const { return int64_t{1} << (hint_channels.empty() ? 0 : hint_channels.size() - 1); }
};

class ControlNet {
 public:
  /// Errors: as UNet::open().
  static Result<ControlNet> open(WeightSource source, const ControlNetConfig& config, DType compute);

  ControlNet(ControlNet&&) noexcept;
  ControlNet& operator=(ControlNet&&) noexcept;
  ~ControlNet();

  const ControlNetConfig& config() const;
  DType compute() const;
  int64_t packed_weights_bytes() const;
  int64_t parameters() const;
  int64_t n_skips() const;
  /// Channels, and how often the latents were halved, of the i-th residual, 0 <= i < n_skips(); n_skips(): of the middle's.
  struct Skip {
    int64_t channels;
    int64_t halvings;
  };
  Skip skip(int64_t i) const;
  /// The shape of that residual, [images, h, w, channels] f32, without data.
  TensorView residual(int64_t i, const UNetExtent& extent) const;
  /// pictures: as forward() gets: 1 for all images, or one an image.
  int64_t workspace_bytes(const UNetExtent& extent, int64_t pictures, uint32_t n_threads) const;

  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor,
              const StopRequest& stop = {});
  bool loaded() const;
  /// Forgets the weights, whose store may be destroyed then; load() gets them again.
  void unload();

  /// inputs: the UNet's own; residuals in them are not read. picture: [images or 1, h * factor, w * factor, picture_channels]
  /// f32, [0, 1]; one is for all images. skips: n_skips() of [images, h, w, channels] f32, and mid likewise, are written: the network's outputs times
  /// strength; a latent extent halves by (h + 1) / 2. All views are contiguous. Errors: as UNet::forward().
  Status forward(const UNetInputs& inputs, const TensorView& picture, float strength,
                 std::span<const TensorView> skips, const TensorView& mid, std::span<std::byte> workspace,
                 Executor executor, const StopRequest& stop = {}, LayerTimes* times = nullptr) const;

  /// On a device, as UNet::load_on() and its forward_on(). Inputs are the host's. The picture, which stays the same from step to
  /// step, is in the device's memory, and so are skips and mid, which UNet::forward_on() reads there.
  Status load_on(const DeviceStream& stream, Executor executor, const StopRequest& stop = {},
                 DeviceBuffer memory = {});
  int64_t device_weights_bytes() const;
  int64_t device_workspace_bytes(const UNetExtent& extent, int64_t pictures) const;
  Status forward_on(DevicePasses& passes, const UNetInputs& inputs, const TensorView& picture, float strength,
                    std::span<const TensorView> skips, const TensorView& mid, std::span<std::byte> workspace,
                    const StopRequest& stop = {}) const;

  struct State;

 private:
  explicit ControlNet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
