#include "kernels/ops/convolution/convolution.h"

#include <algorithm>
#include <string>

#include "kernels/ops/convolution/convolution_layout.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

int64_t offset(const TensorView& v, int64_t image, int64_t row, int64_t col) {
  return image * v.strides[0] + row * v.strides[1] + col * v.strides[2];
}

/// One pixel of u, [in_channels], which may lie in the padding.
void input_pixel(const Convolution& c, int64_t image, int64_t row, int64_t col, float* u, IsaLevel level) {
  const int64_t factor = c.upsample == Upsample::kNone ? 1 : 2, channels = c.w.shape.in_channels;
  if (row < 0 || col < 0 || row >= factor * c.x.shape[1] || col >= factor * c.x.shape[2])
    return std::fill(u, u + channels, 0.0f), void();
  const int64_t first = c.x.shape[3];
  for (int64_t i = 0; i < channels; ++i) {
    const TensorView& v = i < first ? c.x : c.skip;
    u[i] = load_element(v.data, v.dtype,
                        offset(v, image, row / factor, col / factor) + (i < first ? i : i - first));
    if (c.in_scale != nullptr)
      u[i] = u[i] * c.in_scale[image * channels + i] + c.in_shift[image * channels + i];
  }
  if (c.in_activation) activate(*c.in_activation, u, channels, level);
  if (c.w.shape.compute == DType::kBF16) {
    for (int64_t i = 0; i < channels; ++i) u[i] = rounded_to_bf16(u[i]);
  }
}

/// sums[16] += one tap of one group.
void add_tap(const ConvolutionShape& s, const float* u, const uint8_t* group, int64_t tap, float* sums) {
  for (int64_t channel = 0; channel < s.in_channels; ++channel) {
    const int64_t k = dense::convolution_k_index(s, tap, channel);
    for (int lane = 0; lane < dense::kGroup; ++lane) {
      sums[lane] += u[channel] * (s.compute == DType::kF32
                                      ? load_element(group, DType::kF32, dense::f32_index(lane, k))
                                      : load_element(group, DType::kBF16, dense::bf16_index(lane, k)));
    }
  }
}

void finish_group(const Convolution& c, int64_t image, int64_t oy, int64_t ox, int64_t first, float* sums,
                  IsaLevel level) {
  const int64_t outputs = c.w.shape.out_channels, count = std::min<int64_t>(dense::kGroup, outputs - first);
  for (int64_t i = 0; i < count; ++i) {
    if (c.bias != nullptr) sums[i] += c.bias[first + i];
    if (c.image_bias != nullptr) sums[i] += c.image_bias[image * outputs + first + i];
  }
  if (c.activation) activate(*c.activation, sums, count, level);
  for (int64_t i = 0; i < count; ++i) {
    if (c.residual.rank != 0)
      sums[i] +=
          load_element(c.residual.data, c.residual.dtype, offset(c.residual, image, oy, ox) + first + i);
    store_element(c.y.data, c.y.dtype, offset(c.y, image, oy, ox) + first + i, sums[i]);
  }
}

}  // namespace

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

void convolution_share(const Convolution& c, uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const ConvolutionShape& s = c.w.shape;
  const int64_t pixels = c.y.shape[0] * c.y.shape[1] * c.y.shape[2];
  const int64_t bytes = dense::group_bytes(s.compute, dense::convolution_k(s));
  float* u = reinterpret_cast<float*>(static_cast<uint8_t*>(c.scratch) + thread * dense::kScratchBytes);
  for (int64_t at = pixels * thread / n_threads; at < pixels * (thread + 1) / n_threads; ++at) {
    const int64_t image = at / (c.y.shape[1] * c.y.shape[2]), oy = at / c.y.shape[2] % c.y.shape[1];
    const int64_t ox = at % c.y.shape[2];
    for (int64_t first = 0; first < s.out_channels; first += dense::kGroup) {
      const uint8_t* group = static_cast<const uint8_t*>(c.w.data) + first / dense::kGroup * bytes;
      float sums[dense::kGroup] = {};
      for (int64_t tap = 0; tap < s.kernel_h * s.kernel_w; ++tap) {
        input_pixel(c, image, oy * c.stride - c.pad_top + tap / s.kernel_w,
                    ox * c.stride - c.pad_left + tap % s.kernel_w, u, level);
        add_tap(s, u, group, tap, sums);
      }
      finish_group(c, image, oy, ox, first, sums, level);
    }
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
