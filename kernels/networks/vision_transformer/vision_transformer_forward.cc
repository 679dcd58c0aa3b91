// The forward pass: one team of threads walks all layers together; see kernels/layers/layer_pass.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/networks/vision_transformer/vision_transformer_state.h"

namespace weft {
namespace {

// The places among `from` that place i of `to` is made of, as PyTorch interpolates linearly with antialias: the further apart
// the new places are, the more old ones each is a mean of.
struct LinearPlace {
  double center, support, sum = 0;
  int64_t first, last;

  LinearPlace(int64_t i, int64_t to, int64_t from) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    support = std::max(scale, 1.0);
    center = (static_cast<double>(i) + 0.5) * scale - 0.5;
    first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(center - support)));
    last = std::min(from - 1, static_cast<int64_t>(std::floor(center + support)));
    for (int64_t k = first; k <= last; ++k) sum += height(k);
  }
  double height(int64_t k) const {
    return std::max(0.0, 1 - std::abs(static_cast<double>(k) - center) / support);
  }
  double weight(int64_t k) const { return height(k) / sum; }
};

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  /// Measures.
  Walker(const VisionTransformer::State& state, LayerPass& pass, int64_t n_images)
      : s_(state),
        c_(state.config),
        pass_(pass),
        n_(n_images),
        tokens_(state.config.n_tokens()),
        rows_(n_images * tokens_) {}
  /// Of pictures of one size.
  Walker(const VisionTransformer::State& state, LayerPass& pass, const TensorView& images,
         const VisionTransformerOutputs& outputs)
      : s_(state),
        c_(state.config),
        pass_(pass),
        n_(images.shape[0]),
        tokens_(state.config.n_tokens()),
        rows_(n_ * tokens_),
        images_(&images),
        out_(&outputs) {}
  /// Of pictures that keep their shapes.
  Walker(const VisionTransformer::State& state, LayerPass& pass, const PatchedPictures& pictures,
         const VisionTransformerOutputs& outputs)
      : s_(state),
        c_(state.config),
        pass_(pass),
        n_(static_cast<int64_t>(pictures.grids.size())),
        tokens_(0),
        rows_(pictures.starts.back()),
        patched_(&pictures),
        out_(&outputs) {}

  void walk() {
    x_ = pass_.take(DType::kF32, {rows_, c_.width});
    if (c_.keeps_shapes()) embed_patches();
    else embed();
    const EncoderSequences sequences{n_, tokens_, patched_ ? patched_->starts.data() : nullptr};
    for (const EncoderLayer& layer : s_.layers) {
      if (pass_.stopped()) return;
      encoder_layer(pass_, layer, s_.shape, x_, sequences, s_.compute);
    }
    if (c_.norms_hidden) {
      pass_.layer_norm(s_.last_norm, x_, x_);
      pass_.barrier();
    }
    if (!out_ || out_->hidden) pass_.copy_result(x_, of_host(out_ ? out_->hidden : nullptr, rows_, c_.width));
    if (out_ && out_->hidden_on_device) leave_hidden();
    if (!out_ || out_->pooled) {
      if (c_.pooling == PicturePooling::kAttention) pool_by_attention();
      if (c_.pooling == PicturePooling::kClassToken) pool_class_token();
    }
    if (s_.classifier.present() && (!out_ || out_->classes)) classify();
    pass_.give(x_);
  }

 private:
  // The patches' rows, each image's behind its class token's.
  TensorView patch_rows() const {
    const int64_t side = c_.patches_a_side();
    TensorView rows = TensorView::contiguous(x_.as<float>() + c_.n_class_tokens() * c_.width, DType::kF32,
                                             {n_, side, side, c_.width});
    rows.strides[0] = tokens_ * c_.width;
    return rows;
  }
  TensorView class_rows() const {
    TensorView rows = TensorView::contiguous(x_.data, DType::kF32, {n_, c_.width});
    rows.strides[0] = tokens_ * c_.width;
    return rows;
  }
  // `count` rows of each image, from `first` on.
  TensorView rows_of_images(int64_t first, int64_t count) const {
    TensorView rows =
        TensorView::contiguous(x_.as<float>() + first * c_.width, DType::kF32, {n_, count, c_.width});
    rows.strides[0] = tokens_ * c_.width;
    return rows;
  }
  static TensorView of_host(const float* values, int64_t rows, int64_t width) {
    return TensorView::contiguous(values, DType::kF32, {rows, width});
  }

  // The states where the next network on the device reads them.
  void leave_hidden() {
    const auto image_of = [&](const void* rows) {
      return TensorView::contiguous(rows, DType::kF32, {1, 1, rows_, c_.width});
    };
    pass_.copy(image_of(x_.data), image_of(out_->hidden_on_device));
  }

  // Patches, and behind them the class token, become a table from which a look-up takes each image's rows and adds positions.
  void embed_on_device() {
    const int64_t side = c_.patches_a_side(), patches = side * side, width = c_.width;
    std::vector<int32_t> rows, places;
    for (int64_t r = 0; r < n_ * tokens_; ++r) {
      const int64_t place = r % tokens_, patch = place - c_.n_class_tokens();
      rows.push_back(static_cast<int32_t>(patch < 0 ? n_ * patches : r / tokens_ * patches + patch));
      places.push_back(static_cast<int32_t>(place));
    }
    const TensorView table = pass_.take(DType::kF32, {n_ * patches + c_.n_class_tokens(), width});
    const TensorView pictures = pass_.input(TensorView::contiguous(
        images_ ? images_->data : nullptr, DType::kF32, {n_, c_.image_size, c_.image_size, 3}));
    pass_.convolution(s_.patches, pictures,
                      TensorView::contiguous(table.data, DType::kF32, {n_, side, side, width}),
                      {.stride = c_.patch_size});
    pass_.give_input(pictures);
    if (c_.has_class_token)
      pass_.mean(TensorView::contiguous(s_.class_embedding, DType::kF32, {1, 1, width}),
                 of_host(table.as<float>() + n_ * patches * width, 1, width));
    const TensorView of_rows = pass_.input(TensorView::contiguous(rows.data(), DType::kI32, {n_ * tokens_})),
                     of_places =
                         pass_.input(TensorView::contiguous(places.data(), DType::kI32, {n_ * tokens_}));
    pass_.look_up({WeightFormat::kF32, table.data, table.shape[0], width}, of_rows, x_, s_.positions,
                  of_places);
    if (c_.norms_embeddings) pass_.layer_norm(s_.first_norm, x_, x_);
    for (const TensorView& buffer : {of_places, of_rows}) pass_.give_input(buffer);
    pass_.give(table);
  }

  void embed() {
    if (pass_.on_device()) return embed_on_device();
    if (pass_.measures()) return;
    pass_.convolution(s_.patches, *images_, patch_rows(), {.stride = c_.patch_size});
    pass_.barrier();
    const int64_t width = c_.width;
    for (int64_t r = pass_.begin(n_ * tokens_); r < pass_.end(n_ * tokens_); ++r) {
      float* x = x_.as<float>() + r * width;
      if (c_.has_class_token && r % tokens_ == 0)
        std::memcpy(x, s_.class_embedding, static_cast<size_t>(width) * 4);
      add(x, s_.positions + r % tokens_ * width, width, pass_.level());
      if (c_.norms_embeddings) norm_rows(s_.first_norm, x, width, x, width, 1, width, pass_.level());
    }
    pass_.barrier();
  }

  // Positions are made on the host, and added as a residual of the product.
  void embed_patches_on_device() {
    const TensorView patches = pass_.input(TensorView::contiguous(patched_ ? patched_->patches.data : nullptr,
                                                                  DType::kF32, {rows_, c_.patch_values()}));
    const TensorView positions = pass_.take(DType::kF32, {rows_, c_.width});
    pass_.fill(positions, [&](float* to) {
      std::fill_n(to, rows_ * c_.width, 0.0f);
      for (size_t i = 0; i < patched_->grids.size(); ++i)
        for (int64_t patch = 0; patch < patched_->grids[i].count(); ++patch)
          add_position(patched_->grids[i], patch, to + (patched_->starts[i] + patch) * c_.width);
    });
    pass_.dense(s_.patch_rows, patches, x_, {.residual = positions});
    pass_.give(positions);
    pass_.give_input(patches);
  }

  void embed_patches() {
    if (pass_.on_device()) return embed_patches_on_device();
    if (pass_.measures()) return;
    pass_.dense(s_.patch_rows, patched_->patches, x_);
    pass_.barrier();
    const int64_t begin = pass_.begin(rows_), end = pass_.end(rows_);
    for (size_t i = 0; i < patched_->grids.size(); ++i) {
      const int64_t first = patched_->starts[i], last = patched_->starts[i + 1];
      for (int64_t r = std::max(begin, first); r < std::min(end, last); ++r)
        add_position(patched_->grids[i], r - first, x_.as<float>() + r * c_.width);
    }
    pass_.barrier();
  }

  // The position of a patch, out of the table that is resized to the picture's grid.
  void add_position(const PatchGrid& grid, int64_t patch, float* x) const {
    const int64_t side = c_.trained_patches_a_side, width = c_.width;
    const LinearPlace row(patch / grid.columns, grid.rows, side),
        column(patch % grid.columns, grid.columns, side);
    for (int64_t r = row.first; r <= row.last; ++r)
      for (int64_t k = column.first; k <= column.last; ++k) {
        const float* position = s_.host_positions + (r * side + k) * width;
        const auto weight = static_cast<float>(row.weight(r) * column.weight(k));
        for (int64_t i = 0; i < width; ++i) x[i] += weight * position[i];
      }
  }

  // The class tokens, normed and projected.
  void pool_class_token() {
    const bool projects = s_.projection.present();
    const TensorView normed = pass_.take(DType::kF32, {n_, c_.width});
    const TensorView vectors = of_host(out_ ? out_->pooled : nullptr, n_, c_.pooled_width());
    const TensorView pooled = pass_.result(vectors);
    const TensorView first = projects ? normed : pooled;
    if (c_.norms_hidden) pass_.mean(rows_of_images(0, 1), first);
    else pass_.layer_norm(s_.last_norm, class_rows(), first);
    pass_.barrier();
    if (projects) pass_.dense(s_.projection, normed, pooled);
    pass_.barrier();
    pass_.give_result(pooled, vectors);
    pass_.give(normed);
  }

  // One learned query looks at all tokens; then an MLP.
  void pool_by_attention() {
    const int64_t c = c_.width;
    const TensorView keys = pass_.take(s_.compute, {rows_, 2 * c});
    const TensorView query = pass_.take(s_.compute, {1, c});
    const TensorView found = pass_.take(s_.compute, {n_, c});
    const TensorView sum = pass_.take(DType::kF32, {n_, c});
    const TensorView wide = pass_.take(s_.compute, {n_, c_.mlp_width});
    const TensorView vectors = of_host(out_ ? out_->pooled : nullptr, n_, c);
    const TensorView pooled = pass_.result(vectors);
    pass_.dense(s_.head_query, of_host(s_.query, 1, c), query);
    pass_.dense(s_.head_key_value, x_, keys);
    pass_.barrier();
    DenseAttention a;
    a.batch = n_;
    a.n_queries = 1;
    a.n_keys = tokens_;
    a.n_heads = c_.n_heads;
    a.head_dim = c / c_.n_heads;
    a.dtype = keys.dtype;
    a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
    a.q = {query.data, c, 0};
    a.k = {keys.data, 2 * c, tokens_ * 2 * c};
    a.v = {keys.as<const char>() + c * size_bytes(keys.dtype), 2 * c, tokens_ * 2 * c};
    a.y = {found.data, c, c};
    if (patched_) attend_to_each(a);
    else pass_.attention(a);
    pass_.dense(s_.head_out, found, sum);
    pass_.barrier();
    pass_.layer_norm(s_.head_norm, sum, found);
    pass_.barrier();
    pass_.dense(s_.head_up, found, wide, {.activation = c_.activation});
    pass_.barrier();
    pass_.dense(s_.head_down, wide, pooled, {.residual = sum});
    pass_.barrier();
    pass_.give_result(pooled, vectors);
    for (const TensorView& buffer : {wide, sum, found, query, keys}) pass_.give(buffer);
  }

  // Attention to as many keys as each picture has patches.
  void attend_to_each(const DenseAttention& all) const {
    const auto behind = [&](const HeadsView& view, int64_t row) {
      HeadsView moved = view;
      moved.data = static_cast<const char*>(view.data) + row * view.token_stride * size_bytes(all.dtype);
      return moved;
    };
    for (size_t i = 0; i < patched_->grids.size(); ++i) {
      DenseAttention one = all;
      one.batch = 1;
      one.n_keys = patched_->grids[i].count();
      one.k = behind(all.k, patched_->starts[i]);
      one.v = behind(all.v, patched_->starts[i]);
      one.y = behind(all.y, static_cast<int64_t>(i));
      pass_.attention(one);
    }
  }

  // Logits of classes; states are normed already.
  void classify() {
    const bool mean = c_.classifier == ClassifierInput::kClassTokenAndMean;
    const int64_t width = c_.width, k = mean ? 2 * width : width;
    const TensorView read = pass_.take(DType::kF32, {n_, k});
    TensorView half = read;
    half.shape[1] = width;
    pass_.mean(rows_of_images(0, 1), half);
    half.data = read.as<float>() + width;
    if (mean) pass_.mean(rows_of_images(1, tokens_ - 1), half);
    pass_.barrier();
    const TensorView logits = of_host(out_ ? out_->classes : nullptr, n_, c_.n_classes);
    const TensorView classes = pass_.result(logits);
    pass_.dense(s_.classifier, read, classes);
    pass_.barrier();
    pass_.give_result(classes, logits);
    pass_.give(read);
  }

  const VisionTransformer::State& s_;
  const VisionTransformerConfig& c_;
  LayerPass& pass_;
  int64_t n_, tokens_, rows_;  // tokens_: of each picture, where they are of one size
  // All null where it measures; else one kind of pictures.
  const TensorView* images_ = nullptr;
  const PatchedPictures* patched_ = nullptr;
  const VisionTransformerOutputs* out_ = nullptr;
  TensorView x_;  // [rows, width] f32, the residual connection
};

