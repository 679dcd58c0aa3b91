// The forward pass: one team of threads walks all layers together; see kernels/layers/layer_pass.h.
#include <cstring>

#include "kernels/networks/clip_vision/clip_vision_state.h"

namespace weft {
namespace {

// One thread's way through the pass, or the measure of its memory.
class Walker {
 public:
  Walker(const ClipVision::State& state, LayerPass& pass, int64_t n_images, const TensorView* images,
         const ClipVisionOutputs* outputs)
      : s_(state),
        c_(state.config),
        pass_(pass),
        n_(n_images),
        tokens_(state.config.n_tokens()),
        images_(images),
        out_(outputs) {}

  void walk() {
    x_ = pass_.take(DType::kF32, {n_ * tokens_, c_.width});
    embed();
    for (const EncoderLayer& layer : s_.layers) {
      if (pass_.stopped()) return;
      encoder_layer(pass_, layer, s_.shape, x_, {.count = n_, .tokens = tokens_}, s_.compute);
    }
    if (out_ && out_->hidden) {
      const int64_t begin = pass_.begin(n_ * tokens_) * c_.width, end = pass_.end(n_ * tokens_) * c_.width;
      std::memcpy(out_->hidden + begin, x_.as<float>() + begin, static_cast<size_t>(end - begin) * 4);
    }
    if (!out_ || out_->pooled) write_pooled();
    pass_.give(x_);
  }

 private:
  // The patches' rows, each image's behind its class token's.
  TensorView patch_rows() const {
    const int64_t side = c_.patches_a_side();
    TensorView rows =
        TensorView::contiguous(x_.as<float>() + c_.width, DType::kF32, {n_, side, side, c_.width});
    rows.strides[0] = tokens_ * c_.width;
    return rows;
  }

  void embed() {
    if (pass_.measures()) return;
    pass_.convolution(s_.patches, *images_, patch_rows(), {.stride = c_.patch_size});
    pass_.barrier();
    const int64_t width = c_.width;
    for (int64_t r = pass_.begin(n_ * tokens_); r < pass_.end(n_ * tokens_); ++r) {
      float* x = x_.as<float>() + r * width;
      if (r % tokens_ == 0) std::memcpy(x, s_.class_embedding, static_cast<size_t>(width) * 4);
      add(x, s_.position_embedding + r % tokens_ * width, width, pass_.level());
      norm_rows(s_.first_norm, x, width, x, width, 1, width, pass_.level());
    }
    pass_.barrier();
  }

  // The class tokens, normed and projected.
  void write_pooled() {
    const TensorView normed = pass_.take(DType::kF32, {n_, c_.width});
    float* pooled = out_ ? out_->pooled : nullptr;
    const bool projects = s_.projection.present();
    TensorView first = TensorView::contiguous(x_.data, DType::kF32, {n_, c_.width});
    first.strides[0] = tokens_ * c_.width;
    pass_.layer_norm(s_.last_norm, first,
                     projects ? normed : TensorView::contiguous(pooled, DType::kF32, {n_, c_.width}));
    pass_.barrier();
    if (projects)
      pass_.dense(s_.projection, normed,
                  TensorView::contiguous(pooled, DType::kF32, {n_, c_.projection_width}));
    pass_.barrier();
    pass_.give(normed);
  }

  const ClipVision::State& s_;
  const ClipVisionConfig& c_;
  LayerPass& pass_;
  int64_t n_, tokens_;
  const TensorView* images_;      // null: measures
  const ClipVisionOutputs* out_;  // null: measures
  TensorView x_;                  // [n * tokens, width] f32, the residual connection
};

Status check_images(const ClipVisionConfig& c, const TensorView& images) {
  if (images.dtype != DType::kF32)
    return Status(StatusCode::kUnsupported, "an image encoder reads pictures in f32");
  if (!images.data || images.rank != 4 || images.shape[0] < 1 || images.shape[1] != c.image_size ||
      images.shape[2] != c.image_size || images.shape[3] != 3)
    return Status(StatusCode::kInvalidShape, "an image encoder wants pictures of one size")
        .expected("[n, " + std::to_string(c.image_size) + ", " + std::to_string(c.image_size) + ", 3]");
  return Status();
}

}  // namespace

int64_t ClipVision::workspace_bytes(int64_t n_images, uint32_t n_threads) const {
  return LayerPass::measure(
      n_threads, [&](LayerPass& pass) { Walker(*state_, pass, n_images, nullptr, nullptr).walk(); });
}

Status ClipVision::forward(const TensorView& images, const ClipVisionOutputs& outputs,
                           std::span<std::byte> workspace, Executor executor, const StopRequest& stop,
                           LayerTimes* times) const {
  if (!state_->loaded)
    return Status(StatusCode::kInvalidArgument, "the image encoder's weights are not loaded");
  if (Status valid = check_images(state_->config, images); !valid.ok()) return valid;
  const int64_t needed = workspace_bytes(images.shape[0], executor.max_threads());
  return LayerPass::run(
      workspace, needed, "the image encoder's", executor, stop, times,
      [&](LayerPass& pass) { Walker(*state_, pass, images.shape[0], &images, &outputs).walk(); });
}

}  // namespace weft
