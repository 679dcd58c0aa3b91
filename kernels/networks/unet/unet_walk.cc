#include "kernels/networks/unet/unet_walk.h"

#include <cmath>
#include <cstring>

namespace weft {
namespace {

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

// Some of the view's images; of a view of rank 0, itself.
TensorView images_of(TensorView view, int64_t first, int64_t count) {
  if (view.rank == 0) return view;
  view.shape[0] = count;
  if (view.data) view.data = view.as<std::byte>() + first * view.strides[0] * size_bytes(view.dtype);
  return view;
}

}  // namespace

bool UNetWalk::way_down(const TensorView& added, TensorView* x) {
  context_ = pass_.input(TensorView::contiguous(in_ ? in_->context.data : nullptr, DType::kF32,
                                                {e_.images * e_.n_context, c_.context_width}));
  time_ = pass_.take(DType::kF32, {e_.images, c_.time_width()});
  embed();
  *x = pass_.take(s_.stored, {e_.images, e_.height, e_.width, c_.levels[0].channels});
  const bool joined = pass_.on_device();
  const TensorView sample = joined ? take_sample() : in_ ? in_->sample : TensorView();
  const TensorView extra = in_ && !joined ? in_->extra : TensorView();
  const int64_t at_once = added.rank > 0 ? added.shape[0] : e_.images;
  for (int64_t i = 0; i < e_.images; i += at_once)
    pass_.convolution(
        s_.conv_in, images_of(sample, i, at_once), images_of(*x, i, at_once),
        {.skip = images_of(extra, i, at_once), .pad_before = 1, .pad_after = 1, .residual = added});
  pass_.barrier();
  if (joined) pass_.give(sample);
  push(*x);
  for (const UNetStage& stage : s_.down)
    if (!down(stage, x)) return false;
  return !c_.has_mid_block || middle(x);
}

// On a device: the sample and the extra channels beside it.
TensorView UNetWalk::take_sample() {
  const TensorView sample = pass_.take(DType::kF32, {e_.images, e_.height, e_.width, c_.in_channels});
  pass_.fill(sample, [&](float* to) {
    const int64_t own = in_->sample.shape[3], extra = c_.in_channels - own;
    for (int64_t i = 0; i < e_.images * e_.height * e_.width; ++i, to += c_.in_channels) {
      std::memcpy(to, in_->sample.as<float>() + i * own, static_cast<size_t>(own) * 4);
      if (extra > 0)
        std::memcpy(to + own, in_->extra.as<float>() + i * extra, static_cast<size_t>(extra) * 4);
    }
  });
  return sample;
}

// An input of the embeddings, which a pass that measures does not have.
TensorView UNetWalk::added_input(const TensorView& of_host, std::initializer_list<int64_t> shape) {
  return pass_.input(TensorView::contiguous(of_host.data, DType::kF32, shape));
}

// Gives x back, unless it is a skip connection.
void UNetWalk::drop(const TensorView& x) {
  for (int i = 0; i < n_skips_; ++i)
    if (skips_[i].data == x.data) return;
  pass_.give(x);
}

// y = second(silu(first(x))) [+ residual]
void UNetWalk::mlp(const EmbeddingMlp& m, const TensorView& x, const TensorView& y,
                   const TensorView& residual) {
  const TensorView hidden = pass_.take(DType::kF32, {e_.images, c_.time_width()});
  pass_.dense(m.first, x, hidden, {.activation = Activation::kSilu});
  pass_.barrier();
  pass_.dense(m.second, hidden, y, {.residual = residual});
  pass_.barrier();
  pass_.give(hidden);
}

// time_ = silu(everything that conditions the residual blocks).
void UNetWalk::embed() {
  const int64_t width = c_.time_projection_width();
  const TensorView wave = pass_.take(DType::kF32, {e_.images, width});
  waves(in_ ? in_->timesteps.data() : nullptr, wave);
  if (s_.guidance_projection.present() && (!in_ || in_->guidance.rank > 0)) {
    const TensorView guidance =
        added_input(in_ ? in_->guidance : TensorView(), {e_.images, c_.guidance_width});
    pass_.dense(s_.guidance_projection, guidance, wave, {.residual = wave});
    pass_.barrier();
    pass_.give_input(guidance);
  }
  mlp(s_.time_embedding, wave, time_, {});
  embed_class(wave);
  pass_.give(wave);
  if (s_.added_embedding.first.present()) embed_added();
  pass_.activation(Activation::kSilu, time_);
}

void UNetWalk::waves(const float* values, const TensorView& wave) {
  pass_.fill(wave, [&](float* to) {
    for (int64_t i = 0; i < e_.images; ++i)
      sinusoids(values[i], wave.shape[1], c_.flip_sin_to_cos, c_.frequency_shift, to + i * wave.shape[1]);
  });
}

void UNetWalk::embed_class(const TensorView& wave) {
  switch (c_.class_embedding) {
    case ClassEmbedding::kNone: return;
    case ClassEmbedding::kTable:
      for (int64_t i = 0; in_ && i < e_.images; ++i)
        pass_.add_values(
            TensorView::contiguous(time_.as<float>() + i * c_.time_width(), DType::kF32, {c_.time_width()}),
            s_.class_table + in_->classes[static_cast<size_t>(i)] * c_.time_width());
      return;
    case ClassEmbedding::kTimestep:
      waves(in_ ? in_->class_vector.as<float>() : nullptr, wave);
      mlp(s_.class_embedding, wave, time_, time_);
      return;
    case ClassEmbedding::kProjection: {
      const TensorView vector =
          added_input(in_ ? in_->class_vector : TensorView(), {e_.images, c_.class_width});
      mlp(s_.class_embedding, vector, time_, time_);
      pass_.give_input(vector);
      return;
    }
  }
}

// SDXL: the pooled text, then the waves of all sizes.
void UNetWalk::embed_added() {
  const TensorView vector = pass_.take(DType::kF32, {e_.images, c_.added_width});
  pass_.fill(vector, [&](float* row) {
    const int64_t pooled = in_->pooled.shape[1], n_sizes = in_->sizes.shape[1], width = c_.added_time_width;
    for (int64_t i = 0; i < e_.images; ++i, row += c_.added_width) {
      std::memcpy(row, in_->pooled.as<float>() + i * pooled, static_cast<size_t>(pooled) * 4);
      for (int64_t j = 0; j < n_sizes; ++j)
        sinusoids(in_->sizes.as<float>()[i * n_sizes + j], width, c_.flip_sin_to_cos, c_.frequency_shift,
                  row + pooled + j * width);
    }
  });
  mlp(s_.added_embedding, vector, time_, time_);
  pass_.give(vector);
}

// x becomes what resnet j of the stage, and the transformer after it, make of x and skip.
void UNetWalk::block(const UNetStage& stage, size_t j, const TensorView& skip, TensorView* x) {
  TensorView y = resnet(pass_, stage.resnets[j], *x, skip, time_, s_.stored, s_.inner);
  if (x->data != skip.data) drop(*x);  // they are one where there is no middle
  if (!stage.transformers.empty()) attend(stage.transformers[j], &y);
  *x = y;
}

void UNetWalk::attend(const SpatialTransformer& transformer, TensorView* x) {
  const TensorView y =
      spatial_transformer(pass_, transformer, *x, context_, e_.n_context, s_.stored, s_.inner);
  pass_.give(*x);
  *x = y;
}

bool UNetWalk::down(const UNetStage& stage, TensorView* x) {
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

bool UNetWalk::middle(TensorView* x) {
  if (pass_.stopped()) return false;
  TensorView y = resnet(pass_, s_.mid_first, *x, {}, time_, s_.stored, s_.inner);
  drop(*x);
  if (!s_.mid_transformer.layers.empty()) attend(s_.mid_transformer, &y);
  if (pass_.stopped()) return false;
  *x = resnet(pass_, s_.mid_second, y, {}, time_, s_.stored, s_.inner);
  pass_.give(y);
  return true;
}

namespace {

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

std::string shape_of(const TensorView& view) {
  return shape_text(std::vector<int64_t>(view.shape, view.shape + view.rank));
}

}  // namespace

Status check_f32_view(const TensorView& view, const char* what, std::initializer_list<int64_t> shape) {
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

Status check_unet_inputs(const UNetConfig& c, const UNetInputs& in) {
  if (in.sample.rank != 4) return invalid("the UNet's sample is not [images, height, width, channels]");
  const int64_t n = in.sample.shape[0], h = in.sample.shape[1], w = in.sample.shape[2],
                own = in.sample.shape[3];
  if (Status s = check_f32_view(in.sample, "sample", {-1, -1, -1, in.extra.rank > 0 ? own : c.in_channels});
      !s.ok())
    return s;
  if (in.extra.rank > 0)
    if (Status s = check_f32_view(in.extra, "extra channels", {n, h, w, c.in_channels - own}); !s.ok())
      return s;
  if (Status s = check_f32_view(in.context, "context", {n, -1, c.context_width}); !s.ok()) return s;
  if (static_cast<int64_t>(in.timesteps.size()) != n)
    return invalid("the UNet wants a time step for each image")
        .expected(std::to_string(n))
        .got(std::to_string(in.timesteps.size()));
  if (c.added_time_width > 0) {
    if (Status s = check_f32_view(in.pooled, "pooled text", {n, -1}); !s.ok()) return s;
    if (Status s = check_f32_view(in.sizes, "sizes", {n, c.n_added_sizes(in.pooled.shape[1])}); !s.ok())
      return s;
    if (in.pooled.shape[1] + in.sizes.shape[1] * c.added_time_width != c.added_width)
      return invalid("the width of the UNet's pooled text leaves no whole number of sizes");
  }
  if (in.guidance.rank > 0) {
    if (c.guidance_width == 0) return invalid("this UNet takes no embedding of the guidance scale");
    if (Status s = check_f32_view(in.guidance, "guidance", {n, c.guidance_width}); !s.ok()) return s;
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
    if (Status s = check_f32_view(in.class_vector, "class", {n, width}); !s.ok()) return s;
  }
  return Status();
}

Status check_skip_views(const UNetConfig& c, const UNetExtent& extent, std::span<const TensorView> views,
                        const TensorView& mid) {
  size_t n_skips = 0;
  for (const UNetLevel& level : c.levels)
    n_skips += static_cast<size_t>(level.n_resnets) + 1;  // and the first, less the last downsampling
  if (views.size() != n_skips)
    return invalid("the control network does not fit the UNet")
        .expected(std::to_string(n_skips) + " residuals")
        .got(std::to_string(views.size()));
  const int64_t n = extent.images;
  int64_t h = extent.height, w = extent.width;
  size_t at = 0;
  const auto next = [&](int64_t channels) {
    return check_f32_view(views[at++], "residual", {n, h, w, channels});
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
  return check_f32_view(mid, "middle residual", {n, h, w, c.levels.back().channels});
}

std::vector<int64_t> pass_numbers(const UNetExtent& extent, const UNetInputs& inputs,
                                  std::span<const TensorView> skips, const TensorView& mid) {
  std::vector<int64_t> numbers = {extent.images, extent.height, extent.width, extent.n_context,
                                  inputs.guidance.rank};
  numbers.insert(numbers.end(), inputs.classes.begin(), inputs.classes.end());
  for (const TensorView& skip : skips) numbers.push_back(reinterpret_cast<intptr_t>(skip.data));
  numbers.push_back(mid.rank > 0 ? reinterpret_cast<intptr_t>(mid.data) : 0);
  return numbers;
}

}  // namespace weft