Status check_images(const VisionTransformerConfig& c, const TensorView& images) {
  if (images.dtype != DType::kF32)
    return Status(StatusCode::kUnsupported, "an image encoder reads pictures in f32");
  if (c.keeps_shapes() || !images.data || images.rank != 4 || images.shape[0] < 1 ||
      images.shape[1] != c.image_size || images.shape[2] != c.image_size || images.shape[3] != 3)
    return Status(StatusCode::kInvalidShape, "an image encoder wants pictures of one size")
        .expected("[n, " + std::to_string(c.image_size) + ", " + std::to_string(c.image_size) + ", 3]");
  return Status();
}

Status check_patches(const VisionTransformerConfig& c, const PatchedPictures& pictures) {
  if (pictures.patches.dtype != DType::kF32)
    return Status(StatusCode::kUnsupported, "an image encoder reads patches in f32");
  const auto& [patches, grids, starts] = pictures;
  bool fit = c.keeps_shapes() && !grids.empty() && starts.size() == grids.size() + 1 && starts[0] == 0;
  for (size_t i = 0; fit && i < grids.size(); ++i)
    fit = grids[i].rows >= 1 && grids[i].columns >= 1 && grids[i].rows <= c.max_patches &&
          grids[i].columns <= c.max_patches && grids[i].count() <= c.max_patches &&
          starts[i + 1] - starts[i] == grids[i].count();
  fit = fit && patches.data && patches.rank == 2 && patches.shape[0] == starts.back() &&
        patches.shape[1] == c.patch_values();
  if (fit) return Status();
  return Status(StatusCode::kInvalidShape, "an image encoder wants the patches of each picture's grid")
      .expected("[patches, " + std::to_string(c.patch_values()) + "], at most " +
                std::to_string(c.max_patches) + " of a picture");
}

