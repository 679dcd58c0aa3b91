// Both passes: one team of threads walks all blocks together; see kernels/layers/layer_pass.h.
#include <cmath>

#include "kernels/networks/vae/vae_state.h"

namespace weft {
namespace {

struct VaeExtent {
  int64_t images, height, width;  // of the latents
};

// One thread's way through a pass, or the measure of its memory: then `in` and `out` have shapes and no data.
class Walker {
 public:
  Walker(const Vae::State& state, LayerPass& pass) : s_(state), pass_(pass) {}

  void encode(const TensorView& pictures, const TensorView& moments) {
    const VaeHalf& e = s_.encoder;
    TensorView x = first(e, pictures);
    for (const VaeStage& stage : e.stages) {
      if (!resnets(stage, &x)) return;
      if (!stage.resample.present()) continue;
      // Padded below and on the right only.
      const TensorView y = pass_.take(s_.stored, {x.shape[0], x.shape[1] / 2, x.shape[2] / 2, x.shape[3]});
      pass_.convolution(stage.resample, x, y, {.stride = 2, .pad_after = 1});
      replace(&x, y);
    }
    if (!middle(e.middle, &x)) return;
    if (!e.quant.present()) return last(e, x, moments);
    const TensorView y =
        pass_.take(DType::kF32, {moments.shape[0], moments.shape[1], moments.shape[2], moments.shape[3]});
    last(e, x, y);
    pass_.convolution(e.quant, y, moments, {});
    pass_.barrier();
    pass_.give(y);
  }

  void decode(const TensorView& latents, const TensorView& pictures) {
    const VaeHalf& d = s_.decoder;
    TensorView z = latents;
    if (d.quant.present()) {
      z = pass_.take(DType::kF32, {latents.shape[0], latents.shape[1], latents.shape[2], latents.shape[3]});
      pass_.convolution(d.quant, latents, z, {});
      pass_.barrier();
    }
    TensorView x = first(d, z);
    if (d.quant.present()) pass_.give(z);
    if (!middle(d.middle, &x)) return;
    for (const VaeStage& stage : d.stages) {
      if (!resnets(stage, &x)) return;
      if (!stage.resample.present()) continue;
      const TensorView y = pass_.take(s_.stored, {x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3]});
      pass_.convolution(stage.resample, x, y,
                        {.upsample = Upsample::kNearest2x, .pad_before = 1, .pad_after = 1});
      replace(&x, y);
    }
    last(d, x, pictures);
  }

 private:
  TensorView first(const VaeHalf& half, const TensorView& in) {
    const TensorView x =
        pass_.take(s_.stored, {in.shape[0], in.shape[1], in.shape[2], half.conv_in.w.shape.out_channels});
    pass_.convolution(half.conv_in, in, x, {.pad_before = 1, .pad_after = 1});
    pass_.barrier();
    return x;
  }

