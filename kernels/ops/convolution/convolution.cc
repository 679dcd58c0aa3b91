#include "kernels/ops/convolution/convolution.h"

#include <algorithm>
#include <string>

#include "kernels/ops/convolution/convolution_layout.h"
#include "kernels/ops/convolution/convolution_plan.h"
#include "kernels/ops/convolution/convolution_tile.h"
#include "kernels/tensor_checks.h"

namespace weft {

int64_t convolution_scratch_bytes(uint32_t n_threads) { return gemm_scratch_bytes(n_threads); }

int64_t convolution_extent(int64_t extent, Upsample upsample, int64_t kernel, int64_t stride,
                           int64_t pad_before, int64_t pad_after) {
  const int64_t padded = extent * (upsample == Upsample::kNone ? 1 : 2) + pad_before + pad_after;
  return padded < kernel ? 0 : (padded - kernel) / stride + 1;
}

Status check_convolution(const Convolution& c) {
  const ConvolutionShape& s = c.w.shape;
  Result<int64_t> size = convolution_packed_bytes(s);
  if (!size.ok()) return size.status();
  if (Status status = check_float_view("the input of a convolution", c.x, 4); !status.ok()) return status;
  int64_t channels = c.x.shape[3];
  if (c.skip.rank != 0) {
    if (Status status = check_float_view("the second input of a convolution", c.skip, 4); !status.ok())
      return status;
    TensorView expected = c.x;
    expected.shape[3] = c.skip.shape[3];
    Status status = check_same_shape("the second input of a convolution", c.skip, expected);
    if (!status.ok()) return status;
    channels += c.skip.shape[3];
  }
  if (channels != s.in_channels) {
    return Status(StatusCode::kInvalidShape,
                  "the inputs of a convolution have other channels than its weights")
        .expected(std::to_string(s.in_channels))
        .got(std::to_string(channels));
  }
  constexpr int64_t kMostPadding = int64_t{1} << 30;
  for (const int64_t pad : {c.pad_top, c.pad_bottom, c.pad_left, c.pad_right}) {
    if (pad < 0 || pad > kMostPadding || c.stride < 1) {
      return Status(StatusCode::kInvalidShape, "a convolution has an impossible stride or padding")
          .expected("a stride of at least 1, padding of at least 0")
          .got("stride " + std::to_string(c.stride) + ", padding " + std::to_string(pad));
    }
  }
  if (dense::has_phases(s) && (c.upsample != Upsample::kNearest2x || c.stride != 1 || c.pad_top != 1 ||
                               c.pad_bottom != 1 || c.pad_left != 1 || c.pad_right != 1)) {
    return Status(StatusCode::kInvalidShape,
                  "a convolution has weights that are packed for upsampled inputs only")
        .expected("an upsampled input, a stride of 1, padding of 1 on each side");
  }
  const TensorView expected = TensorView::contiguous(
      nullptr, c.y.dtype,
      {c.x.shape[0],
       convolution_extent(c.x.shape[1], c.upsample, s.kernel_h, c.stride, c.pad_top, c.pad_bottom),
       convolution_extent(c.x.shape[2], c.upsample, s.kernel_w, c.stride, c.pad_left, c.pad_right),
       s.out_channels});
  if (Status status = check_float_view("the output of a convolution", c.y, 4); !status.ok()) return status;
  if (Status status = check_same_shape("the output of a convolution", c.y, expected); !status.ok())
    return status;
  if (c.residual.rank != 0) {
    if (Status status = check_float_view("the residual of a convolution", c.residual, 4); !status.ok())
      return status;
    Status status = check_same_shape("the residual of a convolution", c.residual, expected);
    if (!status.ok()) return status;
  }
  if ((c.in_scale == nullptr) != (c.in_shift == nullptr))
    return Status(StatusCode::kInvalidArgument,
                  "a convolution's input has a scale without a shift, or the reverse");
  if (expected.count() == 0) return {};
  if (c.w.data == nullptr || !is_aligned(c.w.data, kConvolutionAlignment) || c.scratch == nullptr ||
      !is_aligned(c.scratch, kConvolutionAlignment)) {
    return Status(StatusCode::kInvalidArgument,
                  "packed weights or the scratch of a convolution are null or not aligned")
        .expected("addresses divisible by " + std::to_string(kConvolutionAlignment));
  }
  return {};
}

namespace {

/// Every second row and column of v, from the given ones on.
TensorView every_second(TensorView v, int64_t row, int64_t col) {
  if (v.rank == 0) return v;
  v.data = v.as<uint8_t>() + (row * v.strides[1] + col * v.strides[2]) * size_bytes(v.dtype);
  for (const int axis : {1, 2}) {
    v.shape[axis] /= 2;
    v.strides[axis] *= 2;
  }
  return v;
}

/// The convolution of the input as it is that gives the outputs of one phase.
Convolution phase_of(const Convolution& c, int phase) {
  const int odd_row = phase / 2, odd_col = phase % 2;
  const ConvolutionShape shape = dense::phase_shape(c.w.shape);
  const int64_t bytes = dense::group_bytes(shape.compute, dense::convolution_k(shape));
  const int64_t n_groups = (shape.out_channels - 1) / dense::kGroup + 1;
  Convolution p = c;
  p.upsample = Upsample::kNone;
  p.w = {shape, static_cast<const uint8_t*>(c.w.data) + phase * n_groups * bytes};
  p.pad_top = 1 - odd_row;
  p.pad_bottom = odd_row;
  p.pad_left = 1 - odd_col;
  p.pad_right = odd_col;
  p.y = every_second(c.y, odd_row, odd_col);
  p.residual = every_second(c.residual, odd_row, odd_col);
  return p;
}

}  // namespace

void convolution_share(const Convolution& c, uint32_t thread, uint32_t n_threads, IsaLevel level) {
  if (c.y.count() == 0) return;
  if (dense::has_phases(c.w.shape)) {
    for (int phase = 0; phase < dense::kPhases; ++phase)
      convolution_share(phase_of(c, phase), thread, n_threads, level);
    return;
  }
  const dense::Kernels kernels(c.w.shape.compute, level);
  const dense::ConvolutionPlan plan(c, kernels);
  const dense::Scratch scratch(c.scratch, thread);
  // Units of work: (tile of pixels, unit of groups), tiles outermost, so that a thread prepares few panels.
  const int64_t end = dense::share_begin(plan.n_tiles() * plan.units, thread + 1, n_threads);
  for (int64_t at = dense::share_begin(plan.n_tiles() * plan.units, thread, n_threads); at < end;) {
    const int64_t tile = at / plan.units, stop = std::min(end, (tile + 1) * plan.units);
    dense::TileConvolution(c, kernels, plan, scratch, plan.tile(tile))
        .compute((at - tile * plan.units) * plan.unit,
                 std::min(plan.groups, (stop - tile * plan.units) * plan.unit));
    at = stop;
  }
}

Status convolution(const Convolution& c, Executor executor, IsaLevel level) {
  if (Status status = check_convolution(c); !status.ok()) return status;
  if (c.y.count() == 0) return {};
  executor.run([&](Team team) { convolution_share(c, team.thread(), team.n_threads(), level); });
  return {};
}

const char* convolution_body_name(DType compute, IsaLevel level) { return gemm_body_name(compute, level); }

}  // namespace weft
