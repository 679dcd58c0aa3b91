/// Tiles of products on tensor cores (bf16, f16) or in f32, whatever their rows come from: what gemm.cu and convolution.cu share.
///
/// A block makes kRows x kCols of  A W^T,  128 bytes of the depth at a time: cp.async brings A's rows and W's, in pieces of 16 bytes,
/// into one of kStages buffers while another is multiplied. A `Source` says where A's pieces are: as a matrix lies (Matrix), or
/// where a convolution finds its pixels. On the way out sums pass through shared memory, so that a thread has four adjacent
/// columns: bias, activation, residual, rounding. A depth that is split over blocks leaves sums in f32 for join_product_splits().
///
/// A piece lies in its row at the place that its number and the row's last three bits give by exclusive or: neither the copies
/// (8 lanes a row) nor ldmatrix (8 rows, one piece) meet a bank twice.
#ifndef WEFT_KERNELS_OPS_GEMM_PRODUCT_TILES_DEVICE_H
#define WEFT_KERNELS_OPS_GEMM_PRODUCT_TILES_DEVICE_H

#include "kernels/ops/activation/activation_device.h"
#include "kernels/ops/gemm/product_tiling.h"
#include "kernels/simt/target.h"

namespace weft::device {

inline constexpr int kProductThreads = 128, kProductWarps = kProductThreads / 32;
inline constexpr int kTileRowBytes = 128, kPieceBytes = 16, kRowPieces = kTileRowBytes / kPieceBytes;
inline constexpr int kStages = 3;
inline constexpr int kLines = kProductThreads / kRowPieces;  // rows that the block copies at a time
inline constexpr int kJoinSplitsThreads = 256;

template <typename T>
inline constexpr int kPieceElements = kPieceBytes / static_cast<int>(sizeof(T));
template <typename T>
inline constexpr int kTileDepth = kTileRowBytes / static_cast<int>(sizeof(T));

template <int kRows, int kCols>
inline constexpr int kProductSharedBytes = kStages*(kRows + kCols) * kTileRowBytes;

__device__ __forceinline__ int thread_line() { return static_cast<int>(threadIdx.x) / kRowPieces; }
__device__ __forceinline__ int thread_piece() { return static_cast<int>(threadIdx.x) % kRowPieces; }

/// What becomes of the sums.
struct ProductOutput {
  const float* bias = nullptr;        // [n] or null
  const float* image_bias = nullptr;  // [m / image_rows, n] or null
  int image_rows = 1;
  int activation = -1;             // an Activation, or none
  bool paired = false;             // columns 2 j and 2 j + 1 are a value and its gate: [m, n / 2] comes out
  bool f32 = false;                // c and residual, whatever T is
  const void* residual = nullptr;  // as c, or null
  void* c = nullptr;
  int64_t residual_stride = 0, c_stride = 0;  // elements
  int m = 0, n = 0;
  int splits = 1;            // of the depth; 1: c is written
  float* partial = nullptr;  // [splits, m, n]
};

/// What is added to the sums of columns `col` on, or null.
template <bool kVector>
__device__ __forceinline__ void add_bias(float (&x)[4], const float* bias, int count) {
  if (bias == nullptr) return;
  if constexpr (kVector) {
    const Quad b = load_quad(bias);
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] += b.v[j];
  } else {
    for (int j = 0; j < count; ++j) x[j] += bias[j];
  }
}

/// count: 4, or 2 of pairs, with kVector; else any up to 4.
template <typename C, bool kVector>
__device__ __forceinline__ void write_out(const ProductOutput& o, int64_t row, int col, int count,
                                          float (&x)[4]) {
  if (o.residual != nullptr) {  // never with pairs
    const C* from = static_cast<const C*>(o.residual) + row * o.residual_stride + col;
    if constexpr (kVector) {
      const Quad r = load_quad(from);
#pragma unroll
      for (int j = 0; j < 4; ++j) x[j] += r.v[j];
    } else {
      for (int j = 0; j < count; ++j) x[j] += to_f32(from[j]);
    }
  }
  C* to = static_cast<C*>(o.c) + row * o.c_stride + col;
  if constexpr (kVector) {
    if (o.paired) store_pair(to, {{x[0], x[1]}});
    else store_quad(to, {{x[0], x[1], x[2], x[3]}});
  } else {
    for (int j = 0; j < count; ++j) to[j] = from_f32<C>(x[j]);
  }
}

