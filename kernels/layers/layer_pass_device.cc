// Layers of a pass on a device, as launches of its ops (kernels/device/ops.h).
#include <algorithm>
#include <cassert>
#include <cstring>

#include "kernels/device/ops.h"
#include "kernels/layers/layer_pass.h"
#include "kernels/layers/tiled_norms.h"
#include "kernels/ops/group_norm/group_norm.h"

namespace weft {
namespace {

Status unsupported(const std::string& what) {
  return Status(StatusCode::kUnsupported, what + " is not on devices; run it on the CPU");
}

bool lies_closely(const TensorView& view) {
  int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; stride *= view.shape[i--])
    if (view.strides[i] != stride && view.shape[i] != 1) return false;
  return true;
}

int64_t bytes_of(const TensorView& view) { return view.count() * size_bytes(view.dtype); }

/// x and its skip connection: images, or rows as images of one pixel row.
JoinedImages joined(const TensorView& x, const TensorView& skip) {
  JoinedImages in{.x = x.data, .skip = skip.rank > 0 ? skip.data : nullptr, .dtype = x.dtype};
  in.channels = x.shape[x.rank - 1];
  in.skip_channels = skip.rank > 0 ? skip.shape[skip.rank - 1] : 0;
  in.images = x.rank == 4 ? x.shape[0] : 1;
  in.pixels = in.images > 0 ? x.count() / (in.images * in.channels) : 0;
  return in;
}

/// A part of an image, [1, h, w, c]: its rows are images of one.
JoinedImages rows_of_window(const TensorView& x) {
  JoinedImages in{.x = x.data, .dtype = x.dtype, .images = x.shape[1], .pixels = x.shape[2]};
  in.channels = x.shape[3];
  in.image_stride = x.strides[1] / x.shape[3];
  return in;
}

}  // namespace

bool LayerPass::queues() const {
  return device_ != nullptr && device_->status.ok() && device_->layers != OnDevice::Layers::kInGraph;
}

void LayerPass::queued(Status status) {
  if (!status.ok() && device_->status.ok()) device_->status = std::move(status);
}

std::byte* LayerPass::staged(int64_t size_bytes) {
  constexpr int64_t kAlignment = 64;
  std::byte* const staging = device_ ? device_->staging + staged_bytes_ : nullptr;
  staged_bytes_ += (size_bytes + kAlignment - 1) / kAlignment * kAlignment;
  return staging;
}

void LayerPass::copy_from(const std::byte* staging, const TensorView& view) {
  if (queues())
    queued(device_->stream.copy_to_device(view.data, staging, static_cast<uint64_t>(bytes_of(view))));
}

TensorView LayerPass::input(const TensorView& of_host) {
  if (!on_device_) return of_host;
  assert(lies_closely(of_host));
  TensorView view = of_host;
  view.data = arena_.take(bytes_of(of_host));
  std::byte* const staging = staged(bytes_of(of_host));
  if (measures()) return view;
  std::memcpy(staging, of_host.data, static_cast<size_t>(bytes_of(of_host)));
  copy_from(staging, view);
  return view;
}

TensorView LayerPass::result(const TensorView& of_host) {
  if (!on_device_) return of_host;
  TensorView view = of_host;
  view.data = arena_.take(bytes_of(of_host));
  return view;
}

// Where rows lie apart, what is between them crosses too.
void LayerPass::device_copy_result(const TensorView& view, const TensorView& of_host) {
  const AdjacentRows from = adjacent_rows(view), to = adjacent_rows(of_host);
  const int64_t bytes = (from.count - 1) * from.stride_bytes + from.size_bytes;
  std::byte* const staging = staged(bytes);
  if (measures()) return;
  for (int64_t row = 0; row < from.count; ++row)
    device_->results.push_back({of_host.as<std::byte>() + row * to.stride_bytes,
                                staging + row * from.stride_bytes, static_cast<size_t>(from.size_bytes)});
  if (queues()) queued(device_->stream.copy_to_host(staging, view.data, static_cast<uint64_t>(bytes)));
}

void LayerPass::device_copy(const TensorView& from, const TensorView& to) {
  if (queues()) queued(queue_copy(device_->stream, {from, to}));
}

