// Quantised formats: a block of warps makes 16 rows of y after another, each warp a superblock or two blocks of k at a time; x is
// quantised first, by the whole block, into shared memory. Plain formats: one warp a row of W, each lane four adjacent weights of every 128.

#include <algorithm>

#include "kernels/ops/activation/activation_device.h"
#include "kernels/ops/matmul/gemv_cuda.h"
#include "kernels/ops/matmul/quantised_tile.h"

namespace weft {
namespace {

/// One product of a launch.
struct Matrix {
  const uint8_t* w;
  float* y;
  const float* bias;
  int64_t n;
};

struct Work {
  Matrix first;
  const uint8_t* up;
  const float* x;
  const float* norm_weight;
  const float* added;
  int64_t m, k, tiles;
  float epsilon;
  bool activates;
  Activation f;
  Matrix more[2];
};

/// y = f(y + bias) * factor + added, as far as there are such, of the element at `row` of token `token`.
__device__ __forceinline__ void finish(const Work& work, const Matrix& matrix, float y, float factor,
                                       int64_t token, int64_t row) {
  if (matrix.bias != nullptr) y += matrix.bias[row];
  if (work.activates) y = device::activated(work.f, y);
  if (work.up != nullptr) y *= factor;
  const int64_t at = token * matrix.n + row;
  if (work.added != nullptr) y += work.added[at];
  matrix.y[at] = y;
}

constexpr int kTileRows = 16;
/// A warp takes a superblock at a time, or two blocks, of which the rows of small models have nine to twelve.
template <WeightFormat kFormat>
constexpr int kTileWarps = device::Block<kFormat>::kElements == 256 ? 8 : 12;

/// Quantises the block's rows of x, times the norm's weights, into shared memory, and leaves each warp's sums of their squares.
template <int kTokens>
__device__ __forceinline__ void quantise_rows(const Work& work, unsigned char* bytes,
                                              device::RunScale* scales, float* squares) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int k = static_cast<int>(work.k);
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    const int64_t token = static_cast<int64_t>(blockIdx.y) * kTokens + t;
    float square = 0;
    for (int base = warp * 128; base < k; base += static_cast<int>(blockDim.x) * 4) {
      const int e = base + lane * 4, run = e / device::kRunElements;
      const bool present = e < k;
      device::Quad x = {};
      if (present && token < work.m) x = device::load_quad(work.x + token * work.k + e);
      if (work.norm_weight != nullptr && present) {
        const device::Quad g = device::load_quad(work.norm_weight + e);
        for (int j = 0; j < 4; ++j) square += x.v[j] * x.v[j], x.v[j] *= g.v[j];
      }
      device::put_run(x, e, present, bytes + (run * kTokens + t) * device::kRunBytes,
                      scales + run * kTokens + t);
    }
    square = device::warp_sum(square);
    if (lane == 0) squares[warp * kTokens + t] = square;
  }
  __syncthreads();
}

/// The products of a tile's rows with the block's rows of x: this warp's part of the runs, left in `sums`.
template <WeightFormat kFormat, int kTokens>
__device__ __forceinline__ void tile_product(const uint8_t* w, int64_t tile, int64_t n, int k,
                                             const unsigned char* bytes, const device::RunScale* scales,
                                             float* sums) {
  using Block = device::Block<kFormat>;
  // A superblock, or two blocks.
  constexpr int kUnit = Block::kElements == 256 ? 8 : 2;
  constexpr int kUnitBytes = kUnit * device::kRunElements / Block::kElements * Block::kBytes;
  constexpr int kPitch = kTokens * device::kRunBytes;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int warps = static_cast<int>(blockDim.x / 32), column = lane / 4, token = lane % 4;
  const int64_t row_bytes = k / Block::kElements * Block::kBytes;
  // Rows past the end are the last one again, whose products nobody takes.
  const int64_t first = min(tile * kTileRows + column, n - 1),
                second = min(tile * kTileRows + column + 8, n - 1);
  const uint8_t *const first_row = w + first * row_bytes, *const second_row = w + second * row_bytes;
  const unsigned char* mine =
      column < 2 * kTokens ? bytes + column * device::kRunElements + token * 8 : nullptr;
  const device::RunScale* const my_scales = scales + min(token, kTokens - 1);
  float y[2] = {0, 0};
  const int runs = k / device::kRunElements;
#pragma unroll kUnit == 8 ? 2 : 4
  for (int unit = warp; unit < runs / kUnit; unit += warps) {
    const uint8_t* const rows[2] = {first_row + unit * kUnitBytes, second_row + unit * kUnitBytes};
    device::take_runs<kFormat, kUnit>(rows, mine != nullptr ? mine + unit * kUnit * kPitch : nullptr, kPitch,
                                      my_scales + unit * kUnit * kTokens, kTokens, y);
  }
  if (runs % kUnit != 0 && warp == 0) {  // of two blocks, one
    const uint8_t* const rows[2] = {first_row + runs / kUnit * kUnitBytes,
                                    second_row + runs / kUnit * kUnitBytes};
    device::take_runs<kFormat, 1>(rows, mine != nullptr ? mine + (runs - 1) * kPitch : nullptr, kPitch,
                                  my_scales + (runs - 1) * kTokens, kTokens, y);
  }
  if (token < kTokens) {
    sums[(warp * kTileRows + column) * kTokens + token] = y[0];
    sums[(warp * kTileRows + column + 8) * kTokens + token] = y[1];
  }
}

