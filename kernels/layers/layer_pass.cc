#include "kernels/layers/layer_pass.h"

#include <cassert>
#include <string>

#include "kernels/layers/tiled_norms.h"
#include "kernels/ops/gemm/quantized_gemm.h"
#include "kernels/ops/group_norm/group_norm.h"
#include "kernels/quant/half.h"

namespace weft {

Status LayerPass::check_workspace(std::span<const std::byte> workspace, int64_t needed,
                                  std::string_view whose) {
  if (static_cast<int64_t>(workspace.size()) >= needed &&
      reinterpret_cast<uintptr_t>(workspace.data()) % 64 == 0)
    return Status();
  return Status(StatusCode::kOutOfMemory,
                std::string(whose) + " workspace is too small or not aligned to 64 bytes")
      .expected(std::to_string(needed) + " bytes")
      .got(std::to_string(workspace.size()));
}

LayerPass::LayerPass(Team team, Shared& shared)
    : team_(team),
      shared_(&shared),
      thread_(team.thread()),
      n_threads_(team.n_threads()),
      max_threads_(shared.max_threads),
      arena_(shared.workspace),
      products_scratch_(arena_.take(gemm_scratch_bytes(max_threads_))),
      since_(std::chrono::steady_clock::now()) {}

LayerPass::LayerPass(uint32_t n_threads)
    : n_threads_(n_threads),
      max_threads_(n_threads),
      products_scratch_(arena_.take(gemm_scratch_bytes(n_threads))) {}

TensorView LayerPass::take(DType dtype, std::initializer_list<int64_t> shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return TensorView::contiguous(arena_.take(count * size_bytes(dtype)), dtype, shape);
}

// What runs from now on counts as `kind`.
void LayerPass::clock(double LayerTimes::*kind) {
  if (!shared_->times || thread_ != 0) return;
  const auto now = std::chrono::steady_clock::now();
  shared_->times->*running_ += std::chrono::duration<double>(now - since_).count();
  since_ = now;
  running_ = kind;
}

void LayerPass::barrier() {
  if (measures() || on_device_) return;
  team_->barrier();
  clock(&LayerTimes::other);
}

bool LayerPass::stopped() {
  if (measures()) return false;
  if (on_device_) {
    if (device_->stop.requested && device_->stop.requested(device_->stop.context)) device_->stopped = true;
    return device_->stopped || !device_->status.ok();
  }
  if (thread_ == 0 && shared_->stop.requested && shared_->stop.requested(shared_->stop.context))
    shared_->stopped.store(true, std::memory_order_relaxed);
  team_->barrier();  // and at least one more, of a layer, before the next question
  return shared_->stopped.load(std::memory_order_relaxed);
}

void LayerPass::dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
                      const DenseOptions& options) {
  if (on_device_) return device_dense(layer, x, y, options);
  if (layer.is_quantized()) return quantized_dense(layer, x, y, options);
  if (measures()) return;
  clock(&LayerTimes::dense);
  Gemm g;
  g.a = x;
  g.w = layer.w;
  g.bias = layer.bias;
  g.activation = options.activation;
  g.residual = options.residual;
  g.c = y;
  g.scratch = products_scratch_;
  assert(check_gemm(g).ok());
  gemm_share(g, thread_, n_threads_, shared_->level);
}

void LayerPass::quantized_dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
                                const DenseOptions& options) {
  void* scratch = arena_.take(quantized_gemm_scratch_bytes(y.shape[0], layer.w.shape.n, layer.w.shape.k));
  if (!measures()) {
    clock(&LayerTimes::dense);
    QuantizedGemm g;
    g.a = x;
    g.parts = {layer.parts, static_cast<size_t>(layer.n_parts)};
    g.pairing = layer.w.shape.pairing;
    g.bias = layer.bias;
    g.activation = options.activation;
    g.residual = options.residual;
    g.c = y;
    g.scratch = static_cast<std::byte*>(scratch);
    g.work = &shared_->work;
    quantized_gemm_team(g, *team_, shared_->level);
  }
  arena_.give(scratch);
}

