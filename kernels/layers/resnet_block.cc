#include "kernels/layers/resnet_block.h"

namespace weft {

void plan_resnet(WeightPlan& plan, const std::string& name, const ResnetShape& shape, ResnetBlock* block) {
  block->shape = shape;
  const int64_t in = shape.in_channels, out = shape.out_channels;
  plan.group_norm(name + ".norm1", in, shape.groups, shape.epsilon, &block->norm1);
  plan.convolution(name + ".conv1", out, in, 3, BiasTensor::kRequired, &block->conv1);
  if (shape.time_width > 0)
    plan.dense({name + ".time_emb_proj"}, out, shape.time_width, BiasTensor::kRequired, &block->time);
  plan.group_norm(name + ".norm2", out, shape.groups, shape.epsilon, &block->norm2);
  plan.convolution(name + ".conv2", out, out, 3, BiasTensor::kRequired, &block->conv2);
  if (in != out)
    plan.convolution(name + ".conv_shortcut", out, in, 1, BiasTensor::kRequired, &block->shortcut);
}

TensorView resnet(LayerPass& pass, const ResnetBlock& block, const TensorView& x, const TensorView& skip,
                  const TensorView& time, DType stored, DType inner) {
  const int64_t images = x.shape[0], h = x.shape[1], w = x.shape[2], out = block.shape.out_channels;
  const TensorView y = pass.take(stored, {images, h, w, out});
  const TensorView hidden = pass.take(inner, {images, h, w, out});
  const TensorView time_bias = pass.take(DType::kF32, {images, out});
  if (block.time.present()) pass.dense(block.time, time, time_bias);  // seen after the norm's barrier
  const ScaleShift first = pass.group_norm(block.norm1, x, skip);
  pass.convolution(block.conv1, x, hidden,
                   {.skip = skip,
                    .in_scale = first.scale,
                    .in_shift = first.shift,
                    .in_activation = Activation::kSilu,
                    .pad_before = 1,
                    .pad_after = 1,
                    .image_bias = block.time.present() ? time_bias.as<float>() : nullptr});
  if (block.shortcut.present()) pass.convolution(block.shortcut, x, y, {.skip = skip});
  pass.barrier();
  pass.give(first);
  const ScaleShift second = pass.group_norm(block.norm2, hidden);
  pass.convolution(block.conv2, hidden, y,
                   {.in_scale = second.scale,
                    .in_shift = second.shift,
                    .in_activation = Activation::kSilu,
                    .pad_before = 1,
                    .pad_after = 1,
                    .residual = block.shortcut.present() ? y : x});
  pass.barrier();
  pass.give(second);
  pass.give(time_bias);
  pass.give(hidden);
  return y;
}

}  // namespace weft
