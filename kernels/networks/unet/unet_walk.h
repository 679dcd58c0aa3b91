/// What a UNet and its control network have in common: the conditioning, the way down and the middle, walked by one thread of
/// a team; and the checks of their inputs. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_UNET_UNET_WALK_H
#define WEFT_KERNELS_NETWORKS_UNET_UNET_WALK_H

#include <initializer_list>
#include <span>
#include <vector>

#include "kernels/networks/unet/unet_state.h"

namespace weft {

inline constexpr int kMostSkips = 8 * 9 + 1;  // what check() in unet.cc allows

class UNetWalk {
 public:
  /// inputs null: measures memory.
  UNetWalk(const UNet::State& state, LayerPass& pass, const UNetExtent& extent, const UNetInputs* inputs)
      : s_(state), c_(state.config), pass_(pass), e_(extent), in_(inputs) {}

 protected:
  /// From the sample to the middle's output, *x; every skip connection is left in skips_. added: to the first convolution's
  /// output, one for all images or one an image; or rank 0. False if the pass was stopped.
  bool way_down(const TensorView& added, TensorView* x);

  /// *x becomes what resnet j of the stage, and the transformer after it, make of it and skip.
  void block(const UNetStage& stage, size_t j, const TensorView& skip, TensorView* x);
  void push(const TensorView& x) { skips_[n_skips_++] = x; }
  /// Gives x back, unless it is a skip connection.
  void drop(const TensorView& x);
  /// At the end.
  void give_conditioning() {
    pass_.give(time_);
    pass_.give_input(context_);
  }

  const UNet::State& s_;
  const UNetConfig& c_;
  LayerPass& pass_;
  UNetExtent e_;
  const UNetInputs* in_;
  TensorView context_;  // [images * n_context, context_width] f32
  TensorView time_;     // [images, time_width] f32: silu of everything that conditions the residual blocks
  TensorView skips_[kMostSkips];
  int n_skips_ = 0;

 private:
  TensorView take_sample();
  TensorView added_input(const TensorView& of_host, std::initializer_list<int64_t> shape);
  void embed();
  void mlp(const EmbeddingMlp& m, const TensorView& x, const TensorView& y, const TensorView& residual);
  void waves(const float* values, const TensorView& wave);
  void embed_class(const TensorView& wave);
  void embed_added();
  void attend(const SpatialTransformer& transformer, TensorView* x);
  bool down(const UNetStage& stage, TensorView* x);
  bool middle(TensorView* x);
};

/// A view that must be f32, contiguous and of this shape; -1: any extent from 1.
Status check_f32_view(const TensorView& view, const char* what, std::initializer_list<int64_t> shape);

/// Whether a pass can read the inputs, residuals apart.
Status check_unet_inputs(const UNetConfig& config, const UNetInputs& inputs);

/// Whether `views` are the skip connections, in the order in which the way down makes them, and `mid` the middle's output,
/// of latents of this extent.
Status check_skip_views(const UNetConfig& config, const UNetExtent& extent, std::span<const TensorView> views,
                        const TensorView& mid);

/// What decides the work that a pass on a device queues: extents, switches, rows of a table on the device, and where residuals
/// are, which lie there too.
std::vector<int64_t> pass_numbers(const UNetExtent& extent, const UNetInputs& inputs,
                                  std::span<const TensorView> skips, const TensorView& mid);

}  // namespace weft
#endif
