// Plain formats: one warp a row of W, 16 bytes a lane and load, several loads ahead of their use and of the launch's x.

#include "kernels/ops/matmul/gemv_work.h"
#include "kernels/quant/weight_blocks_device.h"

namespace weft {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kAhead = 4;  // loads of a lane

/// Adjacent weights that a lane loads at once.
template <typename T, int kElements>
struct Piece {
  uint32_t w[kElements * sizeof(T) / 4];
  __device__ __forceinline__ void load(const T* p) {
    if constexpr (sizeof w == 16) {
      const device::Words4 v = device::load16(p);
      for (int i = 0; i < 4; ++i) w[i] = v.w[i];
    } else {
      const device::Words2 v = device::load8(p);
      for (int i = 0; i < 2; ++i) w[i] = v.w[i];
    }
  }
  __device__ __forceinline__ float at(int i) const {
    if constexpr (sizeof(T) == 4) return __uint_as_float(w[i]);
    else return device::to_f32(device::from_bits<T>(w[i / 2] >> 16 * (i % 2) & 0xffff));
  }
};

/// kAhead pieces of a row, from `at` on; zeros past its end.
template <typename T, int kElements>
struct Stretch {
  Piece<T, kElements> piece[kAhead];
  __device__ __forceinline__ void load(const T* row, int64_t at, int64_t k) {
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      piece[i] = {};
      if (const int64_t e = at + i * 32 * kElements; e < k) piece[i].load(row + e);
    }
  }
};

/// 1 / sqrt(mean(x^2) + epsilon), by the whole block.
__device__ __forceinline__ float norm_scale(const GemvWork& work, const float* x, float* partial) {
  float sum = 0;
  for (int64_t at = threadIdx.x * 4; at < work.k; at += kThreads * 4) {
    const device::Quad q = device::load_quad(x + at);
    for (int j = 0; j < 4; ++j) sum += q.v[j] * q.v[j];
  }
  return rsqrtf(device::block_sum<kThreads>(sum, partial) / static_cast<float>(work.k) + work.epsilon);
}

/// The product of a row of W with x times the norm's weights, in every lane. ahead: the row's first pieces.
template <typename T, int kElements>
__device__ __forceinline__ float row_product(const GemvWork& work, const T* row, const float* x,
                                             Stretch<T, kElements> ahead) {
  constexpr int64_t kStride = 32 * kElements * kAhead;
  float sum = 0;
  for (int64_t at = threadIdx.x % 32 * kElements; at < work.k; at += kStride) {
    const Stretch<T, kElements> here = ahead;
    ahead.load(row, at + kStride, work.k);
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int64_t e = at + i * 32 * kElements;
      if (e >= work.k) break;
#pragma unroll
      for (int quad = 0; quad < kElements; quad += 4) {
        device::Quad v = device::load_quad(x + e + quad);
        if (work.norm_weight != nullptr) {
          const device::Quad g = device::load_quad(work.norm_weight + e + quad);
          for (int j = 0; j < 4; ++j) v.v[j] *= g.v[j];
        }
        for (int j = 0; j < 4; ++j) sum += here.piece[i].at(quad + j) * v.v[j];
      }
    }
  }
  return device::warp_sum(sum);
}

template <typename T, int kElements>
__global__ void __launch_bounds__(kThreads) gemv_rows(GemvWork work) {
  WEFT_SHARED(float, partial, kWarps);
  device::let_next_start();
  const GemvOperand& matrix = work.first;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const T* const w = reinterpret_cast<const T*>(matrix.w) + row * work.k;
  Stretch<T, kElements> ahead = {};
  if (row < matrix.n) ahead.load(w, threadIdx.x % 32 * kElements, work.k);
  device::wait_for_previous();
  const float* x = work.x + blockIdx.y * work.k;
  const float scale = work.norm_weight != nullptr ? norm_scale(work, x, partial) : 1.0f;
  if (row >= matrix.n) return;
  const float y = row_product<T, kElements>(work, w, x, ahead) * scale;
  float factor = 1;
  if (work.up != nullptr) {
    const T* const up = reinterpret_cast<const T*>(work.up) + row * work.k;
    ahead.load(up, threadIdx.x % 32 * kElements, work.k);
    factor = row_product<T, kElements>(work, up, x, ahead) * scale;
  }
  if (threadIdx.x % 32 == 0) finish(work, matrix, y, factor, blockIdx.y, row);
}

