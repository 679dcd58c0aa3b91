// A block takes kBlockChannels channels of a run of pixels, a warp one pixel after another: a lane keeps its four channels, so that
// what belongs to channels stays in registers.

#include "kernels/ops/group_norm/group_norm_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

using device::Quad;

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kBlockChannels = 128;
constexpr int kAppliedPixels = 32;  // of a block that applies
constexpr int kJoinThreads = 128;

struct Images {
  const void* x;
  const void* skip;
  int pixels, channels, skip_channels;
  int64_t image_stride;  // in pixels
};

/// Channel j of the lane's four. kVector: they are adjacent; else a warp's are, so that any alignment will do.
template <bool kVector>
__device__ __forceinline__ int channel(int j) {
  const int lane = static_cast<int>(threadIdx.x % 32), first = static_cast<int>(blockIdx.x) * kBlockChannels;
  return kVector ? first + lane * 4 + j : first + j * 32 + lane;
}

template <typename T>
__device__ __forceinline__ const T* place(const Images& in, int64_t pixel, int c) {
  return c < in.channels ? static_cast<const T*>(in.x) + pixel * in.channels + c
                         : static_cast<const T*>(in.skip) + pixel * in.skip_channels + (c - in.channels);
}

/// The lane's four channels of a pixel (of all images'); zeros beyond the last channel.
template <bool kVector, typename T>
__device__ __forceinline__ Quad load_channels(const Images& in, int64_t pixel) {
  const int all = in.channels + in.skip_channels;
  Quad q = {};
  if constexpr (kVector) {
    if (channel<true>(0) < all) q = device::load_quad(place<T>(in, pixel, channel<true>(0)));
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (channel<false>(j) < all) q.v[j] = device::to_f32(*place<T>(in, pixel, channel<false>(j)));
  }
  return q;
}

template <bool kVector, typename T>
__device__ __forceinline__ void store_channels(T* y, int channels, int64_t pixel, Quad q) {
  if constexpr (kVector) {
    if (channel<true>(0) < channels) device::store_quad(y + pixel * channels + channel<true>(0), q);
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (channel<false>(j) < channels) y[pixel * channels + channel<false>(j)] = device::from_f32<T>(q.v[j]);
  }
}

/// sums: [images, runs, 2, channels]: of values less the image's first, and of their squares.
template <typename T, bool kVector>
__global__ void __launch_bounds__(kThreads, 4) channel_sums(Images in, int run_pixels, float* sums) {
  // Rows of 32 lanes, kPitch apart: lanes that read four rows, eight lanes of each, meet no bank twice.
  constexpr int kPitch = 40;
  WEFT_SHARED(float, partial, 2 * kWarps * 4 * kPitch);
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int64_t image = static_cast<int64_t>(blockIdx.z) * in.image_stride;
  const int begin = static_cast<int>(blockIdx.y) * run_pixels, end = min(begin + run_pixels, in.pixels);
  const Quad first = load_channels<kVector, T>(in, image);
  Quad sum = {}, squares = {};
#pragma unroll(kVector ? 4 : 1)
  for (int pixel = begin + warp; pixel < end; pixel += kWarps) {
    const Quad x = load_channels<kVector, T>(in, image + pixel);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float d = x.v[j] - first.v[j];
      sum.v[j] += d;
      squares.v[j] += d * d;
    }
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    partial[(warp * 4 + j) * kPitch + lane] = sum.v[j];
    partial[((kWarps + warp) * 4 + j) * kPitch + lane] = squares.v[j];
  }
  __syncthreads();
  // Four warps take the sums, four the squares; a warp 32 adjacent channels.
  const int of = warp / 4, within = warp % 4 * 32 + lane;
  const int at = kVector ? within % 4 * kPitch + within / 4 : within / 32 * kPitch + within % 32;
  float total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) total += partial[(of * kWarps + w) * 4 * kPitch + at];
  const int all = in.channels + in.skip_channels, c = static_cast<int>(blockIdx.x) * kBlockChannels + within;
  if (c < all) sums[((static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * 2 + of) * all + c] = total;
}

struct Join {
  Images in;
  const float* sums;
  int runs, group_channels;
  float epsilon;
  const float* weight;
  const float* bias;
  float* scale;
  float* shift;
};

