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

}  // namespace weft::dense
#endif