template <typename T>
Status start(const GemvCuda& g, cudaStream_t stream) {
  GemvWork work = gemv_work(g);
  constexpr int kMost = 16 / sizeof(T);
  const auto kernel = g.k % kMost == 0 ? gemv_rows<T, kMost> : gemv_rows<T, 4>;
  for (const GemvOperand& matrix : {work.first, work.more[0], work.more[1]}) {
    if (matrix.n == 0) continue;
    work.first = matrix;
    const dim3 grid(static_cast<unsigned>((matrix.n + kWarps - 1) / kWarps), static_cast<unsigned>(g.m));
    if (Status status = device::launch_early(stream, "gemv", grid, kThreads, 0, kernel, work); !status.ok())
      return status;
  }
  return {};
}

Status check(const GemvCuda& g) {
  const int elements = block_layout(g.format).elements;
  if (g.m < 0 || g.m > 65535 || g.n < 0 || g.n > kMaxGemvCudaRows || g.k < 1 || g.k % elements != 0 ||
      g.k % 4 != 0)
    return Status(StatusCode::kInvalidShape, "a product on a device: an impossible shape")
        .expected("m in [0, 65535], n in [0, 2^30], k a multiple of 4 and of the block's " +
                  std::to_string(elements))
        .got("m " + std::to_string(g.m) + ", n " + std::to_string(g.n) + ", k " + std::to_string(g.k));
  if (lies_in_tiles(g.format) && g.k > kMaxGemvCudaDepth)
    return Status(StatusCode::kInvalidShape,
                  "a product on a device: rows of quantised weights that are too long")
        .expected("k of at most " + std::to_string(kMaxGemvCudaDepth))
        .got(std::to_string(g.k));
  if (g.m == 0 || g.n == 0) return {};
  if (!g.w || !g.x || !g.y)
    return Status(StatusCode::kInvalidArgument, "a product on a device: a pointer is null");
  bool several = false;
  for (const GemvMatrix& matrix : g.more) {
    if (matrix.n < 0 || matrix.n > kMaxGemvCudaRows || (matrix.n > 0 && (!matrix.w || !matrix.y)))
      return Status(StatusCode::kInvalidArgument,
                    "a product on a device: a further matrix without weights or place");
    several |= matrix.n > 0;
  }
  if (several && (g.up || g.f || g.added))
    return Status(StatusCode::kInvalidArgument,
                  "a product on a device: a gate, an activation or an addition goes with one matrix alone");
  for (const void* p : {g.w, g.up, static_cast<const void*>(g.x), static_cast<const void*>(g.norm_weight),
                        g.more[0].w, g.more[1].w}) {
    if (!device::aligned_to(p, 16))
      return Status(StatusCode::kInvalidArgument,
                    "a product on a device: expected pointers aligned to 16 bytes");
  }
  if (g.norm_weight && !(g.epsilon > 0))
    return Status(StatusCode::kInvalidArgument, "a product on a device: epsilon must be positive")
        .got(std::to_string(g.epsilon));
  return {};
}

}  // namespace

Status gemv_cuda(const GemvCuda& g, cudaStream_t stream) {
  if (Status status = check(g); !status.ok() || g.m == 0 || g.n == 0) return status;
  switch (g.format) {
    case WeightFormat::kF32: return start<float>(g, stream);
    case WeightFormat::kF16: return start<device::F16>(g, stream);
    case WeightFormat::kBF16: return start<device::BF16>(g, stream);
    default: return gemv_of_tiles(g, stream);
  }
}

}  // namespace weft
