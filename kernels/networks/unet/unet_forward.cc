// The forward pass: one team of threads walks all blocks together; see kernels/layers/layer_pass.h.
#include <cmath>
#include <cstring>

#include "kernels/networks/unet/unet_state.h"
#include "kernels/quant/half.h"

namespace weft {
namespace {

constexpr int kMostSkips = 8 * 9 + 1;  // what check() in unet.cc allows

// emb[0..width): cosines and sines of `value` at falling frequencies.
void sinusoids(float value, int64_t width, bool flip_sin_to_cos, float frequency_shift, float* emb) {
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float exponent =
        -9.210340371976184f * static_cast<float>(i) / (static_cast<float>(half) - frequency_shift);
    const float angle = value * std::exp(exponent);
    emb[flip_sin_to_cos ? half + i : i] = std::sin(angle);
    emb[flip_sin_to_cos ? i : half + i] = std::cos(angle);
  }
}

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  Walker(const UNet::State& state, LayerPass& pass, const UNetExtent& extent, const UNetInputs* inputs,
         const TensorView* output)
      : s_(state), c_(state.config), pass_(pass), e_(extent), in_(inputs), out_(output) {}

  void walk() {
    time_ = pass_.take(DType::kF32, {e_.images, c_.time_width()});
    embed();
    TensorView x = pass_.take(s_.stored, {e_.images, e_.height, e_.width, c_.levels[0].channels});
    const TensorView sample =
        in_ ? in_->sample
            : TensorView::contiguous(nullptr, DType::kF32, {e_.images, e_.height, e_.width, c_.in_channels});
    pass_.convolution(s_.conv_in, sample, x,
                      {.skip = in_ ? in_->extra : TensorView(), .pad_before = 1, .pad_after = 1});
    pass_.barrier();
    push(x);
    for (const UNetStage& stage : s_.down)
      if (!down(stage, &x)) return;
    if (c_.has_mid_block && !middle(&x)) return;
    add_residuals(x);
    for (const UNetStage& stage : s_.up)
      if (!up(stage, &x)) return;
    finish(x);
  }

 private:
  void push(const TensorView& x) { skips_[n_skips_++] = x; }

  // Gives x back, unless it is a skip connection.
  void drop(const TensorView& x) {
    for (int i = 0; i < n_skips_; ++i)
      if (skips_[i].data == x.data) return;
    pass_.give(x);
  }

  // y = second(silu(first(x))) [+ y]
  void mlp(const EmbeddingMlp& m, const TensorView& x, const TensorView& y, bool adds) {
    const TensorView hidden = pass_.take(DType::kF32, {e_.images, c_.time_width()});
    pass_.dense(m.first, x, hidden, {.activation = Activation::kSilu});
    pass_.barrier();
    pass_.dense(m.second, hidden, y, {.residual = adds ? y : TensorView()});
    pass_.barrier();
    pass_.give(hidden);
  }

  // time_ = silu(everything that conditions the residual blocks).
  void embed() {
    const int64_t width = c_.time_projection_width();
    const TensorView wave = pass_.take(DType::kF32, {e_.images, width});
    waves(in_ ? in_->timesteps.data() : nullptr, wave);
    if (s_.guidance_projection.present() && (!in_ || in_->guidance.rank > 0)) {
      const TensorView guidance = in_ ? in_->guidance : TensorView();
      pass_.dense(s_.guidance_projection, guidance, wave, {.residual = wave});
      pass_.barrier();
    }
    mlp(s_.time_embedding, wave, time_, false);
    embed_class(wave);
    pass_.give(wave);
    if (s_.added_embedding.first.present()) embed_added();
    if (pass_.measures()) return;
    if (pass_.thread() == 0) activate(Activation::kSilu, time_.as<float>(), time_.count(), pass_.level());
    pass_.barrier();
  }

  void waves(const float* values, const TensorView& wave) {
    if (pass_.measures()) return;
    if (pass_.thread() == 0)
      for (int64_t i = 0; i < e_.images; ++i)
        sinusoids(values[i], wave.shape[1], c_.flip_sin_to_cos, c_.frequency_shift,
                  wave.as<float>() + i * wave.shape[1]);
    pass_.barrier();
  }