/// One block a group of an image.
template <typename T>
__global__ void __launch_bounds__(kJoinThreads) join_groups(Join g) {
  WEFT_SHARED(float, partial_mean, kJoinThreads / 32);
  WEFT_SHARED(float, partial_squares, kJoinThreads / 32);
  const int all = g.in.channels + g.in.skip_channels, first = static_cast<int>(blockIdx.x) * g.group_channels;
  const int thread = static_cast<int>(threadIdx.x), count = g.runs * g.group_channels;
  const int64_t image = static_cast<int64_t>(blockIdx.y) * g.in.image_stride;
  const float pixels = static_cast<float>(g.in.pixels);
  const float origin = device::to_f32(*place<T>(g.in, image, first));
  const float* sums = g.sums + static_cast<int64_t>(blockIdx.y) * g.runs * 2 * all + first;
  // The mean less `origin`: of channels' first values, and of what lies above those.
  float sum = 0;
  for (int c = thread; c < g.group_channels; c += kJoinThreads)
    sum += (device::to_f32(*place<T>(g.in, image, first + c)) - origin) * pixels;
  for (int i = thread; i < count; i += kJoinThreads)
    sum += sums[static_cast<int64_t>(i / g.group_channels) * 2 * all + i % g.group_channels];
  const float n = pixels * static_cast<float>(g.group_channels);
  const float mean = device::block_sum<kJoinThreads>(sum, partial_mean) / n;
  // (x - mean)^2 = d^2 + 2 d apart + apart^2, d: less the channel's first value; apart: that one, less the mean.
  float squares = 0;
  for (int i = thread; i < count; i += kJoinThreads) {
    const int run = i / g.group_channels, c = i % g.group_channels;
    const float apart = device::to_f32(*place<T>(g.in, image, first + c)) - origin - mean;
    const float* at = sums + static_cast<int64_t>(run) * 2 * all + c;
    squares += at[all] + 2 * at[0] * apart;
    if (run == 0) squares += pixels * apart * apart;
  }
  const float variance = device::block_sum<kJoinThreads>(squares, partial_squares) / n;
  const float inverse = rsqrtf(fmaxf(variance, 0.0f) + g.epsilon);
  for (int c = first + thread; c < first + g.group_channels; c += kJoinThreads) {
    const float scale = inverse * (g.weight != nullptr ? g.weight[c] : 1.0f);
    const int64_t to = static_cast<int64_t>(blockIdx.y) * all + c;
    g.scale[to] = scale;
    g.shift[to] = (g.bias != nullptr ? g.bias[c] : 0.0f) - (origin + mean) * scale;
  }
}

struct JoinImages {
  Images in;
  const float* sums;
  int images, runs;
  float* mean;
  float* squares;
};

/// A block takes 32 channels, a lane each; a warp one image after another.
template <typename T>
__global__ void __launch_bounds__(kThreads) join_images(JoinImages g) {
  WEFT_SHARED(float, partial_sum, kThreads);
  WEFT_SHARED(float, partial_squares, kThreads);
  const int thread = static_cast<int>(threadIdx.x), channels = g.in.channels;
  const int c = static_cast<int>(blockIdx.x) * 32 + thread % 32;
  const float pixels = static_cast<float>(g.in.pixels);
  const float origin = c < channels ? device::to_f32(*place<T>(g.in, 0, c)) : 0.0f;
  // Of values less `origin`, which are those of the image's sums and `apart`.
  float sum = 0, squares = 0;
  for (int image = thread / 32; c < channels && image < g.images; image += kWarps) {
    const float apart = device::to_f32(*place<T>(g.in, image * g.in.image_stride, c)) - origin;
    const float* at = g.sums + static_cast<int64_t>(image) * g.runs * 2 * channels + c;
    for (int run = 0; run < g.runs; ++run, at += 2 * channels) {
      sum += at[0];
      squares += at[channels] + 2 * at[0] * apart;
    }
    sum += pixels * apart;
    squares += pixels * apart * apart;
  }
  partial_sum[thread] = sum;
  partial_squares[thread] = squares;
  __syncthreads();
  if (thread >= 32 || c >= channels) return;
#pragma unroll
  for (int w = 1; w < kWarps; ++w) {
    sum += partial_sum[w * 32 + thread];
    squares += partial_squares[w * 32 + thread];
  }
  const float mean = sum / (pixels * static_cast<float>(g.images));
  g.mean[c] = origin + mean;
  g.squares[c] = fmaxf(squares - sum * mean, 0.0f);
}

struct Groups {
  const float* mean;
  const float* squares;
  float pixels;
  int group_channels;
  float epsilon;
  const float* weight;
  const float* bias;
  float* scale;
  float* shift;
};

