/// Group norm of NHWC images on a CUDA device, in the two steps of group_norm.h: statistics as one scale and shift per (image,
/// channel), and their application, which joins a skip connection and converts on the way.
///
///   scale, shift = statistics of concat(x, skip)              group_norm_scale_cuda
///   y = f(concat(x, skip) * scale + shift)                    scale_shift_cuda; f: SiLU or nothing
///
/// Stream-ordered; no allocation, no synchronization. Sums of values less the image's first one, per channel and run of pixels, in
/// f32; the second kernel joins runs and channels. The bits of an image depend on that image alone.
/// Bounds that tests hold it to, where channels are a multiple of four: no 32-byte sectors beyond those of x and y, no bank
/// conflicts, no spills, half of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_GROUP_NORM_GROUP_NORM_CUDA_H
#define WEFT_KERNELS_OPS_GROUP_NORM_GROUP_NORM_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

/// Images whose channels lie in two tensors, the second's after the first's; everything is in the device's memory.
struct JoinedImages {
  const void* x = nullptr;     // [images, pixels, channels]
  const void* skip = nullptr;  // [images, pixels, skip_channels] or null
  DType dtype = DType::kF32;   // of both: f32, bf16 or f16
  int64_t images = 0, pixels = 0, channels = 0, skip_channels = 0;
  int64_t image_stride =
      0;  // pixels from an image to the next, of both; 0: pixels. A window's rows are images of its columns
  constexpr int64_t all_channels() const { return channels + skip_channels; }
};

struct GroupNormCuda {
  JoinedImages in;
  int64_t groups = 32;            // divides in.all_channels()
  float epsilon = 1e-5f;          // > 0
  const float* weight = nullptr;  // [all_channels] or null: 1
  const float* bias = nullptr;    // [all_channels] or null: 0
  float* workspace = nullptr;     // group_norm_cuda_workspace() floats
  float* scale = nullptr;         // [images, all_channels], written
  float* shift = nullptr;         // [images, all_channels], written
};

/// How an image's pixels are summed: in runs of so many, at most 256 of them.
constexpr int64_t group_norm_run_pixels(int64_t pixels) {
  const int64_t shared = (pixels + 255) / 256;
  return shared > 128 ? shared : 128;
}
constexpr int64_t group_norm_runs(int64_t pixels) {
  return (pixels + group_norm_run_pixels(pixels) - 1) / group_norm_run_pixels(pixels);
}
/// Floats of workspace.
constexpr int64_t group_norm_cuda_workspace(const JoinedImages& in) {
  return in.images * group_norm_runs(in.pixels) * 2 * in.all_channels();
}

/// Errors: kInvalidShape (no pixels, channels or groups; groups that do not divide them; an extent beyond 2^31 elements),
/// kUnsupported (dtype), kInvalidArgument (a null pointer, an epsilon that is not positive).
Status group_norm_scale_cuda(const GroupNormCuda& g, CUstream_st* stream);

/// The statistics in two parts, for an image that comes in windows: what each channel's values add up to, over all images together.
struct ChannelMomentsCuda {
  JoinedImages in;             // without skip
  float* workspace = nullptr;  // group_norm_cuda_workspace() floats
  float* mean = nullptr;       // [channels], written
  float* squares = nullptr;    // [channels], written: sums of squared differences from the mean
};
/// Errors: as group_norm_scale_cuda(), and kUnsupported (a skip).
Status channel_moments_cuda(const ChannelMomentsCuda& m, CUstream_st* stream);

/// And what an image's moments make of it, whose channels have `pixels` values each.
struct MomentsScaleCuda {
  const float* mean = nullptr;     // [channels]
  const float* squares = nullptr;  // [channels]
  int64_t pixels = 0, channels = 0;
  int64_t groups = 32;            // divides channels
  float epsilon = 1e-5f;          // > 0
  const float* weight = nullptr;  // [channels] or null: 1
  const float* bias = nullptr;    // [channels] or null: 0
  float* scale = nullptr;         // [channels], written
  float* shift = nullptr;         // [channels], written
};
/// Errors: kInvalidShape (no pixels, channels or groups; groups that do not divide them), kInvalidArgument (a null pointer, an epsilon
/// that is not positive).
Status moments_scale_cuda(const MomentsScaleCuda& m, CUstream_st* stream);

enum class ScaleShiftActivation : uint8_t { kNone, kSilu };

struct ScaleShiftCuda {
  JoinedImages in;
  const float* scale = nullptr;  // [images, all_channels]; both null: in as it is
  const float* shift = nullptr;
  ScaleShiftActivation activation = ScaleShiftActivation::kNone;
  void* y =
      nullptr;  // [images, pixels, y_channels]; in.x itself where there is no skip, types and channels being the same
  DType y_dtype = DType::kF32;  // any with f32 in, else in.dtype or f32
  int64_t y_channels = 0;       // at least in.all_channels(); what is beyond becomes zero
  int64_t y_image_stride = 0;   // pixels; 0: in.pixels
};

/// Errors: as group_norm_scale_cuda(), and kInvalidArgument (a scale without its shift).
Status scale_shift_cuda(const ScaleShiftCuda& s, CUstream_st* stream);

}  // namespace weft
#endif
