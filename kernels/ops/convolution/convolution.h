/// Two-dimensional convolution of NHWC images, direct: no image is unrolled in memory. What UNets and VAEs do around it is
/// part of it, so that each activation is read once and written once:
///
///   u = f_in(scale * concat(x, skip) + shift)          group norm and SiLU on the way in, per (image, channel)
///   u = nearest 2x upsample of u                       optional
///   y = f_out(conv(zero padding of u) + bias + image_bias) + residual
///
///   x: [images, h, w, c]; skip: [images, h, w, c'], optional, whose channels follow x's; y, residual: [images, oh, ow, o].
///   All f32, bf16 or f16, each its own. W: [o, c + c', kernel_h, kernel_w], packed once.
///   oh = (h' + pad_top + pad_bottom - kernel_h) / stride + 1, rounded down, h' = h or 2 h; ow likewise.
///
/// Numerics, per (compute type, ISA level): kF32 computes in f32; kBF16 and kF16 round u and W to that type (to nearest even), and
/// add products in f32. README.md has the order of additions. The bits of a pixel of y depend on its inputs and W alone: not
/// on the number of images, the threads, or where the pixel lies. Padding is zero whatever scale and shift are.
///
/// Ownership: the caller owns all memory; no op allocates. Threads: convolution() runs a team of its own;
/// convolution_share() is one thread's part, for callers that keep one team over many ops and put barriers between them.
///
///   const ConvolutionShape shape = {.out_channels = 320, .in_channels = 640, .kernel_h = 3, .kernel_w = 3,
///                                   .compute = DType::kBF16};
///   pack_convolution_weights(shape, WeightFormat::kF16, file, packed, executor);    // once; convolution_packed_bytes(shape)
///   Convolution c = {.x = x, .in_scale = scale, .in_shift = shift, .in_activation = Activation::kSilu, .w = {shape, packed},
///                    .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1, .bias = bias, .y = y,
///                    .scratch = scratch};                          // convolution_scratch_bytes(executor.max_threads())
///   Status status = convolution(c, executor);
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>

#include "kernels/cpu/isa.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/quant/format.h"
#include "kernels/tensor.h"

namespace weft {

/// Changes whenever the bytes that pack_convolution_weights() writes change. The layout is the same for every ISA level.
inline constexpr uint32_t kConvolutionLayoutVersion = 2;
inline constexpr int64_t kConvolutionAlignment = 64;  // bytes, of packed weights and of scratch

enum class Upsample : uint8_t { kNone, kNearest2x };

struct ConvolutionShape {
  int64_t out_channels = 0;
  int64_t in_channels = 0;  // of x and skip together
  int64_t kernel_h = 1;
  int64_t kernel_w = 1;
  DType compute = DType::kF32;  // kF32, kBF16 or kF16: also what packed weights are stored as
  /// kNearest2x: only for inputs that are upsampled, with stride 1 and padding 1, by a 3x3 kernel. Each output then has one of
  /// four 2x2 kernels, whose weights are sums of the 3x3 ones (rounded once, to compute): 4/9 of the products, 16/9 of the
  /// bytes. kNone serves upsampled inputs too.
  Upsample upsample = Upsample::kNone;
};

/// Bytes of packed weights. Errors: kUnsupported (compute, a kernel larger than 1024 x 1024 or, for an
/// upsampled input, other than 3x3), kInvalidShape (an extent below
/// 1), kOutOfRange (the size exceeds 2^62).
Result<int64_t> convolution_packed_bytes(const ConvolutionShape& shape);

/// Packs W from the layout of model files: [out_channels, in_channels, kernel_h, kernel_w], any alignment. format: kF32,
/// kF16 or kBF16; weights are rounded to shape.compute. dst: convolution_packed_bytes(), aligned to kConvolutionAlignment.
/// Errors: as convolution_packed_bytes(), and kUnsupported (format), kInvalidArgument (a null or misaligned pointer).
Status pack_convolution_weights(const ConvolutionShape& shape, WeightFormat format, const void* src,
                                void* dst, Executor executor);

/// Does not own.
struct ConvolutionWeights {
  ConvolutionShape shape;
  const void* data = nullptr;
};

/// Bytes of scratch of a team of n_threads: two and a half megabytes each, whatever the shapes; the same as gemm_scratch_bytes().
int64_t convolution_scratch_bytes(uint32_t n_threads);

/// One convolution. Channels of every view are adjacent (the last stride is 1); other strides are free, but elements of y
/// must not overlap.
struct Convolution {
  TensorView x;                     // [images, h, w, c]
  TensorView skip = {};             // [images, h, w, in_channels - c]; rank 0: none, and c = in_channels
  const float* in_scale = nullptr;  // [images, in_channels], both or neither: from group_norm_scale()
  const float* in_shift = nullptr;
  std::optional<Activation> in_activation = {};  // one with f(0) = 0 or not: padding comes after it
  Upsample upsample = Upsample::kNone;
  ConvolutionWeights w;
  int64_t stride = 1;  // of both directions
  int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
  const float* bias = nullptr;                // [out_channels] or null
  const float* image_bias = nullptr;          // [images, out_channels] or null: a time embedding
  std::optional<Activation> activation = {};  // of the sum with its biases
  TensorView residual = {};  // as y, any of these types; rank 0: none. May be y itself, exactly
  TensorView y;              // [images, oh, ow, out_channels]. Must not overlap x or skip
  void* scratch =
      nullptr;  // convolution_scratch_bytes(threads of the team), aligned to kConvolutionAlignment
};

/// Height (or width) of y: what h (or w) gives with a kernel's extent along it and its padding. 0 or less: nothing fits.
int64_t convolution_extent(int64_t extent, Upsample upsample, int64_t kernel, int64_t stride,
                           int64_t pad_before, int64_t pad_after);

/// What convolution() refuses: kUnsupported (a dtype), kInvalidShape (extents that do not fit each other, padding below 0,
/// a stride below 1; no images are fine), kInvalidArgument (a null or misaligned pointer, a scale without its shift).
Status check_convolution(const Convolution& c);

/// Computes y. Errors: as check_convolution().
Status convolution(const Convolution& c, Executor executor, IsaLevel level = active_isa());

/// Thread `thread` of `n_threads` computes its part of y. No allocation, no synchronisation.
/// Precondition: check_convolution() is ok.
void convolution_share(const Convolution& c, uint32_t thread, uint32_t n_threads,
                       IsaLevel level = active_isa());

/// The body that serves `compute` at `level`; see gemm_body_name().
const char* convolution_body_name(DType compute, IsaLevel level);

/// The definition, naively, in double, from unpacked weights as pack_convolution_weights() takes them. u and W are rounded
/// to c.w.shape.compute; c.w.data and c.scratch are not read. For tests.
void convolution_reference(const Convolution& c, WeightFormat format, const void* weights);

}  // namespace weft
#endif
