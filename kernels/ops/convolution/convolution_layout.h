/// How a convolution's weights become the k of dense_layout.h. Private to this folder.
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_LAYOUT_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_LAYOUT_H

#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/gemm/dense_pack.h"

namespace weft::dense {

// With fewer input channels than this all taps make one k, so that little of it is padding: k = (tap_y * kernel_w + tap_x) *
// channels + channel. Otherwise each tap's channels are padded: a tap is a product of its own.
inline constexpr int64_t kFewChannels = 16;

inline bool joins_taps(const ConvolutionShape& s) { return s.in_channels < kFewChannels; }

/// k of a group of outputs, before its padding.
inline int64_t convolution_k(const ConvolutionShape& s) {
  const int64_t taps = s.kernel_h * s.kernel_w;
  return taps * (joins_taps(s) ? s.in_channels : round_up(s.in_channels, kPadding));
}

inline int64_t convolution_k_index(const ConvolutionShape& s, int64_t tap, int64_t channel) {
  return tap * (joins_taps(s) ? s.in_channels : round_up(s.in_channels, kPadding)) + channel;
}

}  // namespace weft::dense
#endif
