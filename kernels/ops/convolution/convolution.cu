// Convolutions: tiles of products whose rows are pixels, and whose depth is the taps' channels. And what follows the sums of those that
// a library makes.

#include "kernels/ops/convolution/convolution_cuda.h"
#include "kernels/ops/gemm/product_tiles_device.h"

namespace weft {
namespace {

/// Images as rows of taps.
template <typename T>
struct Taps {
  using Element = T;
  static constexpr const char* kName = "convolution_tiles";
  const T* x;
  const T* skip;
  int h, w, channels, skip_channels;
  int repeat_h, repeat_w;  // of what the kernel moves over: h and w, or about twice that
  int shift;               // 1: its pixels are repeated
  int kernel_h, kernel_w, stride, pad_top, pad_left;
  int out_w, out_pixels, rows;  // rows: of all images

  template <int kRows>
  class Rows {
   public:
    __device__ Rows(const Taps& taps, int first, int depth) : taps_(taps) {
      const int all = taps.channels + taps.skip_channels;
      depth += device::thread_piece() * device::kPieceElements<T>;
      const int tap = depth / all;
      channel_ = depth % all, tap_row_ = tap / taps.kernel_w, tap_col_ = tap % taps.kernel_w;
#pragma unroll
      for (int i = 0; i < kMine; ++i) {
        const int row = first + device::thread_line() + i * device::kLines;
        const int image = row / taps.out_pixels, pixel = row % taps.out_pixels;
        // A row beyond the last one has no pixels.
        image_[i] = image * taps.h * taps.w;
        row_[i] = row < taps.rows ? pixel / taps.out_w * taps.stride - taps.pad_top : -(1 << 20);
        col_[i] = pixel % taps.out_w * taps.stride - taps.pad_left;
      }
    }
    __device__ __forceinline__ const T* at(int i) const {
      const int row = row_[i] + tap_row_, col = col_[i] + tap_col_;
      if (row < 0 || row >= taps_.repeat_h || col < 0 || col >= taps_.repeat_w || tap_row_ >= taps_.kernel_h)
        return nullptr;
      const int64_t pixel = image_[i] + (row >> taps_.shift) * taps_.w + (col >> taps_.shift);
      return channel_ < taps_.channels
                 ? taps_.x + pixel * taps_.channels + channel_
                 : taps_.skip + pixel * taps_.skip_channels + (channel_ - taps_.channels);
    }
    __device__ __forceinline__ void advance() {
      channel_ += device::kTileDepth<T>;
      while (channel_ >= taps_.channels + taps_.skip_channels) {
        channel_ -= taps_.channels + taps_.skip_channels;
        if (++tap_col_ == taps_.kernel_w) tap_col_ = 0, ++tap_row_;
      }
    }
    __device__ __forceinline__ const T* base() const { return taps_.x; }

