#include <string>

#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/convolution/convolution_layout.h"

namespace weft {

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
  if (s.in_channels > (int64_t{1} << 62) / (dense::kMostKernel * dense::kMostKernel) - dense::kPadding)
    return Status(StatusCode::kOutOfRange, "packed weights would exceed 2^62 bytes");
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
