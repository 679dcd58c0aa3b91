// The forward pass: one team of threads walks all blocks together; see kernels/layers/layer_pass.h.
#include <cstring>

#include "kernels/networks/unet/unet_walk.h"

namespace weft {
namespace {

// One thread's way through the pass, or the measure of its memory.
class Walker : public UNetWalk {
 public:
  Walker(const UNet::State& state, LayerPass& pass, const UNetExtent& extent, const UNetInputs* inputs,
         const TensorView* output)
      : UNetWalk(state, pass, extent, inputs), out_(output) {}

  void walk() {
    TensorView x;
    if (!way_down({}, &x)) return;
    add_residuals(x);
    for (const UNetStage& stage : s_.up)
      if (!up(stage, &x)) return;
    finish(x);
  }

 private:
  // A control network's contributions.
  void add_residuals(const TensorView& mid) {
    if (!in_) return;
    for (size_t i = 0; i < in_->skip_residuals.size(); ++i)
      pass_.add_values(skips_[i], in_->skip_residuals[i].as<float>());
    if (in_->mid_residual.rank > 0) pass_.add_values(mid, in_->mid_residual.as<float>());
  }

  bool up(const UNetStage& stage, TensorView* x) {
    for (size_t j = 0; j < stage.resnets.size(); ++j) {
      if (pass_.stopped()) return false;
      const TensorView skip = skips_[--n_skips_];
      block(stage, j, skip, x);
      pass_.give(skip);
    }
    if (stage.resample.present()) upsample(stage.resample, x);
    return true;
  }

  // To the size of the next skip connection: twice as large, or one less.
  void upsample(const ConvolutionLayer& layer, TensorView* x) {
    const TensorView& next = skips_[n_skips_ - 1];
    const int64_t h = next.shape[1], w = next.shape[2], channels = x->shape[3];
    const TensorView y = pass_.take(s_.stored, {e_.images, h, w, channels});
    if (pass_.on_device() || (h == 2 * x->shape[1] && w == 2 * x->shape[2])) {
      pass_.convolution(layer, *x, y, {.upsample = Upsample::kNearest2x, .pad_before = 1, .pad_after = 1});
      pass_.barrier();
    } else {
      const TensorView larger = pass_.take(s_.stored, {e_.images, h, w, channels});
      repeat_pixels(*x, larger);
      pass_.convolution(layer, larger, y, {.pad_before = 1, .pad_after = 1});
      pass_.barrier();
      pass_.give(larger);
    }
    pass_.give(*x);
    *x = y;
  }

  void repeat_pixels(const TensorView& x, const TensorView& y) {
    if (pass_.measures()) return;
    const int64_t pixel = x.shape[3] * size_bytes(x.dtype), rows = y.shape[0] * y.shape[1];
    for (int64_t r = pass_.begin(rows); r < pass_.end(rows); ++r) {
      const int64_t image = r / y.shape[1], row = r % y.shape[1] / 2;
      const char* from = x.as<char>() + (image * x.shape[1] + row) * x.shape[2] * pixel;
      char* to = y.as<char>() + r * y.shape[2] * pixel;
      for (int64_t i = 0; i < y.shape[2]; ++i)
        std::memcpy(to + i * pixel, from + i / 2 * pixel, static_cast<size_t>(pixel));
    }
    pass_.barrier();
  }

  void finish(const TensorView& x) {
    const ScaleShift norm = pass_.group_norm(s_.norm_out, x);
    const TensorView of_host =
        out_
            ? *out_
            : TensorView::contiguous(nullptr, DType::kF32, {e_.images, e_.height, e_.width, c_.out_channels});
    const TensorView y = pass_.result(of_host);
    pass_.convolution(s_.conv_out, x, y,
                      {.in_scale = norm.scale,
                       .in_shift = norm.shift,
                       .in_activation = Activation::kSilu,
                       .pad_before = 1,
                       .pad_after = 1});
    pass_.barrier();
    pass_.give_result(y, of_host);
    pass_.give(norm);
    pass_.give(x);
    give_conditioning();
  }

  const TensorView* out_;  // null: measures
};

Status check_call(const UNetConfig& config, const UNetInputs& inputs, const TensorView& output,
                  UNetExtent* extent) {
  if (Status valid = check_unet_inputs(config, inputs); !valid.ok()) return valid;
  *extent = {inputs.sample.shape[0], inputs.sample.shape[1], inputs.sample.shape[2], inputs.context.shape[1]};
  if (!inputs.skip_residuals.empty() || inputs.mid_residual.rank > 0)
    if (Status valid = check_skip_views(config, *extent, inputs.skip_residuals, inputs.mid_residual);
        !valid.ok())
      return valid;
  return check_f32_view(output, "output",
                        {extent->images, extent->height, extent->width, config.out_channels});
}

}  // namespace

int64_t UNet::workspace_bytes(const UNetExtent& extent, uint32_t n_threads) const {
  return LayerPass::measure(n_threads,
                            [&](LayerPass& pass) { Walker(*state_, pass, extent, nullptr, nullptr).walk(); });
}

int64_t UNet::device_workspace_bytes(const UNetExtent& extent) const {
  return LayerPass::measure_on_device(
             [&](LayerPass& pass) { Walker(*state_, pass, extent, nullptr, nullptr).walk(); })
      .workspace_bytes;
}

Status UNet::forward(const UNetInputs& inputs, const TensorView& output, std::span<std::byte> workspace,
                     Executor executor, const StopRequest& stop, LayerTimes* times) const {
  if (!state_->weights.on_host())
    return Status(StatusCode::kInvalidArgument, "the UNet's weights are not loaded");
  UNetExtent extent;
  if (Status valid = check_call(state_->config, inputs, output, &extent); !valid.ok()) return valid;
  const int64_t needed = workspace_bytes(extent, executor.max_threads());
  return LayerPass::run(workspace, needed, "the UNet's", executor, stop, times,
                        [&](LayerPass& pass) { Walker(*state_, pass, extent, &inputs, &output).walk(); });
}

Status UNet::forward_on(DevicePasses& passes, const UNetInputs& inputs, const TensorView& output,
                        std::span<std::byte> workspace, const StopRequest& stop) const {
  if (!state_->weights.on_device())
    return Status(StatusCode::kInvalidArgument, "the UNet's weights are not loaded on a device");
  UNetExtent extent;
  if (Status valid = check_call(state_->config, inputs, output, &extent); !valid.ok()) return valid;
  return passes.run(
      state_->weights.pass_shape("the UNet's",
                                 pass_numbers(extent, inputs, inputs.skip_residuals, inputs.mid_residual)),
      workspace, stop, [&](LayerPass& pass) { Walker(*state_, pass, extent, &inputs, &output).walk(); });
}

}  // namespace weft