  void embed_class(const TensorView& wave) {
    switch (c_.class_embedding) {
      case ClassEmbedding::kNone: return;
      case ClassEmbedding::kTable:
        if (pass_.measures()) return;
        if (pass_.thread() == 0)
          for (int64_t i = 0; i < e_.images; ++i)
            add(time_.as<float>() + i * c_.time_width(),
                s_.class_table + in_->classes[static_cast<size_t>(i)] * c_.time_width(), c_.time_width(),
                pass_.level());
        pass_.barrier();
        return;
      case ClassEmbedding::kTimestep:
        waves(in_ ? in_->class_vector.as<float>() : nullptr, wave);
        mlp(s_.class_embedding, wave, time_, true);
        return;
      case ClassEmbedding::kProjection:
        mlp(s_.class_embedding, in_ ? in_->class_vector : TensorView(), time_, true);
        return;
    }
  }

  // SDXL: the pooled text, then the waves of all sizes.
  void embed_added() {
    const TensorView vector = pass_.take(DType::kF32, {e_.images, c_.added_width});
    if (!pass_.measures()) {
      const int64_t pooled = in_->pooled.shape[1], n_sizes = in_->sizes.shape[1], width = c_.added_time_width;
      if (pass_.thread() == 0) {
        for (int64_t i = 0; i < e_.images; ++i) {
          float* row = vector.as<float>() + i * c_.added_width;
          std::memcpy(row, in_->pooled.as<float>() + i * pooled, static_cast<size_t>(pooled) * 4);
          for (int64_t j = 0; j < n_sizes; ++j)
            sinusoids(in_->sizes.as<float>()[i * n_sizes + j], width, c_.flip_sin_to_cos, c_.frequency_shift,
                      row + pooled + j * width);
        }
      }
      pass_.barrier();
    }
    mlp(s_.added_embedding, vector, time_, true);
    pass_.give(vector);
  }

  // x becomes what resnet j of the stage, and the transformer after it, make of x and skip.
  void block(const UNetStage& stage, size_t j, const TensorView& skip, TensorView* x) {
    TensorView y = resnet(pass_, stage.resnets[j], *x, skip, time_, s_.stored, s_.inner);
    if (x->data != skip.data) drop(*x);  // they are one where there is no middle
    if (!stage.transformers.empty()) attend(stage.transformers[j], &y);
    *x = y;
  }

  void attend(const SpatialTransformer& transformer, TensorView* x) {
    const TensorView y = spatial_transformer(pass_, transformer, *x, in_ ? as_context() : TensorView(),
                                             e_.n_context, s_.stored, s_.inner);
    pass_.give(*x);
    *x = y;
  }

  TensorView as_context() const {
    return TensorView::contiguous(in_->context.data, in_->context.dtype,
                                  {e_.images * e_.n_context, c_.context_width});
  }

  bool down(const UNetStage& stage, TensorView* x) {
    for (size_t j = 0; j < stage.resnets.size(); ++j) {
      if (pass_.stopped()) return false;
      block(stage, j, {}, x);
      push(*x);
    }
    if (!stage.resample.present()) return true;
    const int64_t h = convolution_extent(x->shape[1], Upsample::kNone, 3, 2, 1, 1);
    const int64_t w = convolution_extent(x->shape[2], Upsample::kNone, 3, 2, 1, 1);
    const TensorView y = pass_.take(s_.stored, {e_.images, h, w, x->shape[3]});
    pass_.convolution(stage.resample, *x, y, {.stride = 2, .pad_before = 1, .pad_after = 1});
    pass_.barrier();
    *x = y;
    push(y);
    return true;
  }

  bool middle(TensorView* x) {
    if (pass_.stopped()) return false;
    TensorView y = resnet(pass_, s_.mid_first, *x, {}, time_, s_.stored, s_.inner);
    drop(*x);
    if (!s_.mid_transformer.layers.empty()) attend(s_.mid_transformer, &y);
    if (pass_.stopped()) return false;
    *x = resnet(pass_, s_.mid_second, y, {}, time_, s_.stored, s_.inner);
    pass_.give(y);
    return true;
  }

