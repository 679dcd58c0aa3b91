#include <algorithm>
#include <string>
#include <vector>

#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/convolution/convolution_layout.h"

namespace weft {

namespace {

/// [rows][in_channels][4]: the weights of one phase, from [rows][in_channels][9].
std::vector<float> phase_weights(const ConvolutionShape& s, int phase, WeightFormat format, const void* src,
                                 int64_t first_row, int64_t rows) {
  std::vector<float> weights(static_cast<size_t>(rows * s.in_channels * 4));
  for (int64_t i = 0; i < rows * s.in_channels; ++i) {
    for (int to = 0; to < 4; ++to) {
      float sum = 0;
      for (int tap = 0; tap < 9; ++tap) {
        if (dense::belongs(phase / 2, to / 2, tap / 3) && dense::belongs(phase % 2, to % 2, tap % 3))
          sum += dense::read_weight(format, src, (first_row * s.in_channels + i) * 9 + tap);
      }
      weights[static_cast<size_t>(i * 4 + to)] = sum;
    }
  }
  return weights;
}

/// The four phases of one group of outputs, each in its part of dst.
void pack_phases(const ConvolutionShape& s, WeightFormat format, const void* src, int64_t group,
                 uint8_t* dst) {
  const ConvolutionShape phase = dense::phase_shape(s);
  const int64_t bytes = dense::group_bytes(s.compute, dense::convolution_k(phase));
  const int64_t n_groups = (s.out_channels - 1) / dense::kGroup + 1, first_row = group * dense::kGroup;
  const int64_t rows = std::min<int64_t>(dense::kGroup, s.out_channels - first_row);
  for (int p = 0; p < dense::kPhases; ++p) {
    const std::vector<float> weights = phase_weights(s, p, format, src, first_row, rows);
    dense::GroupSource source = {.format = WeightFormat::kF32,
                                 .rows = {},
                                 .channels = s.in_channels,
                                 .taps = 4,
                                 .tap_k = dense::tap_k(phase)};
    for (int64_t row = 0; row < rows; ++row)
      source.rows[row] = reinterpret_cast<const uint8_t*>(weights.data() + row * s.in_channels * 4);
    dense::pack_group(s.compute, source, bytes, dst + (p * n_groups + group) * bytes);
  }
}

}  // namespace

Result<int64_t> convolution_packed_bytes(const ConvolutionShape& s) {
  if (s.out_channels < 1 || s.in_channels < 1 || s.kernel_h < 1 || s.kernel_w < 1) {
    return Status(StatusCode::kInvalidShape, "a convolution's weights have an impossible shape")
        .expected("extents of at least 1")
        .got("[" + std::to_string(s.out_channels) + ", " + std::to_string(s.in_channels) + ", " +
             std::to_string(s.kernel_h) + ", " + std::to_string(s.kernel_w) + "]");
  }
  if (s.kernel_h > dense::kMostKernel || s.kernel_w > dense::kMostKernel) {
    return Status(StatusCode::kUnsupported, "a convolution's kernel is too large")
        .expected("at most " + std::to_string(dense::kMostKernel) + " by " +
                  std::to_string(dense::kMostKernel))
        .got(std::to_string(s.kernel_h) + " by " + std::to_string(s.kernel_w));
  }
  if (dense::has_phases(s) && (s.kernel_h != 3 || s.kernel_w != 3)) {
    return Status(StatusCode::kUnsupported,
                  "weights of this kernel cannot be packed for upsampled inputs only")
        .expected("3 by 3")
        .got(std::to_string(s.kernel_h) + " by " + std::to_string(s.kernel_w))
        .hint("weights packed for any input serve upsampled ones too");
  }
  if (s.in_channels > (int64_t{1} << 62) / (dense::kMostKernel * dense::kMostKernel) - dense::kPadding)
    return Status(StatusCode::kOutOfRange, "packed weights would exceed 2^62 bytes");
  if (dense::has_phases(s)) {
    const Result<int64_t> one = convolution_packed_bytes(dense::phase_shape(s));
    if (!one.ok()) return one.status();
    if (*one > (int64_t{1} << 60))
      return Status(StatusCode::kOutOfRange, "packed weights would exceed 2^62 bytes");
    return *one * dense::kPhases;
  }
  return dense::packed_bytes(s.compute, (s.out_channels - 1) / dense::kGroup + 1, dense::convolution_k(s));
}

Status pack_convolution_weights(const ConvolutionShape& s, WeightFormat format, const void* src, void* dst,
                                Executor executor) {
  Result<int64_t> size = convolution_packed_bytes(s);
  if (!size.ok()) return size.status();
  if (Status status = dense::check_packing(format, src, dst); !status.ok()) return status;
  const int64_t bytes = dense::group_bytes(s.compute, dense::convolution_k(s)),
                taps = s.kernel_h * s.kernel_w;
  const int64_t row_bytes = s.in_channels * taps * block_layout(format).bytes;
  executor.parallel_for((s.out_channels - 1) / dense::kGroup + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      if (dense::has_phases(s)) {
        pack_phases(s, format, src, g, static_cast<uint8_t*>(dst));
        continue;
      }
      dense::GroupSource source = {
          .format = format, .rows = {}, .channels = s.in_channels, .taps = taps, .tap_k = dense::tap_k(s)};
      for (int lane = 0; lane < dense::kGroup && g * dense::kGroup + lane < s.out_channels; ++lane)
        source.rows[lane] = static_cast<const uint8_t*>(src) + (g * dense::kGroup + lane) * row_bytes;
      dense::pack_group(s.compute, source, bytes, static_cast<uint8_t*>(dst) + g * bytes);
    }
  });
  return {};
}

}  // namespace weft