Status LayerPass::queue_copy(const DeviceStream& stream, const OnDevice::Copy& copy) {
  const TensorView& to = copy.to;
  return stream.device()->ops().scale_shift({.in = rows_of_window(copy.from),
                                             .y = to.data,
                                             .y_dtype = to.dtype,
                                             .y_channels = to.shape[3],
                                             .y_image_stride = to.strides[1] / to.shape[3]},
                                            stream);
}

/// What a product reads: x with its skip connection, scaled, activated, rounded and filled up to `channels`; x itself, where it
/// serves as it is.
TensorView LayerPass::prepared(const TensorView& x, const ConvolutionOptions& options, DType compute,
                               int64_t channels) {
  const JoinedImages in = joined(x, options.skip);
  const int64_t piece = device_depth(compute, 1);
  const bool serves = !options.in_scale && !options.in_activation && x.dtype == compute &&
                      in.channels % piece == 0 && in.skip_channels % piece == 0 &&
                      (in.skip_channels == 0 || options.skip.dtype == compute);
  if (serves) return x;
  TensorView y = x;
  y.dtype = compute;
  y.shape[y.rank - 1] = channels;
  for (int i = y.rank - 1, stride = 1; i >= 0; stride *= static_cast<int>(y.shape[i--]))
    y.strides[i] = stride;
  y.data = arena_.take(y.count() * size_bytes(compute));
  if (!queues()) return y;
  if (options.in_activation && *options.in_activation != Activation::kSilu)
    queued(unsupported("an activation other than SiLU before a convolution"));
  else if (!lies_closely(x) || (in.skip_channels > 0 && options.skip.dtype != x.dtype))
    queued(unsupported("an input with rows apart, or a skip connection of another type,"));
  else
    queued(device_->stream.device()->ops().scale_shift(
        {.in = in,
         .scale = options.in_scale,
         .shift = options.in_shift,
         .activation = options.in_activation ? ScaleShiftActivation::kSilu : ScaleShiftActivation::kNone,
         .y = y.data,
         .y_dtype = compute,
         .y_channels = channels},
        device_->stream));
  return y;
}

void LayerPass::give_prepared(const TensorView& view, const TensorView& x) {
  if (view.data != x.data || view.dtype != x.dtype) give(view);
}

void LayerPass::device_dense(const DenseLayer& layer, const TensorView& x, const TensorView& y,
                             const DenseOptions& options) {
  const GemmShape& shape = layer.w.shape;
  const TensorView a = prepared(x, {}, shape.compute, device_depth(shape.compute, shape.k));
  GemmCuda g{.dtype = shape.compute,
             .a = a.data,
             .w = layer.w.data,
             .bias = layer.bias,
             .activation = options.activation,
             .paired = shape.pairing == GemmPairing::kValueGate,
             .c_dtype = y.dtype,
             .residual = options.residual.rank > 0 ? options.residual.data : nullptr,
             .c = y.data,
             .m = a.shape[0],
             .n = shape.n,
             .k = a.shape[1],
             .a_stride = a.strides[0],
             .residual_stride = options.residual.rank > 0 ? options.residual.strides[0] : 0,
             .c_stride = y.strides[0]};
  g.workspace = take_floats(gemm_cuda_workspace(g));
  if (queues()) {
    if (options.residual.rank > 0 && options.residual.dtype != y.dtype)
      queued(unsupported("a residual of another type"));
    else queued(device_->stream.device()->ops().gemm(g, device_->stream));
  }
  give(g.workspace);
  give_prepared(a, x);
}

