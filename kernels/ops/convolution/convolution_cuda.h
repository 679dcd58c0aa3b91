/// Two-dimensional convolution of NHWC images on a CUDA device, direct: convolution.h's, without its norm on the way in (see
/// group_norm_cuda.h, whose second step prepares the input).
///
///   u = concat(x, skip), repeated twice along both sides where asked
///   y = f(conv(zero padding of u) + bias + image_bias) + residual
///
/// A product whose rows are pixels, by the kernel of gemm_cuda.h: each tap's channels are copied from where they lie, so nothing is
/// unrolled in memory. Types, tiles, splits and bounds are as there.
/// A 1 x 1 kernel over one input as it is makes a dense product, and may go to a library as that (product_engine.h). Other large ones
/// may go to a library of convolutions (kernels/cuda), where that is installed; finish_convolution_cuda() then does what follows.
/// Stream-ordered; no allocation, no synchronization. The bits of a pixel may depend on the number of images and pixels.
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_CUDA_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>

#include "kernels/ops/activation/activation.h"
#include "kernels/ops/gemm/gemm_cuda.h"
#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory, pointers are aligned to 16 bytes; a null pointer leaves its part out.
struct ConvolutionCuda {
  DType dtype = DType::kBF16;  // of x, skip and w: bf16, f16 or f32
  const void* x = nullptr;     // [images, h, w, channels]
  const void* skip = nullptr;  // [images, h, w, skip_channels]
  int64_t images = 0, h = 0, w = 0, channels = 0,
          skip_channels = 0;               // channels of each: a multiple of 16 bytes
  int64_t repeated_h = 0, repeated_w = 0;  // of u: 2 h or 2 h - 1, and likewise; 0: h and w
  const void* weights = nullptr;           // [out_channels, kernel_h, kernel_w, channels + skip_channels]
  int64_t out_channels = 0, kernel_h = 1, kernel_w = 1;
  int64_t stride = 1, pad_top = 0, pad_left = 0;
  int64_t out_h = 0, out_w = 0;       // what lies beyond u is zero on all sides
  const float* bias = nullptr;        // [out_channels]
  const float* image_bias = nullptr;  // [images, out_channels]
  std::optional<Activation> activation = {};
  DType y_dtype = DType::kBF16;                    // of y and residual: dtype or f32
  const void* residual = nullptr;                  // as y; may be y
  void* y = nullptr;                               // [images, out_h, out_w, out_channels]
  float* workspace = nullptr;                      // convolution_cuda_workspace() floats
  std::optional<ProductTiling> tiling = {};        // for measurements: else product_tiling()'s
  ProductEngine engine = ProductEngine::kByShape;  // for measurements: else by product_engine.h
};

constexpr ProductTiling tiling_of(const ConvolutionCuda& c) {
  return c.tiling ? *c.tiling
                  : product_tiling(c.dtype, c.images * c.out_h * c.out_w, c.out_channels,
                                   c.kernel_h * c.kernel_w * (c.channels + c.skip_channels));
}
/// The dense product that the convolution is but for its image_bias, if each output comes from one pixel of one input.
constexpr std::optional<GemmCuda> as_product(const ConvolutionCuda& c) {
  if (c.kernel_h != 1 || c.kernel_w != 1 || c.stride != 1 || c.pad_top != 0 || c.pad_left != 0 ||
      c.skip_channels > 0 || c.repeated_h > 0 || c.out_h != c.h || c.out_w != c.w)
    return std::nullopt;
  return GemmCuda{.dtype = c.dtype,
                  .a = c.x,
                  .w = c.weights,
                  .bias = c.bias,
                  .activation = c.activation,
                  .c_dtype = c.y_dtype,
                  .residual = c.residual,
                  .c = c.y,
                  .m = c.images * c.h * c.w,
                  .n = c.out_channels,
                  .k = c.channels,
                  .a_stride = c.channels,
                  .residual_stride = c.out_channels,
                  .c_stride = c.out_channels,
                  .workspace = c.workspace,
                  .tiling = c.tiling,
                  .engine = c.engine};
}

/// Whether a library has the convolution's sums: of one input as it lies, in 16 bits, in which they leave it. So results in f32, which
/// an autoencoder wants of its residual connections, stay with the kernel. Dense products have a library of their own.
constexpr bool library_serves(const ConvolutionCuda& c) {
  return !as_product(c) && c.dtype != DType::kF32 && c.y_dtype == c.dtype && c.skip_channels == 0 &&
         c.repeated_h == 0 && c.out_channels % 8 == 0;
}
/// The least multiplications that a library is given. An expectation: with so many, the kernel was at 13 to 26 % of an H100's peak, and
/// was not measured beside the library yet (`weft bench kernels convolution --device cuda:0` does).
inline constexpr int64_t kLibraryConvolutionProducts = 500'000'000;
/// What is asked for, or what the extents decide.
constexpr bool goes_to_library(const ConvolutionCuda& c) {
  if (c.engine != ProductEngine::kByShape) return c.engine == ProductEngine::kLibrary;
  const int64_t depth = c.kernel_h * c.kernel_w * c.channels;
  return !c.tiling && library_serves(c) &&
         c.images * c.out_h * c.out_w * c.out_channels * depth >= kLibraryConvolutionProducts;
}
/// Floats of workspace that a library takes: its own, what aligns it, and the sums.
constexpr int64_t library_convolution_workspace(const ConvolutionCuda& c) {
  const int64_t sums = c.images * c.out_h * c.out_w * c.out_channels * 2;
  return (kLibraryWorkspaceBytes + kLibraryWorkspaceAlignment + (sums + 15) / 16 * 16) / 4;
}

/// Floats of workspace, often none; enough for the kernel and for a library. Whatever the pointers. Precondition: extents that
/// convolution_cuda() takes.
constexpr int64_t convolution_cuda_workspace(const ConvolutionCuda& c) {
  if (const auto product = as_product(c)) return gemm_cuda_workspace(*product);
  const int64_t kernel = tiling_of(c).workspace(c.images * c.out_h * c.out_w, c.out_channels),
                library = goes_to_library(c) ? library_convolution_workspace(c) : 0;
  return kernel > library ? kernel : library;
}

/// What convolution_cuda() refuses, but for the engine.
Status check_convolution_cuda(const ConvolutionCuda& c);

/// By the kernel. Errors: kInvalidShape (an extent, channels that are no multiple of 16 bytes), kUnsupported (a dtype, a library), kInvalidArgument (a null
/// or misaligned pointer).
Status convolution_cuda(const ConvolutionCuda& c, CUstream_st* stream);

/// What follows sums that a library left in c.dtype: y = f(sums + bias + image_bias) + residual.
struct FinishConvolutionCuda {
  ConvolutionCuda convolution;
  const void* sums = nullptr;  // [images, out_h, out_w, out_channels], aligned to 8 bytes; may be y
};
/// Bounds that tests hold it to: no 32-byte sectors beyond those of sums, residual and y; no spills, half of a multiprocessor's threads.
/// Errors: kUnsupported (not of library_serves()), kInvalidArgument (a null pointer, one that is not aligned to four values).
Status finish_convolution_cuda(const FinishConvolutionCuda& f, CUstream_st* stream);

}  // namespace weft
#endif