/// Four sums of a row, columns col to col + 3, on their way to c. kVector: all of them exist, and what belongs to them lies aligned.
template <typename T, bool kVector>
__device__ __forceinline__ void finish_sums(const ProductOutput& o, int row, int col, Quad sum) {
  float x[4] = {sum.v[0], sum.v[1], sum.v[2], sum.v[3]};
  int count = min(4, o.n - col);
  add_bias<kVector>(x, o.bias != nullptr ? o.bias + col : nullptr, count);
  if (o.image_bias != nullptr)
    add_bias<kVector>(x, o.image_bias + static_cast<int64_t>(row / o.image_rows) * o.n + col, count);
  if (o.paired) {
    count /= 2, col /= 2;
    x[0] *= activated(static_cast<Activation>(o.activation), x[1]);
    x[1] = x[2] * activated(static_cast<Activation>(o.activation), x[3]);
  } else if (o.activation >= 0) {
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] = activated(static_cast<Activation>(o.activation), x[j]);
  }
  if constexpr (sizeof(T) == 4) write_out<float, kVector>(o, row, col, count, x);
  else if (o.f32) write_out<float, kVector>(o, row, col, count, x);
  else write_out<T, kVector>(o, row, col, count, x);
}

/// Rows that lie `stride` elements apart.
template <typename T>
struct Matrix {
  using Element = T;
  static constexpr const char* kName = "gemm_tiles";
  const T* data;
  int64_t stride;
  int rows, depth;

  /// Where a thread finds its pieces of a tile: one a line of rows, from row `first` and from `depth` on.
  template <int kRows>
  class Rows {
   public:
    __device__ Rows(const Matrix& matrix, int first, int depth)
        : data_(matrix.data),
          first_(matrix.data + (first + thread_line()) * matrix.stride),
          step_(kLines * matrix.stride),
          rows_(matrix.rows - first - thread_line()),
          depth_(depth + thread_piece() * kPieceElements<T>),
          end_(matrix.depth) {}
    /// The address of the piece in the thread's i-th row, or null for zeros.
    __device__ __forceinline__ const T* at(int i) const {
      return i * kLines < rows_ && depth_ < end_ ? first_ + i * step_ + depth_ : nullptr;
    }
    __device__ __forceinline__ void advance() { depth_ += kTileDepth<T>; }
    /// Some address that is valid.
    __device__ __forceinline__ const T* base() const { return data_; }

   private:
    const T* data_;
    const T* first_;
    int64_t step_;
    int rows_, depth_, end_;
  };
};

__device__ __forceinline__ int piece_place(int row, int piece) {
  return row * kTileRowBytes + (piece ^ (row & (kRowPieces - 1))) * kPieceBytes;
}

/// Starts the copies of one tile and goes on along the depth.
template <int kRows, typename Rows>
__device__ __forceinline__ void copy_tile(char* tile, Rows& rows) {
#pragma unroll
  for (int i = 0; i < kRows / kLines; ++i) {
    const auto* from = rows.at(i);
    copy_async16(tile + piece_place(thread_line() + i * kLines, thread_piece()),
                 from != nullptr ? from : rows.base(), from != nullptr);
  }
  rows.advance();
}

__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                             BF16) {
  mma_bf16(d, a, b);
}
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                             F16) {
  mma_f16(d, a, b);
}

/// A thread's part of a tile's sums, on tensor cores: two by two warps.
template <typename T, int kRows, int kCols>
struct TileSums {
  static constexpr int kDown = kRows / 2 / 16, kAcross = kCols / 2 / 8;
  float sum[kDown][kAcross][4] = {};

  static __device__ __forceinline__ int first_row() {
    return static_cast<int>(threadIdx.x) / 64 * (kRows / 2);
  }
  static __device__ __forceinline__ int first_col() {
    return static_cast<int>(threadIdx.x) / 32 % 2 * (kCols / 2);
  }