  // A control network's contributions.
  void add_residuals(const TensorView& mid) {
    if (pass_.measures() || (in_->skip_residuals.empty() && in_->mid_residual.rank == 0)) return;
    for (size_t i = 0; i < in_->skip_residuals.size(); ++i) add_to(skips_[i], in_->skip_residuals[i]);
    if (in_->mid_residual.rank > 0) add_to(mid, in_->mid_residual);
    pass_.barrier();
  }

  void add_to(const TensorView& x, const TensorView& residual) {
    const int64_t begin = pass_.begin(x.count()), end = pass_.end(x.count());
    const float* from = residual.as<float>();
    if (x.dtype == DType::kF32) {
      add(x.as<float>() + begin, from + begin, end - begin, pass_.level());
      return;
    }
    uint16_t* to = x.as<uint16_t>();
    for (int64_t i = begin; i < end; ++i) to[i] = bf16_bits(f32_from_bf16_bits(to[i]) + from[i]);
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
    if (h == 2 * x->shape[1] && w == 2 * x->shape[2]) {
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
    pass_.convolution(s_.conv_out, x, out_ ? *out_ : TensorView(),
                      {.in_scale = norm.scale,
                       .in_shift = norm.shift,
                       .in_activation = Activation::kSilu,
                       .pad_before = 1,
                       .pad_after = 1});
    pass_.barrier();
    pass_.give(norm);
    pass_.give(x);
    pass_.give(time_);
  }

  const UNet::State& s_;
  const UNetConfig& c_;
  LayerPass& pass_;
  UNetExtent e_;
  const UNetInputs* in_;  // null: measures
  const TensorView* out_;
  TensorView time_;
  TensorView skips_[kMostSkips];
  int n_skips_ = 0;
};

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

std::string shape_of(const TensorView& view) {
  return shape_text(std::vector<int64_t>(view.shape, view.shape + view.rank));
}

// A view that must be f32, contiguous and of this shape; -1: any extent from 1.
Status check_view(const TensorView& view, const char* what, std::initializer_list<int64_t> shape) {
  bool fits = view.dtype == DType::kF32 && view.rank == static_cast<int>(shape.size());
  int64_t stride = 1;
  for (int i = view.rank - 1; fits && i >= 0; --i) {
    const int64_t wanted = shape.begin()[i];
    fits = view.strides[i] == stride && (wanted < 0 ? view.shape[i] >= 1 : view.shape[i] == wanted);
    stride *= view.shape[i];
  }
  if (!fits)
    return Status(StatusCode::kInvalidShape, std::string("the UNet's ") + what + " has another shape")
        .expected("contiguous f32 " + shape_text(std::vector<int64_t>(shape)))
        .got(shape_of(view));
  if (!view.data) return invalid(std::string("the UNet's ") + what + " is null");
  return Status();
}

Status check_inputs(const UNetConfig& c, const UNetInputs& in, const TensorView& output) {
  if (in.sample.rank != 4) return invalid("the UNet's sample is not [images, height, width, channels]");
  const int64_t n = in.sample.shape[0], h = in.sample.shape[1], w = in.sample.shape[2],
                own = in.sample.shape[3];
  if (Status s = check_view(in.sample, "sample", {-1, -1, -1, in.extra.rank > 0 ? own : c.in_channels});
      !s.ok())
    return s;
  if (in.extra.rank > 0)
    if (Status s = check_view(in.extra, "extra channels", {n, h, w, c.in_channels - own}); !s.ok()) return s;
  if (Status s = check_view(output, "output", {n, h, w, c.out_channels}); !s.ok()) return s;
  if (Status s = check_view(in.context, "context", {n, -1, c.context_width}); !s.ok()) return s;
  if (static_cast<int64_t>(in.timesteps.size()) != n)
    return invalid("the UNet wants a time step for each image")
        .expected(std::to_string(n))
        .got(std::to_string(in.timesteps.size()));
  if (c.added_time_width > 0) {
    if (Status s = check_view(in.pooled, "pooled text", {n, -1}); !s.ok()) return s;
    if (Status s = check_view(in.sizes, "sizes", {n, c.n_added_sizes(in.pooled.shape[1])}); !s.ok()) return s;
    if (in.pooled.shape[1] + in.sizes.shape[1] * c.added_time_width != c.added_width)
      return invalid("the width of the UNet's pooled text leaves no whole number of sizes");
  }
  if (in.guidance.rank > 0) {
    if (c.guidance_width == 0) return invalid("this UNet takes no embedding of the guidance scale");
    if (Status s = check_view(in.guidance, "guidance", {n, c.guidance_width}); !s.ok()) return s;
  }
  if (c.class_embedding == ClassEmbedding::kTable) {
    if (static_cast<int64_t>(in.classes.size()) != n) return invalid("the UNet wants a class for each image");
    for (int32_t label : in.classes)
      if (label < 0 || label >= c.n_classes)
        return invalid("a class is out of range")
            .expected("below " + std::to_string(c.n_classes))
            .got(std::to_string(label));
  } else if (c.class_embedding != ClassEmbedding::kNone) {
    const int64_t width = c.class_embedding == ClassEmbedding::kTimestep ? 1 : c.class_width;
    if (Status s = check_view(in.class_vector, "class", {n, width}); !s.ok()) return s;
  }
  return Status();
}

Status check_residuals(const UNetConfig& c, const UNetInputs& in, int64_t n_skips) {
  if (in.skip_residuals.empty() && in.mid_residual.rank == 0) return Status();
  if (static_cast<int64_t>(in.skip_residuals.size()) != n_skips)
    return invalid("the control network does not fit the UNet")
        .expected(std::to_string(n_skips) + " residuals")
        .got(std::to_string(in.skip_residuals.size()));
  const int64_t n = in.sample.shape[0];
  int64_t h = in.sample.shape[1], w = in.sample.shape[2];
  size_t at = 0;
  const auto next = [&](int64_t channels) {
    return check_view(in.skip_residuals[at++], "residual", {n, h, w, channels});
  };
  if (Status s = next(c.levels[0].channels); !s.ok()) return s;
  for (size_t i = 0; i < c.levels.size(); ++i) {
    for (int64_t j = 0; j < c.levels[i].n_resnets; ++j)
      if (Status s = next(c.levels[i].channels); !s.ok()) return s;
    if (i + 1 == c.levels.size()) break;
    h = (h + 1) / 2;
    w = (w + 1) / 2;
    if (Status s = next(c.levels[i].channels); !s.ok()) return s;
  }
  if (in.mid_residual.rank == 0) return Status();
  return check_view(in.mid_residual, "middle residual", {n, h, w, c.levels.back().channels});
}

}  // namespace