void LayerPass::device_convolution(const ConvolutionLayer& layer, const TensorView& x, const TensorView& y,
                                   const ConvolutionOptions& options) {
  const ConvolutionShape& shape = layer.w.shape;
  const TensorView u = prepared(x, options, shape.compute, device_depth(shape.compute, shape.in_channels));
  const bool joins = options.skip.rank > 0 && u.data == x.data;
  const bool repeats = options.upsample == Upsample::kNearest2x;
  ConvolutionCuda c{.dtype = shape.compute,
                    .x = u.data,
                    .skip = joins ? options.skip.data : nullptr,
                    .images = u.shape[0],
                    .h = u.shape[1],
                    .w = u.shape[2],
                    .channels = u.shape[3],
                    .skip_channels = joins ? options.skip.shape[3] : 0,
                    .repeated_h = repeats ? y.shape[1] : 0,
                    .repeated_w = repeats ? y.shape[2] : 0,
                    .weights = layer.w.data,
                    .out_channels = shape.out_channels,
                    .kernel_h = shape.kernel_h,
                    .kernel_w = shape.kernel_w,
                    .stride = options.stride,
                    .pad_top = options.pad_before,
                    .pad_left = options.pad_before,
                    .out_h = y.shape[1],
                    .out_w = y.shape[2],
                    .bias = layer.bias,
                    .image_bias = options.image_bias,
                    .activation = options.activation,
                    .y_dtype = y.dtype,
                    .residual = options.residual.rank > 0 ? options.residual.data : nullptr,
                    .y = y.data};
  c.workspace = take_floats(convolution_cuda_workspace(c));
  if (queues()) {
    if (options.residual.rank > 0 && options.residual.dtype != y.dtype)
      queued(unsupported("a residual of another type"));
    else queued(device_->stream.device()->ops().convolution(c, device_->stream));
  }
  give(c.workspace);
  give_prepared(u, x);
}

void LayerPass::device_group_norm(const GroupNorm& g) {
  const JoinedImages in = joined(g.x, g.skip);
  float* workspace = take_floats(group_norm_cuda_workspace(in));
  if (queues())
    queued(device_->stream.device()->ops().group_norm({.in = in,
                                                       .groups = g.groups,
                                                       .epsilon = g.epsilon,
                                                       .weight = g.weight,
                                                       .bias = g.bias,
                                                       .workspace = workspace,
                                                       .scale = g.scale,
                                                       .shift = g.shift},
                                                      device_->stream));
  give(workspace);
}

// What the host knows of the whole image comes in, what is found in the core goes out; in the first sweep the core's own serves.
void LayerPass::device_tiled_group_norm(const GroupNorm& g) {
  const GroupNorm core = tiled_norms_->of_core(g);
  const size_t index = n_norms_++;
  const int64_t channels = g.x.shape[3];
  const TensorView moments = take(DType::kF32, {2, channels});
  float* const mean = moments.as<float>();
  float* const squares = mean + channels;
  // As much for any core.
  float* workspace = take_floats(group_norm_cuda_workspace(rows_of_window(g.x)));
  if (queues())
    queued(device_->stream.device()->ops().channel_moments(
        {.in = rows_of_window(core.x), .workspace = workspace, .mean = mean, .squares = squares},
        device_->stream));
  TensorView of_host = moments;
  of_host.data = measures() ? nullptr : tiled_norms_->room_for(index, core);
  copy_result(moments, of_host);
  const bool known = tiled_norms_->knows_the_image();
  if (known) fill(moments, [&](float* to) { tiled_norms_->write_used(index, to); });
  if (queues())
    queued(device_->stream.device()->ops().moments_scale(
        {.mean = mean,
         .squares = squares,
         .pixels = known ? tiled_norms_->used_pixels(index) : core.x.shape[1] * core.x.shape[2],
         .channels = channels,
         .groups = g.groups,
         .epsilon = g.epsilon,
         .weight = g.weight,
         .bias = g.bias,
         .scale = g.scale,
         .shift = g.shift},
        device_->stream));
  give(workspace);
  give(moments);
}

void LayerPass::device_layer_norm(const Norm& layer, const TensorView& x, const TensorView& y) {
  // The kernel gives the type that it reads.
  const TensorView normed = x.dtype == y.dtype ? y : take(x.dtype, {x.shape[0], x.shape[1]});
  if (queues())
    queued(device_->stream.device()->ops().norm({.norm = layer,
                                                 .dtype = x.dtype,
                                                 .x = x.data,
                                                 .y = normed.data,
                                                 .rows = x.shape[0],
                                                 .cols = x.shape[1],
                                                 .x_stride = x.strides[0],
                                                 .y_stride = normed.strides[0]},
                                                device_->stream));
  if (x.dtype == y.dtype) return;
  if (queues())
    queued(device_->stream.device()->ops().scale_shift(
        {.in = joined(normed, {}), .y = y.data, .y_dtype = y.dtype, .y_channels = y.shape[1]},
        device_->stream));
  give(normed);
}

