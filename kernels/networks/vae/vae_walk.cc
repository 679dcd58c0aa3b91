#include "kernels/networks/vae/vae_walk.h"

#include <cmath>

namespace weft {

TensorView VaeWalk::decode_latents(const TensorView& latents) {
  const VaeHalf& d = s_.decoder;
  TensorView z = latents;
  if (d.quant.present()) {
    z = pass_.take(DType::kF32, {latents.shape[0], latents.shape[1], latents.shape[2], latents.shape[3]});
    pass_.convolution(d.quant, latents, z, {});
    pass_.barrier();
  }
  TensorView x = first(d, z);
  if (d.quant.present()) pass_.give(z);
  if (!middle(d.middle, &x) || !resnets(d.stages.front(), &x)) return {};
  return x;
}

void VaeWalk::decode_pixels(TensorView x, const TensorView& pictures) {
  const VaeHalf& d = s_.decoder;
  for (size_t i = 1; i < d.stages.size(); ++i) {
    upsample(d.stages[i - 1], &x);
    if (!resnets(d.stages[i], &x)) return;
  }
  last(d, x, pictures);
}

TensorView VaeWalk::encode_pixels(const TensorView& pictures) {
  const VaeHalf& e = s_.encoder;
  TensorView x = first(e, pictures);
  for (size_t i = 0; i + 1 < e.stages.size(); ++i) {
    if (!resnets(e.stages[i], &x)) return {};
    downsample(e.stages[i], &x);
  }
  return x;
}

void VaeWalk::encode_latents(TensorView x, const TensorView& moments) {
  const VaeHalf& e = s_.encoder;
  if (!resnets(e.stages.back(), &x) || !middle(e.middle, &x)) return;
  if (!e.quant.present()) return last(e, x, moments);
  const TensorView y =
      pass_.take(DType::kF32, {moments.shape[0], moments.shape[1], moments.shape[2], moments.shape[3]});
  last(e, x, y);
  pass_.convolution(e.quant, y, moments, {});
  pass_.barrier();
  pass_.give(y);
}

TensorView VaeWalk::first(const VaeHalf& half, const TensorView& in) {
  const TensorView x =
      pass_.take(s_.stored, {in.shape[0], in.shape[1], in.shape[2], half.conv_in.w.shape.out_channels});
  pass_.convolution(half.conv_in, in, x, {.pad_before = 1, .pad_after = 1});
  pass_.barrier();
  return x;
}

void VaeWalk::last(const VaeHalf& half, const TensorView& x, const TensorView& out) {
  const ScaleShift norm = pass_.group_norm(half.norm_out, x);
  pass_.convolution(half.conv_out, x, out,
                    {.in_scale = norm.scale,
                     .in_shift = norm.shift,
                     .in_activation = Activation::kSilu,
                     .pad_before = 1,
                     .pad_after = 1});
  pass_.barrier();
  pass_.give(norm);
  pass_.give(x);
}

void VaeWalk::replace(TensorView* x, const TensorView& y) {
  pass_.barrier();
  pass_.give(*x);
  *x = y;
}

void VaeWalk::upsample(const VaeStage& stage, TensorView* x) {
  const TensorView y = pass_.take(s_.stored, {x->shape[0], 2 * x->shape[1], 2 * x->shape[2], x->shape[3]});
  pass_.convolution(stage.resample, *x, y,
                    {.upsample = Upsample::kNearest2x, .pad_before = 1, .pad_after = 1});
  replace(x, y);
}

void VaeWalk::downsample(const VaeStage& stage, TensorView* x) {
  // Padded below and on the right only.
  const TensorView y = pass_.take(s_.stored, {x->shape[0], x->shape[1] / 2, x->shape[2] / 2, x->shape[3]});
  pass_.convolution(stage.resample, *x, y, {.stride = 2, .pad_after = 1});
  replace(x, y);
}

bool VaeWalk::resnet_to(const ResnetBlock& block, TensorView* x) {
  if (pass_.stopped()) return false;
  const TensorView y = resnet(pass_, block, *x, {}, {}, s_.stored, s_.inner);
  pass_.give(*x);
  *x = y;
  return true;
}

bool VaeWalk::resnets(const VaeStage& stage, TensorView* x) {
  for (const ResnetBlock& block : stage.resnets)
    if (!resnet_to(block, x)) return false;
  return true;
}

bool VaeWalk::middle(const VaeMiddle& m, TensorView* x) {
  if (!resnet_to(m.first, x)) return false;
  if (m.attention.qkv.present()) attend(m.attention, x);
  return resnet_to(m.second, x);
}

// x += out(attention of all pixels)
void VaeWalk::attend(const PixelAttention& layer, TensorView* x) {
  const int64_t images = x->shape[0], pixels = x->shape[1] * x->shape[2], c = x->shape[3];
  const TensorView qkv = pass_.take(s_.inner, {images, x->shape[1], x->shape[2], 3 * c});
  const ScaleShift norm = pass_.group_norm(layer.norm, *x);
  pass_.convolution(layer.qkv, *x, qkv, {.in_scale = norm.scale, .in_shift = norm.shift});
  pass_.barrier();
  pass_.give(norm);
  const TensorView attended = pass_.take(s_.inner, {images * pixels, c});
  const char* base = qkv.as<const char>();
  const int64_t element = size_bytes(qkv.dtype);
  DenseAttention a;
  a.batch = images;
  a.n_queries = a.n_keys = pixels;
  a.head_dim = c;
  a.dtype = qkv.dtype;
  a.scale = 1.0f / std::sqrt(static_cast<float>(c));
  a.q = {base, 3 * c, pixels * 3 * c};
  a.k = {base + c * element, 3 * c, pixels * 3 * c};
  a.v = {base + 2 * c * element, 3 * c, pixels * 3 * c};
  a.y = {attended.data, c, pixels * c};
  pass_.attention(a);
  pass_.dense(layer.out, attended, as_rows(*x), {.residual = as_rows(*x)});
  pass_.barrier();
  pass_.give(attended);
  pass_.give(qkv);
}

}  // namespace weft