/// One block a group.
__global__ void __launch_bounds__(kJoinThreads) scale_groups(Groups g) {
  WEFT_SHARED(float, partial_mean, kJoinThreads / 32);
  WEFT_SHARED(float, partial_squares, kJoinThreads / 32);
  const int first = static_cast<int>(blockIdx.x) * g.group_channels, end = first + g.group_channels;
  const int thread = static_cast<int>(threadIdx.x);
  const float origin = g.mean[first], each = static_cast<float>(g.group_channels);
  float sum = 0;
  for (int c = first + thread; c < end; c += kJoinThreads) sum += g.mean[c] - origin;
  const float mean = device::block_sum<kJoinThreads>(sum, partial_mean) / each;
  float squares = 0;
  for (int c = first + thread; c < end; c += kJoinThreads) {
    const float apart = g.mean[c] - origin - mean;
    squares += g.squares[c] + g.pixels * apart * apart;
  }
  const float variance = device::block_sum<kJoinThreads>(squares, partial_squares) / (g.pixels * each);
  const float inverse = rsqrtf(variance + g.epsilon);
  for (int c = first + thread; c < end; c += kJoinThreads) {
    const float scale = inverse * (g.weight != nullptr ? g.weight[c] : 1.0f);
    g.scale[c] = scale;
    g.shift[c] = (g.bias != nullptr ? g.bias[c] : 0.0f) - (origin + mean) * scale;
  }
}

struct Apply {
  Images in;
  const float* scale;
  const float* shift;
  void* y;
  int y_channels;
  int64_t y_image_stride;  // in pixels
  bool silu;
};

template <typename In, typename Out, bool kVector>
__global__ void __launch_bounds__(kThreads, 4) apply_scale_shift(Apply a) {
  const int warp = static_cast<int>(threadIdx.x / 32), all = a.in.channels + a.in.skip_channels;
  const int64_t image = static_cast<int64_t>(blockIdx.z) * a.in.image_stride;
  const int64_t y_image = static_cast<int64_t>(blockIdx.z) * a.y_image_stride;
  Quad scale = {{1, 1, 1, 1}}, shift = {};
  if (a.scale != nullptr) {
    const int64_t at = static_cast<int64_t>(blockIdx.z) * all;
    if constexpr (kVector) {
      if (channel<true>(0) < all) {
        scale = device::load_quad(a.scale + at + channel<true>(0));
        shift = device::load_quad(a.shift + at + channel<true>(0));
      }
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (channel<false>(j) >= all) continue;
        scale.v[j] = a.scale[at + channel<false>(j)];
        shift.v[j] = a.shift[at + channel<false>(j)];
      }
    }
  }
  const int begin = static_cast<int>(blockIdx.y) * kAppliedPixels,
            end = min(begin + kAppliedPixels, a.in.pixels);
#pragma unroll(kVector ? 4 : 1)
  for (int pixel = begin + warp; pixel < end; pixel += kWarps) {
    const Quad x = load_channels<kVector, In>(a.in, image + pixel);
    Quad y;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float v = x.v[j] * scale.v[j] + shift.v[j];
      y.v[j] = channel<kVector>(j) >= all ? 0.0f : a.silu ? v / (1.0f + expf(-v)) : v;
    }
    store_channels<kVector>(static_cast<Out*>(a.y), a.y_channels, y_image + pixel, y);
  }
}

Images images_of(const JoinedImages& in) {
  return {in.x,
          in.skip,
          static_cast<int>(in.pixels),
          static_cast<int>(in.channels),
          static_cast<int>(in.skip_channels),
          in.image_stride > 0 ? in.image_stride : in.pixels};
}

bool in_quads(const JoinedImages& in) {
  const auto quad = static_cast<size_t>(4 * size_bytes(in.dtype));
  return in.channels % 4 == 0 && in.skip_channels % 4 == 0 && device::aligned_to(in.x, quad) &&
         device::aligned_to(in.skip, quad);
}

dim3 grid_of(int64_t channels, int64_t pixel_blocks, int64_t images) {
  return dim3(static_cast<unsigned>((channels + kBlockChannels - 1) / kBlockChannels),
              static_cast<unsigned>(pixel_blocks), static_cast<unsigned>(images));
}

