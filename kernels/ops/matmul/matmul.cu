// A block makes 32 x 64 of y, a thread 4 x 4 of them, 32 of k at a time. Eight lanes read 32 adjacent elements of a row; in shared
// memory k goes down the rows, whose odd length keeps both the writes and the reads of a warp in different banks.

#include "kernels/ops/matmul/matmul_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 32, kCols = 64, kDepth = 32;  // of x, of W, of k
constexpr int kXStride = kRows + 1, kWStride = kCols + 1;

struct Work {
  const void* w;
  const float* x;
  float* y;
  const float* bias;
  const float* added;
  int m, n, k;
};

/// Puts the four elements of a quad below each other.
__device__ __forceinline__ void put_down(float* tile, int stride, device::Quad q) {
#pragma unroll
  for (int j = 0; j < 4; ++j) tile[j * stride] = q.v[j];
}

template <typename T>
__global__ void __launch_bounds__(kThreads) matmul_tiles(Work work) {
  WEFT_SHARED(float, x_tile, kDepth* kXStride);
  WEFT_SHARED(float, w_tile, kDepth* kWStride);
  const int thread = static_cast<int>(threadIdx.x);
  const int quad = thread % 8 * 4, line = thread / 8;  // when reading
  const int across = thread % 16, down = thread / 16;  // when multiplying
  const int first_row = static_cast<int>(blockIdx.y) * kRows,
            first_col = static_cast<int>(blockIdx.x) * kCols;
  const T* const w = static_cast<const T*>(work.w);
  float sum[4][4] = {};
  for (int k = 0; k < work.k; k += kDepth) {
    const int at = k + quad;
    for (int r = line; r < kRows; r += kThreads / 8) {
      device::Quad q = {};
      if (first_row + r < work.m && at < work.k)
        q = device::load_quad(work.x + static_cast<int64_t>(first_row + r) * work.k + at);
      put_down(x_tile + quad * kXStride + r, kXStride, q);
    }
    for (int c = line; c < kCols; c += kThreads / 8) {
      device::Quad q = {};
      if (first_col + c < work.n && at < work.k)
        q = device::load_quad(w + static_cast<int64_t>(first_col + c) * work.k + at);
      put_down(w_tile + quad * kWStride + c, kWStride, q);
    }
    __syncthreads();
#pragma unroll 4
    for (int d = 0; d < kDepth; ++d) {
      float a[4], b[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] = x_tile[d * kXStride + down + i * (kRows / 4)];
#pragma unroll
      for (int j = 0; j < 4; ++j) b[j] = w_tile[d * kWStride + across + j * (kCols / 4)];
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] += a[i] * b[j];
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = first_row + down + i * (kRows / 4);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int col = first_col + across + j * (kCols / 4);
      if (row >= work.m || col >= work.n) continue;
      const int64_t to = static_cast<int64_t>(row) * work.n + col;
      float y = sum[i][j];
      if (work.bias != nullptr) y += work.bias[col];
      if (work.added != nullptr) y += work.added[to];
      work.y[to] = y;
    }
  }
}

Status check(const MatmulCuda& p) {
  constexpr int64_t kMost = 1 << 30;
  if (p.m < 0 || p.m > 1 << 20 || p.n < 0 || p.n > kMost || p.k < 1 || p.k > kMost || p.k % 4 != 0)
    return Status(StatusCode::kInvalidShape, "a matrix product on a device: an impossible shape")
        .expected("m in [0, 2^20], n in [0, 2^30], k a multiple of 4")
        .got("m " + std::to_string(p.m) + ", n " + std::to_string(p.n) + ", k " + std::to_string(p.k));
  if (p.m == 0 || p.n == 0) return {};
  if (!p.w || !p.x || !p.y)
    return Status(StatusCode::kInvalidArgument, "a matrix product on a device: a pointer is null");
  if (!device::aligned_to(p.w, 16) || !device::aligned_to(p.x, 16))
    return Status(StatusCode::kInvalidArgument,
                  "a matrix product on a device: expected pointers aligned to 16 bytes");
  return {};
}

}  // namespace

Status matmul_cuda(const MatmulCuda& p, cudaStream_t stream) {
  if (Status status = check(p); !status.ok() || p.m == 0 || p.n == 0) return status;
  const Work work = {
      p.w, p.x, p.y, p.bias, p.added, static_cast<int>(p.m), static_cast<int>(p.n), static_cast<int>(p.k)};
  const dim3 grid(static_cast<unsigned>((p.n + kCols - 1) / kCols),
                  static_cast<unsigned>((p.m + kRows - 1) / kRows));
  const auto start = [&](auto kernel) {
    return device::launch(stream, "matmul_tiles", grid, kThreads, 0, kernel, work);
  };
  switch (p.format) {
    case WeightFormat::kF32: return start(matmul_tiles<float>);
    case WeightFormat::kF16: return start(matmul_tiles<device::F16>);
    case WeightFormat::kBF16: return start(matmul_tiles<device::BF16>);
    default: break;
  }
  return Status(StatusCode::kUnsupported, "matrix products on a device of many rows do not read " +
                                              std::string(block_layout(p.format).name));
}

}  // namespace weft