Status not_on_device() {
  return Status(StatusCode::kInvalidArgument, "the image encoder's weights are not loaded on a device");
}

// Of a pass on a device.
std::vector<int64_t> numbers_of(int64_t n_images, const VisionTransformerOutputs& outputs) {
  return {n_images, outputs.hidden != nullptr, outputs.pooled != nullptr, outputs.classes != nullptr,
          reinterpret_cast<intptr_t>(outputs.hidden_on_device)};
}

}  // namespace

int64_t VisionTransformer::workspace_bytes(int64_t n_images, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, [&](LayerPass& pass) { Walker(*state_, pass, n_images).walk(); });
}

Status VisionTransformer::forward(const TensorView& images, const VisionTransformerOutputs& outputs,
                                  std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
                                  LayerTimes* times) const {
  if (!state_->weights.on_host())
    return Status(StatusCode::kInvalidArgument, "the image encoder's weights are not loaded");
  if (Status valid = check_images(state_->config, images); !valid.ok()) return valid;
  const int64_t needed = workspace_bytes(images.shape[0], executor.max_threads());
  return LayerPass::run(workspace, needed, "the image encoder's", executor, stop, times,
                        [&](LayerPass& pass) { Walker(*state_, pass, images, outputs).walk(); });
}

Status VisionTransformer::forward_patches(const PatchedPictures& pictures,
                                          const VisionTransformerOutputs& outputs,
                                          std::span<std::byte> workspace, Executor executor,
                                          const StopRequest& stop, LayerTimes* times) const {
  if (!state_->weights.on_host())
    return Status(StatusCode::kInvalidArgument, "the image encoder's weights are not loaded");
  if (Status valid = check_patches(state_->config, pictures); !valid.ok()) return valid;
  const int64_t needed = workspace_bytes(static_cast<int64_t>(pictures.grids.size()), executor.max_threads());
  return LayerPass::run(workspace, needed, "the image encoder's", executor, stop, times,
                        [&](LayerPass& pass) { Walker(*state_, pass, pictures, outputs).walk(); });
}