template <WeightFormat kFormat, int kTokens>
__global__ void __launch_bounds__(kTileWarps<kFormat> * 32, 2) gemv_tiles(Work work) {
  WEFT_DYNAMIC_SHARED(unsigned char, bytes);
  WEFT_SHARED(float, sums, 2 * kTileWarps<kFormat> * kTileRows * kTokens);
  WEFT_SHARED(float, squares, kTileWarps<kFormat>* kTokens);
  const int k = static_cast<int>(work.k), warps = static_cast<int>(blockDim.x / 32);
  auto* scales =
      reinterpret_cast<device::RunScale*>(bytes + k / device::kRunElements * kTokens * device::kRunBytes);
  quantise_rows<kTokens>(work, bytes, scales, squares);

  float* const factors = sums + kTileWarps<kFormat> * kTileRows * kTokens;
  for (int64_t of_all = blockIdx.x; of_all < work.tiles; of_all += gridDim.x) {
    Matrix matrix = work.first;
    int64_t tile = of_all;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int64_t tiles = (matrix.n + kTileRows - 1) / kTileRows;
      if (tile < tiles) break;
      tile -= tiles, matrix = work.more[i];
    }
    tile_product<kFormat, kTokens>(matrix.w, tile, matrix.n, k, bytes, scales, sums);
    if (work.up != nullptr)
      tile_product<kFormat, kTokens>(work.up, tile, matrix.n, k, bytes, scales, factors);
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kTileRows * kTokens; i += static_cast<int>(blockDim.x)) {
      const int t = i % kTokens;
      const int64_t row = tile * kTileRows + i / kTokens,
                    token = static_cast<int64_t>(blockIdx.y) * kTokens + t;
      if (row >= matrix.n || token >= work.m) continue;
      float y = 0, factor = 0, square = 0;
      for (int warp = 0; warp < warps; ++warp) {
        y += sums[warp * kTileRows * kTokens + i];
        if (work.up != nullptr) factor += factors[warp * kTileRows * kTokens + i];
        square += squares[warp * kTokens + t];
      }
      const float scale =
          work.norm_weight != nullptr ? rsqrtf(square / static_cast<float>(work.k) + work.epsilon) : 1.0f;
      finish(work, matrix, y * scale, factor * scale, token, row);
    }
    __syncthreads();  // the next tile uses the same memory
  }
}

constexpr int kThreads = 128, kWarps = kThreads / 32;

/// 1 / sqrt(mean(x^2) + epsilon), by the whole block.
__device__ __forceinline__ float norm_scale(const Work& work, const float* x, float* partial) {
  float sum = 0;
  for (int64_t at = threadIdx.x * 4; at < work.k; at += kThreads * 4) {
    const device::Quad q = device::load_quad(x + at);
    for (int j = 0; j < 4; ++j) sum += q.v[j] * q.v[j];
  }
  return rsqrtf(device::block_sum<kThreads>(sum, partial) / static_cast<float>(work.k) + work.epsilon);
}

/// Of plain formats: the product of a row of W with x times the norm's weights, in every lane.
template <WeightFormat kFormat>
__device__ __forceinline__ float row_product(const Work& work, const uint8_t* row, const float* x) {
  using Block = device::Block<kFormat>;
  float sum = 0;
#pragma unroll 4
  for (int64_t at = threadIdx.x % 32 * 4; at < work.k; at += 128) {
    const device::Quad w =
        Block::weights(row + at / Block::kElements * Block::kBytes, static_cast<int>(at % Block::kElements));
    device::Quad v = device::load_quad(x + at);
    if (work.norm_weight != nullptr) {
      const device::Quad g = device::load_quad(work.norm_weight + at);
      for (int j = 0; j < 4; ++j) v.v[j] *= g.v[j];
    }
    for (int j = 0; j < 4; ++j) sum += w.v[j] * v.v[j];
  }
  return device::warp_sum(sum);
}

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads) gemv_kernel(Work work) {
  WEFT_SHARED(float, partial, kWarps);
  const Matrix& matrix = work.first;
  const float* x = work.x + blockIdx.y * work.k;
  const float scale = work.norm_weight != nullptr ? norm_scale(work, x, partial) : 1.0f;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= matrix.n) return;
  using Block = device::Block<kFormat>;
  const int64_t row_bytes = work.k / Block::kElements * Block::kBytes;
  const float y = row_product<kFormat>(work, matrix.w + row * row_bytes, x) * scale;
  const float factor =
      work.up != nullptr ? row_product<kFormat>(work, work.up + row * row_bytes, x) * scale : 1.0f;
  if (threadIdx.x % 32 == 0) finish(work, matrix, y, factor, blockIdx.y, row);
}