void LayerPass::convolution(const ConvolutionLayer& layer, const TensorView& x, const TensorView& y,
                            const ConvolutionOptions& options) {
  if (on_device_) return device_convolution(layer, x, y, options);
  if (measures()) return;
  clock(&LayerTimes::convolution);
  Convolution c;
  c.x = x;
  c.skip = options.skip;
  c.in_scale = options.in_scale;
  c.in_shift = options.in_shift;
  c.in_activation = options.in_activation;
  c.upsample = options.upsample;
  c.w = layer.w;
  c.stride = options.stride;
  c.pad_top = c.pad_left = options.pad_before;
  c.pad_bottom = c.pad_right = options.pad_after;
  c.bias = layer.bias;
  c.image_bias = options.image_bias;
  c.activation = options.activation;
  c.residual = options.residual;
  c.y = y;
  c.scratch = products_scratch_;
  assert(check_convolution(c).ok());
  convolution_share(c, thread_, n_threads_, shared_->level);
}

ScaleShift LayerPass::group_norm(const GroupNormLayer& layer, const TensorView& x, const TensorView& skip) {
  const int64_t channels = x.shape[3] + (skip.rank > 0 ? skip.shape[3] : 0);
  float* scale = take_floats(x.shape[0] * channels);
  float* shift = take_floats(x.shape[0] * channels);
  if (measures() && !on_device_) return {scale, shift};
  const GroupNorm g = {.x = x,
                       .skip = skip,
                       .groups = layer.groups,
                       .epsilon = layer.epsilon,
                       .weight = layer.weight,
                       .bias = layer.bias,
                       .scale = scale,
                       .shift = shift};
  if (on_device_) {
    if (tiled_norms_) device_tiled_group_norm(g);
    else device_group_norm(g);
    return {scale, shift};
  }
  clock(&LayerTimes::norm);
  assert(check_group_norm(g).ok());
  if (tiled_norms_) {
    tiled_group_norm(g);
  } else {
    group_norm_moments_share(g, thread_, n_threads_, shared_->level);
    team_->barrier();
    group_norm_scale_share(g, thread_, n_threads_);
  }
  barrier();
  return {scale, shift};
}

// One thread joins the tile's moments to the image's and turns those into scale and shift: a few thousand numbers.
void LayerPass::tiled_group_norm(const GroupNorm& g) {
  const GroupNorm core = tiled_norms_->of_core(g);
  group_norm_moments_share(core, thread_, n_threads_, shared_->level);
  team_->barrier();
  if (thread_ == 0) group_norm_scale_share(tiled_norms_->join(n_norms_, core), 0, 1);
  ++n_norms_;
}

void LayerPass::layer_norm(const Norm& layer, const TensorView& x, const TensorView& y) {
  if (on_device_) return device_layer_norm(layer, x, y);
  if (measures()) return;
  clock(&LayerTimes::norm);
  layer_norm_rows(layer, x, y, begin(x.shape[0]), end(x.shape[0]), shared_->level);
}

void LayerPass::attention(const DenseAttention& a) {
  if (on_device_) return device_attention(a);
  void* scratch = arena_.take(dense_attention_scratch_bytes(a.head_dim, max_threads_));
  if (!measures()) {
    clock(&LayerTimes::attention);
    dense_attention_share(a, scratch, thread_, n_threads_, shared_->level);
    barrier();
  }
  arena_.give(scratch);
}

void LayerPass::mean(const TensorView& x, const TensorView& y) {
  if (on_device_) return device_mean(x, y);
  if (measures()) return;
  const int64_t rows = x.shape[1];
  for (int64_t b = begin(x.shape[0]); b < end(x.shape[0]); ++b) {
    const float* from = x.as<const float>() + b * x.strides[0];
    for (int64_t i = 0; i < x.shape[2]; ++i) {
      double sum = 0;
      for (int64_t r = 0; r < rows; ++r) sum += from[r * x.strides[1] + i];
      y.as<float>()[b * y.strides[0] + i] = static_cast<float>(sum / static_cast<double>(rows));
    }
  }
}