int64_t VisionTransformer::device_workspace_bytes(int64_t n_images) const {
  return LayerPass::measure_on_device([&](LayerPass& pass) { Walker(*state_, pass, n_images).walk(); })
      .workspace_bytes;
}

Status VisionTransformer::forward_on(DevicePasses& passes, const TensorView& images,
                                     const VisionTransformerOutputs& outputs, std::span<std::byte> workspace,
                                     const StopRequest& stop) const {
  if (!state_->weights.on_device()) return not_on_device();
  if (Status valid = check_images(state_->config, images); !valid.ok()) return valid;
  return passes.run(state_->weights.pass_shape("the image encoder's", numbers_of(images.shape[0], outputs)),
                    workspace, stop, [&](LayerPass& pass) { Walker(*state_, pass, images, outputs).walk(); });
}

Status VisionTransformer::forward_patches_on(DevicePasses& passes, const PatchedPictures& pictures,
                                             const VisionTransformerOutputs& outputs,
                                             std::span<std::byte> workspace, const StopRequest& stop) const {
  if (!state_->weights.on_device()) return not_on_device();
  if (Status valid = check_patches(state_->config, pictures); !valid.ok()) return valid;
  std::vector<int64_t> numbers = numbers_of(static_cast<int64_t>(pictures.grids.size()), outputs);
  for (const PatchGrid& grid : pictures.grids) numbers.insert(numbers.end(), {grid.rows, grid.columns});
  return passes.run(state_->weights.pass_shape("the image encoder's", std::move(numbers)), workspace, stop,
                    [&](LayerPass& pass) { Walker(*state_, pass, pictures, outputs).walk(); });
}

}  // namespace weft
