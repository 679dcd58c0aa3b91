/// One thread's way through an autoencoder's halves, each cut in two where it comes to the latents' resolution: what lies
/// above it is what memory and time go to, and sees a few pixels around each pixel; what lies at it sees the whole image.
/// Private to this folder.
///
/// A pass that measures runs the same way: then views have shapes and no data. Every function ends with a barrier. Buffers
/// named x are the pass's: who gets one gives it back. One of rank 0 means that the pass was stopped.
#ifndef WEFT_KERNELS_NETWORKS_VAE_VAE_WALK_H
#define WEFT_KERNELS_NETWORKS_VAE_VAE_WALK_H

#include "kernels/layers/layer_pass.h"
#include "kernels/networks/vae/vae_state.h"

namespace weft {

class VaeWalk {
 public:
  VaeWalk(const Vae::State& state, LayerPass& pass) : s_(state), pass_(pass) {}

  /// latents: [images, h, w, latent_channels], the caller's. Returns x: [images, h, w, channels.back()].
  TensorView decode_latents(const TensorView& latents);
  /// pictures: [images, h * factor, w * factor, image_channels], written.
  void decode_pixels(TensorView x, const TensorView& pictures);

  /// pictures: as above, the caller's. Returns x: [images, h, w, channels], those of the last stage but one (or the only one).
  TensorView encode_pixels(const TensorView& pictures);
  /// moments: [images, h, w, 2 * latent_channels], written.
  void encode_latents(TensorView x, const TensorView& moments);

 private:
  TensorView first(const VaeHalf& half, const TensorView& in);
  void last(const VaeHalf& half, const TensorView& x, const TensorView& out);
  bool resnet_to(const ResnetBlock& block, TensorView* x);
  bool resnets(const VaeStage& stage, TensorView* x);
  bool middle(const VaeMiddle& m, TensorView* x);
  void attend(const PixelAttention& layer, TensorView* x);
  void upsample(const VaeStage& stage, TensorView* x);
  void downsample(const VaeStage& stage, TensorView* x);
  void replace(TensorView* x, const TensorView& y);

  const Vae::State& s_;
  LayerPass& pass_;
};

}  // namespace weft
#endif