  __device__ __forceinline__ void add(const char* a, const char* w) {
    const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
    for (int step = 0; step < kTileDepth<T> / 16; ++step) {
      uint32_t rows[kDown][4], cols[kAcross / 2][4];
#pragma unroll
      for (int i = 0; i < kDown; ++i)
        load_matrix_x4(rows[i], a + piece_place(first_row() + i * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kAcross / 2; ++j)
        load_matrix_x4(cols[j], w + piece_place(first_col() + j * 16 + lane / 16 * 8 + lane % 8,
                                                step * 2 + lane / 8 % 2));
#pragma unroll
      for (int i = 0; i < kDown; ++i)
#pragma unroll
        for (int j = 0; j < kAcross; ++j) {
          const uint32_t b[2] = {cols[j / 2][j % 2 * 2], cols[j / 2][j % 2 * 2 + 1]};
          multiply_add(sum[i][j], rows[i], b, T());
        }
    }
  }

  /// tile: [kRows][pitch]
  __device__ __forceinline__ void put(float* tile, int pitch) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    float* to = tile + (first_row() + lane / 4) * pitch + first_col() + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int j = 0; j < kAcross; ++j) {
        store_pair(to + i * 16 * pitch + j * 8, {{sum[i][j][0], sum[i][j][1]}});
        store_pair(to + (i * 16 + 8) * pitch + j * 8, {{sum[i][j][2], sum[i][j][3]}});
      }
  }
};

/// The same in f32: a warp has four rows and eight columns at a time.
template <int kRows, int kCols>
struct TileSums<float, kRows, kCols> {
  static constexpr int kDown = kRows / 16, kAcross = kCols / 8;
  float sum[kDown][kAcross] = {};

  static __device__ __forceinline__ int row() { return static_cast<int>(threadIdx.x) / 8; }
  static __device__ __forceinline__ int col() { return static_cast<int>(threadIdx.x) % 8; }

  __device__ __forceinline__ void add(const char* a, const char* w) {
#pragma unroll 2
    for (int piece = 0; piece < kRowPieces; ++piece) {
      Quad rows[kDown];
#pragma unroll
      for (int i = 0; i < kDown; ++i)
        rows[i] = load_quad(reinterpret_cast<const float*>(a + piece_place(row() + i * 16, piece)));
#pragma unroll
      for (int j = 0; j < kAcross; ++j) {
        const Quad c = load_quad(reinterpret_cast<const float*>(w + piece_place(col() + j * 8, piece)));
#pragma unroll
        for (int i = 0; i < kDown; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[i][j] += rows[i].v[e] * c.v[e];
      }
    }
  }

  __device__ __forceinline__ void put(float* tile, int pitch) const {
#pragma unroll
    for (int i = 0; i < kDown; ++i)
#pragma unroll
      for (int j = 0; j < kAcross; ++j) tile[(row() + i * 16) * pitch + col() + j * 8] = sum[i][j];
  }
};

/// One tile, or with splits one block's share of its depth. kVector: n is a multiple of four, and what the output refers to lies
/// aligned to four.
template <typename Source, int kRows, int kCols, bool kVector>
__global__ void __launch_bounds__(kProductThreads, kRows == 128 ? 2 : 4)
    product_tiles(Source a, Matrix<typename Source::Element> w, ProductOutput o) {
  using T = typename Source::Element;
  WEFT_DYNAMIC_SHARED(char, shared);
  const int first_row = static_cast<int>(blockIdx.y) * kRows,
            first_col = static_cast<int>(blockIdx.x) * kCols;
  const int all_steps = (w.depth + kTileDepth<T> - 1) / kTileDepth<T>,
            each = (all_steps + o.splits - 1) / o.splits;
  const int first_step = min(static_cast<int>(blockIdx.z) * each, all_steps),
            steps = min(each, all_steps - first_step);
  typename Source::template Rows<kRows> rows(a, first_row, first_step * kTileDepth<T>);
  typename Matrix<T>::template Rows<kCols> cols(w, first_col, first_step * kTileDepth<T>);
  constexpr int kStageBytes = (kRows + kCols) * kTileRowBytes, kOfCols = kRows * kTileRowBytes;
  const auto copy = [&](int step) {
    char* stage = shared + step % kStages * kStageBytes;
    if (step < steps) {
      copy_tile<kRows>(stage, rows);
      copy_tile<kCols>(stage + kOfCols, cols);
    }
    copy_async_commit();  // an empty group too, so that groups count steps
  };
  TileSums<T, kRows, kCols> sums;
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) copy(step);
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<kStages - 2>();
    __syncthreads();  // the step's tiles are there for all, and all are done with the one that is copied over now
    copy(step + kStages - 1);
    const char* stage = shared + step % kStages * kStageBytes;
    sums.add(stage, stage + kOfCols);
  }
  copy_async_wait<0>();
  __syncthreads();
  constexpr int kPitch = kCols + 8;  // four rows of eight floats, or of four pairs, in all banks
  static_assert(kRows * kPitch * static_cast<int>(sizeof(float)) <= kProductSharedBytes<kRows, kCols>);
  float* tile = reinterpret_cast<float*>(shared);
  sums.put(tile, kPitch);
  __syncthreads();
  constexpr int kQuads = kCols / 4;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kQuads; i += kProductThreads) {
    const int row = i / kQuads, col = i % kQuads * 4;
    if (first_row + row >= o.m || first_col + col >= o.n) continue;
    const Quad sum = load_quad(tile + row * kPitch + col);
    if (kVector && o.splits > 1)
      store_quad(
          o.partial + (static_cast<int64_t>(blockIdx.z) * o.m + first_row + row) * o.n + first_col + col,
          sum);
    else finish_sums<T, kVector>(o, first_row + row, first_col + col, sum);
  }
}