   private:
    static constexpr int kMine = kRows / device::kLines;
    const Taps& taps_;
    int channel_, tap_row_, tap_col_;
    int image_[kMine], row_[kMine], col_[kMine];
  };
};

int64_t rows_of(const ConvolutionCuda& c) { return c.images * c.out_h * c.out_w; }
int64_t depth_of(const ConvolutionCuda& c) {
  return c.kernel_h * c.kernel_w * (c.channels + c.skip_channels);
}

bool in_quads(const ConvolutionCuda& c) {
  const auto quad = static_cast<size_t>(4 * size_bytes(c.y_dtype));
  return c.out_channels % 4 == 0 && device::aligned_to(c.y, quad) && device::aligned_to(c.residual, quad) &&
         device::aligned_to(c.bias, 16) && device::aligned_to(c.image_bias, 16);
}

int splits_of(const ConvolutionCuda& c) { return in_quads(c) ? tiling_of(c).splits : 1; }

device::ProductOutput output_of(const ConvolutionCuda& c) {
  return {.bias = c.bias,
          .image_bias = c.image_bias,
          .image_rows = static_cast<int>(c.out_h * c.out_w),
          .activation = c.activation ? static_cast<int>(*c.activation) : -1,
          .f32 = c.y_dtype == DType::kF32,
          .residual = c.residual,
          .c = c.y,
          .residual_stride = c.out_channels,
          .c_stride = c.out_channels,
          .m = static_cast<int>(rows_of(c)),
          .n = static_cast<int>(c.out_channels)};
}

constexpr int kFinishThreads = 256;

/// A thread four channels.
template <typename T>
__global__ void __launch_bounds__(kFinishThreads) finish_convolution(device::ProductOutput o, const T* sums) {
  const int quads = o.n / 4;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kFinishThreads + threadIdx.x;
  if (i >= static_cast<int64_t>(o.m) * quads) return;
  device::finish_sums<T, true>(o, static_cast<int>(i / quads), static_cast<int>(i % quads) * 4,
                               device::load_quad(sums + i * 4));
}

template <typename T>
Status start_finish(const FinishConvolutionCuda& f, cudaStream_t stream) {
  const ConvolutionCuda& c = f.convolution;
  const int64_t quads = rows_of(c) * (c.out_channels / 4);
  return device::launch(stream, "finish_convolution",
                        dim3(static_cast<unsigned>((quads + kFinishThreads - 1) / kFinishThreads)),
                        kFinishThreads, 0, finish_convolution<T>, output_of(c),
                        static_cast<const T*>(f.sums));
}

template <typename T>
Status start(const ConvolutionCuda& c, cudaStream_t stream) {
  const auto i = [](int64_t extent) { return static_cast<int>(extent); };
  const int m = i(rows_of(c)), n = i(c.out_channels), k = i(depth_of(c));
  const bool repeats = c.repeated_h > 0;
  const Taps<T> taps = {static_cast<const T*>(c.x),
                        static_cast<const T*>(c.skip),
                        i(c.h),
                        i(c.w),
                        i(c.channels),
                        i(c.skip_channels),
                        i(repeats ? c.repeated_h : c.h),
                        i(repeats ? c.repeated_w : c.w),
                        repeats ? 1 : 0,
                        i(c.kernel_h),
                        i(c.kernel_w),
                        i(c.stride),
                        i(c.pad_top),
                        i(c.pad_left),
                        i(c.out_w),
                        i(c.out_h * c.out_w),
                        m};
  device::ProductOutput out = output_of(c);
  out.splits = splits_of(c), out.partial = c.workspace;
  const device::Matrix<T> w = {static_cast<const T*>(c.weights), k, n, k};
  return device::start_products(tiling_of(c).tile, taps, w, out, in_quads(c), stream);
}

}  // namespace

Status check_convolution_cuda(const ConvolutionCuda& c) {
  if (c.dtype != DType::kF32 && c.dtype != DType::kF16 && c.dtype != DType::kBF16)
    return Status(StatusCode::kUnsupported, "a convolution on a device takes f32, f16 and bf16");
  constexpr int64_t kMost = 65535 * 64, kMostSide = 1 << 15, kMostChannels = 1 << 16;
  const int64_t piece = 16 / size_bytes(c.dtype);
  const auto side = [&](int64_t extent) { return extent >= 1 && extent <= kMostSide; };
  const auto repeats = [](int64_t repeated, int64_t extent) {
    return repeated == 0 || repeated == 2 * extent || repeated == 2 * extent - 1;
  };
  const bool fits = c.images >= 0 && c.images <= kMost && side(c.h) && side(c.w) && side(c.out_h) &&
                    side(c.out_w) && rows_of(c) <= kMost && c.images * c.h * c.w <= int64_t{1} << 30 &&
                    c.channels >= 1 && c.channels <= kMostChannels && c.skip_channels >= 0 &&
                    c.skip_channels <= kMostChannels && c.out_channels >= 1 &&
                    c.out_channels <= kMostChannels && c.kernel_h >= 1 && c.kernel_h <= 64 &&
                    c.kernel_w >= 1 && c.kernel_w <= 64 && c.stride >= 1 && c.stride <= 64 &&
                    c.pad_top >= 0 && c.pad_top <= 64 && c.pad_left >= 0 && c.pad_left <= 64;
  if (!fits || c.channels % piece != 0 || c.skip_channels % piece != 0 || !repeats(c.repeated_h, c.h) ||
      !repeats(c.repeated_w, c.w) || (c.repeated_h == 0) != (c.repeated_w == 0))
    return Status(StatusCode::kInvalidShape, "a convolution on a device: an impossible shape")
        .expected("sides to 32768, at most 4194240 pixels, channels that are a multiple of " +
                  std::to_string(piece))
        .got(std::to_string(c.images) + " images of " + std::to_string(c.h) + " x " + std::to_string(c.w) +
             ", " + std::to_string(c.channels) + " + " + std::to_string(c.skip_channels) + " channels");
  if (c.y_dtype != DType::kF32 && c.y_dtype != c.dtype)
    return Status(StatusCode::kUnsupported, "a convolution on a device gives its inputs' type, or f32");
  if (c.images == 0) return {};
  if (!c.x || (c.skip_channels > 0 && !c.skip) || !c.weights || !c.y)
    return Status(StatusCode::kInvalidArgument, "a convolution on a device: a pointer is null");
  if (!device::aligned_to(c.x, 16) || !device::aligned_to(c.skip, 16) || !device::aligned_to(c.weights, 16) ||
      (splits_of(c) > 1 && (!c.workspace || !device::aligned_to(c.workspace, 16))))
    return Status(StatusCode::kInvalidArgument,
                  "a convolution on a device: expected pointers aligned to 16 bytes, and a workspace");
  return {};
}

Status convolution_cuda(const ConvolutionCuda& c, cudaStream_t stream) {
  if (Status status = check_convolution_cuda(c); !status.ok() || c.images == 0) return status;
  if (c.engine == ProductEngine::kLibrary)
    return Status(StatusCode::kUnsupported, "no library of this device has the convolution");
  if (c.dtype == DType::kF32) return start<float>(c, stream);
  return c.dtype == DType::kF16 ? start<device::F16>(c, stream) : start<device::BF16>(c, stream);
}

Status finish_convolution_cuda(const FinishConvolutionCuda& f, cudaStream_t stream) {
  const ConvolutionCuda& c = f.convolution;
  if (!library_serves(c))
    return Status(StatusCode::kUnsupported, "no library leaves the sums of this convolution");
  if (c.images == 0) return {};
  if (!f.sums || !c.y || !device::aligned_to(f.sums, 8) || !in_quads(c))
    return Status(StatusCode::kInvalidArgument,
                  "the sums of a convolution: expected pointers aligned to four values");
  return c.dtype == DType::kF16 ? start_finish<device::F16>(f, stream)
                                : start_finish<device::BF16>(f, stream);
}

}  // namespace weft
