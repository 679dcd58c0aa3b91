/// How a convolution's weights become the k of dense_layout.h. Private to this folder.
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_LAYOUT_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_LAYOUT_H

#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/gemm/dense_pack.h"

namespace weft::dense {

// With few input channels all taps make one k, so that little of it is padding: k = (tap_y * kernel_w + tap_x) * channels +
// channel. Otherwise each tap's channels are padded: a tap is a product of its own.
inline constexpr int64_t kFewChannels = 16;
inline constexpr int64_t kMostJoinedK = 4096;
inline constexpr int64_t kMostKernel = 1024;  // extent of a kernel

inline bool joins_taps(const ConvolutionShape& s) {
  return s.in_channels < kFewChannels && s.in_channels * s.kernel_h * s.kernel_w <= kMostJoinedK;
}

/// Of one tap, in k.
inline int64_t tap_k(const ConvolutionShape& s) {
  return joins_taps(s) ? s.in_channels : round_up(s.in_channels, kPadding);
}

/// k of a group of outputs, before its padding.
inline int64_t convolution_k(const ConvolutionShape& s) { return s.kernel_h * s.kernel_w * tap_k(s); }

// Weights for upsampled inputs are those of four convolutions, one after another, of the input as it is: for even and odd rows
// of the output, and in each for even and odd columns. Along each direction, an even output reads taps {0} and {1, 2} of the
// 3x3 kernel at inputs i - 1 and i, an odd one {0, 1} and {2} at i and i + 1.
inline constexpr int kPhases = 4;

inline bool has_phases(const ConvolutionShape& s) { return s.upsample == Upsample::kNearest2x; }

inline ConvolutionShape phase_shape(const ConvolutionShape& s) {
  return {.out_channels = s.out_channels,
          .in_channels = s.in_channels,
          .kernel_h = 2,
          .kernel_w = 2,
          .compute = s.compute};
}

/// Whether tap `tap` of three is part of tap `phase_tap` of an even (0) or odd (1) output's two.
constexpr bool belongs(int odd, int phase_tap, int tap) { return (tap > (odd ? 1 : 0)) == (phase_tap == 1); }

}  // namespace weft::dense
#endif