/// The sums of all splits, a thread four columns.
template <typename T>
__global__ void __launch_bounds__(kJoinSplitsThreads) join_product_splits(ProductOutput o) {
  const int64_t quads = static_cast<int64_t>(o.m) * (o.n / 4);
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kJoinSplitsThreads + threadIdx.x;
  if (i >= quads) return;
  Quad sum = load_quad(o.partial + i * 4);
#pragma unroll 4
  for (int split = 1; split < o.splits; ++split) {
    const Quad more = load_quad(o.partial + (split * quads + i) * 4);
#pragma unroll
    for (int j = 0; j < 4; ++j) sum.v[j] += more.v[j];
  }
  finish_sums<T, true>(o, static_cast<int>(i / (o.n / 4)), static_cast<int>(i % (o.n / 4)) * 4, sum);
}

template <typename Source, int kRows, int kCols>
Status start_tiles(const Source& a, const Matrix<typename Source::Element>& w, const ProductOutput& o,
                   bool vector, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((o.n + kCols - 1) / kCols),
                  static_cast<unsigned>((o.m + kRows - 1) / kRows), static_cast<unsigned>(o.splits));
  constexpr size_t kShared = kProductSharedBytes<kRows, kCols>;
  return vector ? launch(stream, Source::kName, grid, kProductThreads, kShared,
                         product_tiles<Source, kRows, kCols, true>, a, w, o)
                : launch(stream, Source::kName, grid, kProductThreads, kShared,
                         product_tiles<Source, kRows, kCols, false>, a, w, o);
}

/// The tiles in f32: the smallest.
template <typename Source>
Status start_tiling(ProductTile tile, const Source& a, const Matrix<typename Source::Element>& w,
                    const ProductOutput& o, bool vector, cudaStream_t stream) {
  if constexpr (sizeof(typename Source::Element) == 2) {
    if (tile == ProductTile::k128x128) return start_tiles<Source, 128, 128>(a, w, o, vector, stream);
    if (tile == ProductTile::k128x64) return start_tiles<Source, 128, 64>(a, w, o, vector, stream);
  }
  return start_tiles<Source, 64, 64>(a, w, o, vector, stream);
}

/// c = f(a w^T + bias) + residual. vector: as kVector above; without it nothing is split.
template <typename Source>
Status start_products(ProductTile tile, const Source& a, const Matrix<typename Source::Element>& w,
                      const ProductOutput& o, bool vector, cudaStream_t stream) {
  if (Status made = start_tiling(tile, a, w, o, vector, stream); !made.ok() || o.splits == 1) return made;
  const int64_t quads = static_cast<int64_t>(o.m) * (o.n / 4);
  return launch(stream, "join_product_splits",
                dim3(static_cast<unsigned>((quads + kJoinSplitsThreads - 1) / kJoinSplitsThreads)),
                kJoinSplitsThreads, 0, join_product_splits<typename Source::Element>, o);
}

}  // namespace weft::device
#endif