Status check(const JoinedImages& in) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (in.images < 0 || in.images > 65535 || in.pixels < 1 || in.pixels > 2000000 || in.channels < 1 ||
      in.channels > kMost / 4 || in.skip_channels < 0 || in.skip_channels > kMost / 4)
    return Status(StatusCode::kInvalidShape, "images on a device: an impossible shape")
        .expected("at most 65535 images of 1 to 2000000 pixels with channels")
        .got(std::to_string(in.images) + " of " + std::to_string(in.pixels) + ", " +
             std::to_string(in.channels) + " + " + std::to_string(in.skip_channels) + " channels");
  if (in.image_stride != 0 && (in.image_stride < in.pixels || in.image_stride > kMost))
    return Status(StatusCode::kInvalidShape, "images on a device overlap")
        .expected("at least " + std::to_string(in.pixels) + " pixels from one to the next")
        .got(std::to_string(in.image_stride));
  if (in.images > 0 && (!in.x || (in.skip_channels > 0 && !in.skip)))
    return Status(StatusCode::kInvalidArgument, "images on a device: a pointer is null");
  return {};
}

template <typename T>
Status start_sums(const JoinedImages& in, float* sums, cudaStream_t stream) {
  const Images images = images_of(in);
  const dim3 grid = grid_of(in.all_channels(), group_norm_runs(in.pixels), in.images);
  const auto pixels = static_cast<int>(group_norm_run_pixels(in.pixels));
  return in_quads(in) ? device::launch(stream, "channel_sums", grid, kThreads, 0, channel_sums<T, true>,
                                       images, pixels, sums)
                      : device::launch(stream, "channel_sums", grid, kThreads, 0, channel_sums<T, false>,
                                       images, pixels, sums);
}

template <typename T>
Status start_moments(const ChannelMomentsCuda& m, cudaStream_t stream) {
  if (Status summed = start_sums<T>(m.in, m.workspace, stream); !summed.ok()) return summed;
  const JoinImages join = {images_of(m.in),
                           m.workspace,
                           static_cast<int>(m.in.images),
                           static_cast<int>(group_norm_runs(m.in.pixels)),
                           m.mean,
                           m.squares};
  return device::launch(stream, "join_images", dim3(static_cast<unsigned>((m.in.channels + 31) / 32)),
                        kThreads, 0, join_images<T>, join);
}

template <typename T>
Status start_statistics(const GroupNormCuda& g, cudaStream_t stream) {
  const Images in = images_of(g.in);
  const int64_t n_runs = group_norm_runs(g.in.pixels);
  if (Status summed = start_sums<T>(g.in, g.workspace, stream); !summed.ok()) return summed;
  const Join join = {in,
                     g.workspace,
                     static_cast<int>(n_runs),
                     static_cast<int>(g.in.all_channels() / g.groups),
                     g.epsilon,
                     g.weight,
                     g.bias,
                     g.scale,
                     g.shift};
  return device::launch(stream, "join_groups",
                        dim3(static_cast<unsigned>(g.groups), static_cast<unsigned>(g.in.images)),
                        kJoinThreads, 0, join_groups<T>, join);
}

template <typename In, typename Out>
Status start_apply(const ScaleShiftCuda& s, cudaStream_t stream) {
  const Apply apply = {images_of(s.in),
                       s.scale,
                       s.shift,
                       s.y,
                       static_cast<int>(s.y_channels),
                       s.y_image_stride > 0 ? s.y_image_stride : s.in.pixels,
                       s.activation == ScaleShiftActivation::kSilu};
  const dim3 grid = grid_of(s.y_channels, (s.in.pixels + kAppliedPixels - 1) / kAppliedPixels, s.in.images);
  const bool vector = in_quads(s.in) && s.y_channels % 4 == 0 && device::aligned_to(s.y, 4 * sizeof(Out)) &&
                      device::aligned_to(s.scale, 16) && device::aligned_to(s.shift, 16);
  return vector ? device::launch(stream, "apply_scale_shift", grid, kThreads, 0,
                                 apply_scale_shift<In, Out, true>, apply)
                : device::launch(stream, "apply_scale_shift", grid, kThreads, 0,
                                 apply_scale_shift<In, Out, false>, apply);
}

Status check_groups(int64_t groups, int64_t channels, float epsilon) {
  if (groups < 1 || groups > 65535 || channels % groups != 0)
    return Status(StatusCode::kInvalidShape, "group norm on a device: groups do not divide the channels")
        .got(std::to_string(groups) + " groups of " + std::to_string(channels));
  if (!(epsilon > 0))
    return Status(StatusCode::kInvalidArgument, "group norm on a device: epsilon must be positive")
        .got(std::to_string(epsilon));
  return {};
}

}  // namespace