// Sequences of one length that stand side by side are one launch.
void LayerPass::device_attention(const DenseAttention& a) {
  if (!queues()) return;
  if (!a.starts) return queue_attention(a);
  const int64_t size = size_bytes(a.dtype);
  for_each_run({a.starts, static_cast<size_t>(a.batch) + 1}, [&](int64_t first, int64_t count, int64_t n) {
    DenseAttention run = a;
    run.starts = nullptr;
    run.batch = count, run.n_queries = run.n_keys = n;
    for (HeadsView* view : {&run.q, &run.k, &run.v, &run.y}) {
      view->data = static_cast<const char*>(view->data) + a.starts[first] * view->token_stride * size;
      view->batch_stride = n * view->token_stride;
    }
    queue_attention(run);
  });
}

void LayerPass::queue_attention(const DenseAttention& a) {
  DenseAttentionCuda d;
  d.batch = a.batch, d.n_queries = a.n_queries, d.n_keys = a.n_keys, d.n_heads = a.n_heads;
  d.head_dim = a.head_dim, d.dtype = a.dtype, d.scale = a.scale, d.mask = a.mask;
  d.q = a.q, d.k = a.k, d.v = a.v, d.y = a.y;
  d.bias = a.bias, d.bias_query_stride = a.bias_query_stride, d.bias_head_stride = a.bias_head_stride;
  d.bias_batch_stride = a.bias_batch_stride;
  queued(device_->stream.device()->ops().dense_attention(d, device_->stream));
}

// The mean is attention that looks at all rows alike.
void LayerPass::device_mean(const TensorView& x, const TensorView& y) {
  if (!queues()) return;
  DenseAttentionCuda d;
  d.batch = x.shape[0], d.n_queries = 1, d.n_keys = x.shape[1];
  d.dtype = DType::kF32, d.scale = 0;
  constexpr int64_t kMostComponents = 128;  // that one block makes
  const int64_t width = x.shape[2];
  for (d.head_dim = std::min(width, kMostComponents); width % d.head_dim != 0;) --d.head_dim;
  d.n_heads = width / d.head_dim;
  d.q = d.k = d.v = {x.data, x.strides[1], x.strides[0]};
  d.y = {y.data, width, y.strides[0]};
  queued(device_->stream.device()->ops().dense_attention(d, device_->stream));
}

void LayerPass::look_up(const EmbeddingTable& table, const TensorView& rows, const TensorView& y,
                        const float* positions, const TensorView& places) {
  if (queues())
    queued(device_->stream.device()->ops().embedding({.table = table,
                                                      .tokens = rows.as<const int32_t>(),
                                                      .positions = positions,
                                                      .position_of = places.as<const int32_t>(),
                                                      .y = y.as<float>(),
                                                      .count = rows.shape[0]},
                                                     device_->stream));
}

// Rows of pixels, so that none has more elements than a launch takes.
void LayerPass::device_activation(Activation f, const TensorView& x) {
  const int64_t rows = x.rank == 4 ? x.shape[0] * x.shape[1] : x.shape[0], cols = x.count() / rows;
  if (queues())
    queued(device_->stream.device()->ops().activation({.f = f,
                                                       .gate = x.data,
                                                       .y = x.data,
                                                       .rows = rows,
                                                       .cols = cols,
                                                       .gate_stride = cols,
                                                       .up_stride = cols,
                                                       .y_stride = cols},
                                                      device_->stream));
}

void LayerPass::device_soft_cap(float cap, const TensorView& x) {
  if (queues())
    queued(device_->stream.device()->ops().soft_cap({cap, x.as<float>(), x.count()}, device_->stream));
}

void LayerPass::device_affine(float scale, float shift, const TensorView& x) {
  if (queues())
    queued(device_->stream.device()->ops().affine({scale, shift, x.as<float>(), x.count()}, device_->stream));
}

void LayerPass::device_add_values(const TensorView& x, const float* y) {
  if (queues()) queued(device_->stream.device()->ops().add({x.data, y, x.count(), x.dtype}, device_->stream));
}

}  // namespace weft