int64_t UNet::workspace_bytes(const UNetExtent& extent, uint32_t n_threads) const {
  return LayerPass::measure(n_threads,
                            [&](LayerPass& pass) { Walker(*state_, pass, extent, nullptr, nullptr).walk(); });
}

Status UNet::forward(const UNetInputs& inputs, const TensorView& output, std::span<std::byte> workspace,
                     Executor executor, const StopRequest& stop, LayerTimes* times) const {
  if (!state_->loaded) return invalid("the UNet's weights are not loaded");
  if (Status valid = check_inputs(state_->config, inputs, output); !valid.ok()) return valid;
  if (Status valid = check_residuals(state_->config, inputs, n_skips()); !valid.ok()) return valid;
  const UNetExtent extent = {inputs.sample.shape[0], inputs.sample.shape[1], inputs.sample.shape[2],
                             inputs.context.shape[1]};
  const int64_t needed = workspace_bytes(extent, executor.max_threads());
  if (static_cast<int64_t>(workspace.size()) < needed ||
      reinterpret_cast<uintptr_t>(workspace.data()) % 64 != 0)
    return Status(StatusCode::kOutOfMemory, "the UNet's workspace is too small or not aligned to 64 bytes")
        .expected(std::to_string(needed) + " bytes")
        .got(std::to_string(workspace.size()));
  LayerPass::Shared shared;
  shared.workspace = workspace.data();
  shared.max_threads = executor.max_threads();
  shared.stop = stop;
  shared.times = times;
  executor.run([&](Team team) {
    LayerPass pass(team, shared);
    Walker(*state_, pass, extent, &inputs, &output).walk();
  });
  if (shared.stopped.load(std::memory_order_relaxed))
    return Status(StatusCode::kCancelled, "stopped on request");
  return Status();
}

}  // namespace weft