Matrix matrix_of(const GemvMatrix& m) { return {static_cast<const uint8_t*>(m.w), m.y, m.bias, m.n}; }

template <WeightFormat kFormat, int kTokens>
Status start_tiles(Work work, cudaStream_t stream) {
  // Two blocks a multiprocessor of the largest devices: each quantises x once, for all of its tiles.
  constexpr int64_t kMostBlocks = 264;
  for (const Matrix& matrix : {work.first, work.more[0], work.more[1]})
    work.tiles += (matrix.n + kTileRows - 1) / kTileRows;
  const int64_t runs = work.k / device::kRunElements;
  const int64_t units = device::Block<kFormat>::kElements == 256 ? runs / 8 : runs / 2;
  const int64_t warps = units <= kTileWarps<kFormat> ? std::max<int64_t>(units, 2) : 8;
  const dim3 grid(static_cast<unsigned>(std::min(work.tiles, kMostBlocks)),
                  static_cast<unsigned>((work.m + kTokens - 1) / kTokens));
  return device::launch(stream, "gemv", grid, static_cast<unsigned>(warps * 32),
                        static_cast<size_t>(runs) * kTokens * (device::kRunBytes + sizeof(device::RunScale)),
                        gemv_tiles<kFormat, kTokens>, work);
}

template <WeightFormat kFormat>
Status start(const GemvCuda& g, cudaStream_t stream) {
  const GemvMatrix first{g.w, g.y, g.bias, g.n};
  Work work = {matrix_of(first),
               static_cast<const uint8_t*>(g.up),
               g.x,
               g.norm_weight,
               g.added,
               g.m,
               g.k,
               0,
               g.epsilon,
               g.f.has_value(),
               g.f.value_or(Activation::kSilu),
               {matrix_of(g.more[0]), matrix_of(g.more[1])}};
  if constexpr (device::Block<kFormat>::kQuantised) {
    // Rows of x that go together have their bytes in shared memory, of which several blocks should find room.
    constexpr int64_t kRoom = 96 << 10;
    const auto fits = [&](int64_t tokens) { return work.k * tokens * 5 / 2 <= kRoom; };
    if (g.m > 1 && fits(4)) return start_tiles<kFormat, 4>(work, stream);
    return start_tiles<kFormat, 1>(work, stream);
  } else {
    for (const GemvMatrix& matrix : {first, g.more[0], g.more[1]}) {
      if (matrix.n == 0) continue;
      work.first = matrix_of(matrix);
      const dim3 grid(static_cast<unsigned>((matrix.n + kWarps - 1) / kWarps), static_cast<unsigned>(g.m));
      if (Status status = device::launch(stream, "gemv", grid, kThreads, 0, gemv_kernel<kFormat>, work);
          !status.ok())
        return status;
    }
    return {};
  }
}

Status check(const GemvCuda& g) {
  const int elements = block_layout(g.format).elements;
  if (g.m < 0 || g.m > 65535 || g.n < 0 || g.k < 1 || g.k % elements != 0 || g.k % 4 != 0)
    return Status(StatusCode::kInvalidShape, "a product on a device: an impossible shape")
        .expected("m in [0, 65535], n >= 0, k a multiple of 4 and of the block's " + std::to_string(elements))
        .got("m " + std::to_string(g.m) + ", n " + std::to_string(g.n) + ", k " + std::to_string(g.k));
  if (device::is_quantised(g.format) && g.k > kMaxGemvCudaDepth)
    return Status(StatusCode::kInvalidShape,
                  "a product on a device: rows of quantised weights that are too long")
        .expected("k of at most " + std::to_string(kMaxGemvCudaDepth))
        .got(std::to_string(g.k));
  if (g.m == 0 || g.n == 0) return {};
  if (!g.w || !g.x || !g.y)
    return Status(StatusCode::kInvalidArgument, "a product on a device: a pointer is null");
  bool several = false;
  for (const GemvMatrix& matrix : g.more) {
    if (matrix.n < 0 || (matrix.n > 0 && (!matrix.w || !matrix.y)))
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
  return device::start_for_format(g.format, "products",
                                  [&](auto format) { return start<format()>(g, stream); });
}

}  // namespace weft