void LayerPass::copy_result(const TensorView& view, const TensorView& of_host) {
  if (on_device_) device_copy_result(view, of_host);
  else copy_rows(view, of_host);
}

void LayerPass::copy(const TensorView& from, const TensorView& to) {
  if (on_device_) device_copy(from, to);
  else copy_rows(from, to);
}

void LayerPass::copy_in(const TensorView& from, const TensorView& to) {
  if (is_graph()) device_->before.push_back({from, to});
  else copy(from, to);
}

void LayerPass::copy_out(const TensorView& from, const TensorView& to) {
  if (is_graph()) device_->after.push_back({from, to});
  else copy(from, to);
}

// Threads take rows, or their parts of the only one.
void LayerPass::copy_rows(const TensorView& from, const TensorView& to) {
  if (measures()) return;
  const AdjacentRows source = adjacent_rows(from), target = adjacent_rows(to);
  const auto copy_bytes = [&](int64_t row, int64_t first, int64_t last) {
    std::memcpy(to.as<std::byte>() + row * target.stride_bytes + first,
                from.as<std::byte>() + row * source.stride_bytes + first, static_cast<size_t>(last - first));
  };
  if (source.count == 1) {
    copy_bytes(0, begin(source.size_bytes), end(source.size_bytes));
  } else {
    for (int64_t row = begin(source.count); row < end(source.count); ++row)
      copy_bytes(row, 0, source.size_bytes);
  }
  barrier();
}

void LayerPass::activation(Activation f, const TensorView& x) {
  if (on_device_) return device_activation(f, x);
  if (measures()) return;
  const int64_t first = begin(x.count()), last = end(x.count());
  activate(f, x.as<float>() + first, last - first, level());
  barrier();
}

void LayerPass::soft_cap(float cap, const TensorView& x) {
  if (on_device_) return device_soft_cap(cap, x);
  if (measures()) return;
  const int64_t first = begin(x.count()), last = end(x.count());
  weft::soft_cap(cap, x.as<float>() + first, last - first, level());
  barrier();
}

void LayerPass::affine(float scale, float shift, const TensorView& x) {
  if (on_device_) return device_affine(scale, shift, x);
  if (measures()) return;
  float* values = x.as<float>();
  for (int64_t i = begin(x.count()); i < end(x.count()); ++i) values[i] = scale * values[i] + shift;
  barrier();
}

void LayerPass::add_values(const TensorView& x, const float* y) {
  if (on_device_) return device_add_values(x, y);
  if (measures()) return;
  const int64_t first = begin(x.count()), last = end(x.count());
  if (x.dtype == DType::kF32) {
    add(x.as<float>() + first, y + first, last - first, level());
  } else {
    assert(x.dtype == DType::kBF16);
    uint16_t* values = x.as<uint16_t>();
    for (int64_t i = first; i < last; ++i) values[i] = bf16_bits(f32_from_bf16_bits(values[i]) + y[i]);
  }
  barrier();
}

AdjacentRows adjacent_rows(const TensorView& view) {
  const int64_t size = size_bytes(view.dtype);
  if (view.rank != 4 || view.shape[0] != 1) return {1, view.count() * size, 0};
  return {view.shape[1], view.shape[2] * view.shape[3] * size, view.strides[1] * size};
}

TensorView as_rows(const TensorView& images) {
  TensorView rows = TensorView::contiguous(
      images.data, images.dtype, {images.shape[0] * images.shape[1] * images.shape[2], images.shape[3]});
  rows.strides[0] = images.strides[2];
  return rows;
}

}  // namespace weft