  void last(const VaeHalf& half, const TensorView& x, const TensorView& out) {
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

  void replace(TensorView* x, const TensorView& y) {
    pass_.barrier();
    pass_.give(*x);
    *x = y;
  }

  bool resnet_to(const ResnetBlock& block, TensorView* x) {
    if (pass_.stopped()) return false;
    const TensorView y = resnet(pass_, block, *x, {}, {}, s_.stored, s_.inner);
    pass_.give(*x);
    *x = y;
    return true;
  }

  bool resnets(const VaeStage& stage, TensorView* x) {
    for (const ResnetBlock& block : stage.resnets)
      if (!resnet_to(block, x)) return false;
    return true;
  }

  bool middle(const VaeMiddle& m, TensorView* x) {
    if (!resnet_to(m.first, x)) return false;
    if (m.attention.qkv.present()) attend(m.attention, x);
    return resnet_to(m.second, x);
  }

  // x += out(attention of all pixels)
  void attend(const PixelAttention& layer, TensorView* x) {
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

  const Vae::State& s_;
  LayerPass& pass_;
};

TensorView latents_of(const VaeExtent& e, int64_t channels) {
  return TensorView::contiguous(nullptr, DType::kF32, {e.images, e.height, e.width, channels});
}

TensorView pictures_of(const VaeExtent& e, const VaeConfig& c) {
  return TensorView::contiguous(nullptr, DType::kF32,
                                {e.images, e.height * c.factor(), e.width * c.factor(), c.image_channels});
}

Status check_view(const TensorView& view, const char* what, const TensorView& wanted) {
  bool fits = view.dtype == DType::kF32 && view.rank == wanted.rank;
  for (int i = 0; fits && i < view.rank; ++i)
    fits = view.shape[i] == wanted.shape[i] && view.strides[i] == wanted.strides[i] && view.shape[i] >= 1;
  if (!fits)
    return Status(StatusCode::kInvalidShape, std::string("the VAE's ") + what + " have another shape")
        .expected("contiguous f32 " + shape_text({wanted.shape, wanted.shape + wanted.rank}))
        .got(shape_text({view.shape, view.shape + view.rank}));
  if (!view.data) return Status(StatusCode::kInvalidArgument, std::string("the VAE's ") + what + " are null");
  return Status();
}

template <typename Walk>
Status run(int64_t needed, std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
           LayerTimes* times, Walk&& walk) {
  if (static_cast<int64_t>(workspace.size()) < needed ||
      reinterpret_cast<uintptr_t>(workspace.data()) % 64 != 0)
    return Status(StatusCode::kOutOfMemory, "the VAE's workspace is too small or not aligned to 64 bytes")
        .expected(std::to_string(needed) + " bytes")
        .got(std::to_string(workspace.size()));
  LayerPass::Shared shared;
  shared.workspace = workspace.data();
  shared.max_threads = executor.max_threads();
  shared.stop = stop;
  shared.times = times;
  executor.run([&](Team team) {
    LayerPass pass(team, shared);
    walk(pass);
  });
  if (shared.stopped.load(std::memory_order_relaxed))
    return Status(StatusCode::kCancelled, "stopped on request");
  return Status();
}

Status check_half(bool loaded, bool present, const char* half) {
  if (!loaded) return Status(StatusCode::kInvalidArgument, "the VAE's weights are not loaded");
  if (!present) return Status(StatusCode::kUnsupported, std::string("this VAE has no ") + half);
  return Status();
}

}  // namespace

int64_t Vae::encode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const {
  const VaeExtent e = {images, height, width};
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    Walker(*state_, pass)
        .encode(pictures_of(e, state_->config), latents_of(e, 2 * state_->config.latent_channels));
  });
}

int64_t Vae::decode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const {
  const VaeExtent e = {images, height, width};
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    Walker(*state_, pass)
        .decode(latents_of(e, state_->config.latent_channels), pictures_of(e, state_->config));
  });
}

Status Vae::encode(const TensorView& pictures, const TensorView& moments, std::span<std::byte> workspace,
                   Executor executor, const StopRequest& stop, LayerTimes* times) const {
  const VaeConfig& c = state_->config;
  if (Status ready = check_half(state_->loaded, c.has_encoder, "encoder"); !ready.ok()) return ready;
  const VaeExtent e = {moments.shape[0], moments.shape[1], moments.shape[2]};
  if (Status s = check_view(moments, "moments", latents_of(e, 2 * c.latent_channels)); !s.ok()) return s;
  if (Status s = check_view(pictures, "pictures", pictures_of(e, c)); !s.ok()) return s;
  return run(encode_workspace_bytes(e.images, e.height, e.width, executor.max_threads()), workspace, executor,
             stop, times, [&](LayerPass& pass) { Walker(*state_, pass).encode(pictures, moments); });
}

Status Vae::decode(const TensorView& latents, const TensorView& pictures, std::span<std::byte> workspace,
                   Executor executor, const StopRequest& stop, LayerTimes* times) const {
  const VaeConfig& c = state_->config;
  if (Status ready = check_half(state_->loaded, c.has_decoder, "decoder"); !ready.ok()) return ready;
  const VaeExtent e = {latents.shape[0], latents.shape[1], latents.shape[2]};
  if (Status s = check_view(latents, "latents", latents_of(e, c.latent_channels)); !s.ok()) return s;
  if (Status s = check_view(pictures, "pictures", pictures_of(e, c)); !s.ok()) return s;
  return run(decode_workspace_bytes(e.images, e.height, e.width, executor.max_threads()), workspace, executor,
             stop, times, [&](LayerPass& pass) { Walker(*state_, pass).decode(latents, pictures); });
}

}  // namespace weft