Status channel_moments_cuda(const ChannelMomentsCuda& m, cudaStream_t stream) {
  if (Status status = check(m.in); !status.ok()) return status;
  if (m.in.images < 1)
    return Status(StatusCode::kInvalidShape, "moments of channels on a device: there are no values");
  if (m.in.skip_channels > 0)
    return Status(StatusCode::kUnsupported, "moments of channels on a device: a skip connection");
  if (!m.workspace || !m.mean || !m.squares)
    return Status(StatusCode::kInvalidArgument, "moments of channels on a device: a pointer is null");
  switch (m.in.dtype) {
    case DType::kF32: return start_moments<float>(m, stream);
    case DType::kF16: return start_moments<device::F16>(m, stream);
    case DType::kBF16: return start_moments<device::BF16>(m, stream);
    default: break;
  }
  return Status(StatusCode::kUnsupported, "moments of channels on a device take f32, f16 and bf16");
}

Status moments_scale_cuda(const MomentsScaleCuda& m, cudaStream_t stream) {
  if (m.pixels < 1 || m.channels < 1 || m.channels > int64_t{1} << 29)
    return Status(StatusCode::kInvalidShape, "moments of channels on a device: an impossible shape")
        .got(std::to_string(m.pixels) + " pixels of " + std::to_string(m.channels) + " channels");
  if (Status status = check_groups(m.groups, m.channels, m.epsilon); !status.ok()) return status;
  if (!m.mean || !m.squares || !m.scale || !m.shift)
    return Status(StatusCode::kInvalidArgument, "moments of channels on a device: a pointer is null");
  const Groups groups = {m.mean,
                         m.squares,
                         static_cast<float>(m.pixels),
                         static_cast<int>(m.channels / m.groups),
                         m.epsilon,
                         m.weight,
                         m.bias,
                         m.scale,
                         m.shift};
  return device::launch(stream, "scale_groups", dim3(static_cast<unsigned>(m.groups)), kJoinThreads, 0,
                        scale_groups, groups);
}

Status group_norm_scale_cuda(const GroupNormCuda& g, cudaStream_t stream) {
  if (Status status = check(g.in); !status.ok()) return status;
  if (Status status = check_groups(g.groups, g.in.all_channels(), g.epsilon); !status.ok()) return status;
  if (g.in.images == 0) return {};
  if (!g.workspace || !g.scale || !g.shift)
    return Status(StatusCode::kInvalidArgument, "group norm on a device: a pointer is null");
  switch (g.in.dtype) {
    case DType::kF32: return start_statistics<float>(g, stream);
    case DType::kF16: return start_statistics<device::F16>(g, stream);
    case DType::kBF16: return start_statistics<device::BF16>(g, stream);
    default: break;
  }
  return Status(StatusCode::kUnsupported, "group norm on a device takes f32, f16 and bf16");
}

Status scale_shift_cuda(const ScaleShiftCuda& s, cudaStream_t stream) {
  if (Status status = check(s.in); !status.ok()) return status;
  if (s.y_channels < s.in.all_channels() || s.y_channels > int64_t{1} << 29)
    return Status(StatusCode::kInvalidShape, "scale and shift on a device: too few channels for the result")
        .expected("at least " + std::to_string(s.in.all_channels()))
        .got(std::to_string(s.y_channels));
  if (s.y_image_stride != 0 && s.y_image_stride < s.in.pixels)
    return Status(StatusCode::kInvalidShape, "scale and shift on a device: images of the result overlap")
        .expected("at least " + std::to_string(s.in.pixels) + " pixels from one to the next")
        .got(std::to_string(s.y_image_stride));
  if (s.in.images == 0) return {};
  if (!s.y || !s.scale != !s.shift)
    return Status(StatusCode::kInvalidArgument,
                  "scale and shift on a device: a null pointer, or a scale without its shift");
  const DType in = s.in.dtype, out = s.y_dtype;
  using device::BF16, device::F16;
  if (in == DType::kF32 && out == DType::kF32) return start_apply<float, float>(s, stream);
  if (in == DType::kF32 && out == DType::kBF16) return start_apply<float, BF16>(s, stream);
  if (in == DType::kF32 && out == DType::kF16) return start_apply<float, F16>(s, stream);
  if (in == DType::kBF16 && out == DType::kBF16) return start_apply<BF16, BF16>(s, stream);
  if (in == DType::kBF16 && out == DType::kF32) return start_apply<BF16, float>(s, stream);
  if (in == DType::kF16 && out == DType::kF16) return start_apply<F16, F16>(s, stream);
  if (in == DType::kF16 && out == DType::kF32) return start_apply<F16, float>(s, stream);
  return Status(StatusCode::kUnsupported, "scale and shift on a device: these types do not go together");
}

}  // namespace weft
