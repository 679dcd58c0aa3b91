// A block goes over the keys, 64 at a time (32 in f32), with one buffer for keys and one for values: while scores are computed the
// values are on their way, and the next keys while values are added.

#include "kernels/ops/dense_attention/dense_attention_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

using device::BF16, device::F16;

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr float kLog2E = 1.4426950408889634f;

struct Heads {
  const void* data;
  int64_t token_stride, batch_stride;
};

struct Work {
  Heads q, k, v;
  void* y;
  int64_t y_token_stride, y_batch_stride;
  const float* bias;
  int64_t bias_query_stride, bias_head_stride, bias_batch_stride;
  int n_queries, n_keys, n_heads, head_dim;
  float scale;
  bool causal;
};

/// Where head blockIdx.y of batch element blockIdx.z / slices begins.
template <typename T>
__device__ __forceinline__ const T* head_of(const Heads& heads, int64_t batch, int head_dim) {
  return static_cast<const T*>(heads.data) + batch * heads.batch_stride +
         static_cast<int64_t>(blockIdx.y) * head_dim;
}

/// Where 16 bytes of a row of kBytes lie: pieces change places by the row's number, so that one piece of eight rows, and eight
/// pieces of a row, are in different banks.
template <int kBytes>
__device__ __forceinline__ int piece_place(int row, int piece) {
  constexpr int kPieces = kBytes / 16, kSwaps = kPieces % 8 == 0 ? 8 : kPieces % 4 == 0 ? 4 : 2;
  static_assert(kPieces % 2 == 0);
  return row * kBytes + (piece ^ (row / (8 / kSwaps) % kSwaps)) * 16;
}

/// Starts copies of kRows tokens from `first` on, kBytes of each; what lies beyond `tokens` or `bytes` becomes zero.
template <int kRows, int kBytes>
__device__ __forceinline__ void copy_rows(char* to, const void* from, int64_t stride_bytes, int first,
                                          int tokens, int bytes) {
  constexpr int kPieces = kBytes / 16;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
    const int row = i / kPieces, piece = i % kPieces, at = piece * 16;
    const bool there = first + row < tokens && at < bytes;
    const char* source = static_cast<const char*>(from);
    device::copy_async16(to + piece_place<kBytes>(row, piece),
                         there ? source + (first + row) * stride_bytes + at : source, there);
  }
}

/// kDepth: components of queries and keys, head_dim rounded up; kValues: of values, that this block makes; a warp has
/// 16 * kRowTiles queries.
template <int kDepth, int kValues, int kRowTiles>
struct Shape {
  static constexpr int kQueries = 16 * kRowTiles * kWarps, kKeys = 64;
  static constexpr int kDepthBytes = kDepth * 2, kValueBytes = kValues * 2;  // of a row
  static constexpr int kSharedBytes = (kQueries + kKeys) * kDepthBytes + kKeys * kValueBytes;
};

__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                             BF16) {
  device::mma_bf16(d, a, b);
}
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                                             F16) {
  device::mma_f16(d, a, b);
}
template <typename T>
__device__ __forceinline__ uint32_t pair_bits(float low, float high) {
  return device::bits_of(device::from_f32<T>(low)) | device::bits_of(device::from_f32<T>(high)) << 16;
}
/// Over the four lanes that have a row of a fragment.
__device__ __forceinline__ float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
  return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ __forceinline__ float row_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/// Scores of a warp's rows with 64 keys, in fragments: [row tile][eight keys][row lane / 4, two keys; eight rows further down].
template <int kRowTiles>
using Scores = float[kRowTiles][8][4];

template <typename T, int kDepth, int kRowTiles>
__device__ __forceinline__ void multiply_keys(const char* queries, const char* keys,
                                              Scores<kRowTiles>& score) {
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) score[i][j][e] = 0;
#pragma unroll(kDepth <= 160 ? kDepth / 16 : 2)
  for (int step = 0; step < kDepth / 16; ++step) {
    uint32_t q[kRowTiles][4];
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i)
      device::load_matrix_x4(q[i],
                             queries + piece_place<kDepth * 2>(i * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      uint32_t k[4];
      device::load_matrix_x4(
          k, keys + piece_place<kDepth * 2>(pair * 16 + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint32_t b[2] = {k[half * 2], k[half * 2 + 1]};
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) multiply_add(score[i][pair * 2 + half], q[i], b, T());
      }
    }
  }
}

/// Scales scores, adds the bias and hides keys: those beyond the last one, and with kCausal those beyond the query. In powers of two.
template <int kRowTiles>
__device__ __forceinline__ void scale_scores(const Work& work, const float* bias, int first_row,
                                             int first_key, Scores<kRowTiles>& score) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const bool hides = first_key + 64 > work.n_keys || (work.causal && first_key + 63 > first_row);
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float& s = score[i][j][e];
        s *= work.scale * kLog2E;
        if (bias == nullptr && !hides) continue;
        const int row = first_row + i * 16 + lane / 4 + e / 2 * 8,
                  key = first_key + j * 8 + lane % 4 * 2 + e % 2;
        if (key >= work.n_keys || (work.causal && key > row)) s = -INFINITY;
        else if (bias != nullptr && row < work.n_queries)
          s += bias[row * work.bias_query_stride + key] * kLog2E;
      }
}

template <typename T, int kDepth, int kValues, int kRowTiles>
__global__ void __launch_bounds__(kThreads) dense_attention(Work work) {
  using S = Shape<kDepth, kValues, kRowTiles>;
  WEFT_DYNAMIC_SHARED(char, shared);
  char* const queries = shared;
  char* const keys = queries + S::kQueries * S::kDepthBytes;
  char* const values = keys + S::kKeys * S::kDepthBytes;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int slices = (work.head_dim + kValues - 1) / kValues, slice = static_cast<int>(blockIdx.z) % slices;
  const int64_t batch = static_cast<int>(blockIdx.z) / slices;
  const int first_query = static_cast<int>(blockIdx.x) * S::kQueries, first_value = slice * kValues;
  const int row_bytes = work.head_dim * 2, value_bytes = (work.head_dim - first_value) * 2;
  const T* q = head_of<T>(work.q, batch, work.head_dim);
  const T* k = head_of<T>(work.k, batch, work.head_dim);
  const T* v = head_of<T>(work.v, batch, work.head_dim) + first_value;
  const float* bias = work.bias == nullptr ? nullptr
                                           : work.bias + batch * work.bias_batch_stride +
                                                 static_cast<int64_t>(blockIdx.y) * work.bias_head_stride;
  const auto copy_keys = [&](int first) {
    copy_rows<S::kKeys, S::kDepthBytes>(keys, k, work.k.token_stride * 2, first, work.n_keys, row_bytes);
    device::copy_async_commit();
  };
  const auto copy_values = [&](int first) {
    copy_rows<S::kKeys, S::kValueBytes>(values, v, work.v.token_stride * 2, first, work.n_keys, value_bytes);
    device::copy_async_commit();
  };
  copy_rows<S::kQueries, S::kDepthBytes>(queries, q, work.q.token_stride * 2, first_query, work.n_queries,
                                         row_bytes);
  copy_keys(0);
  copy_values(0);

  const int first_row = first_query + warp * 16 * kRowTiles;
  char* const mine = queries + warp * 16 * kRowTiles * S::kDepthBytes;
  float sum[kRowTiles][kValues / 8][4] = {};
  float largest[kRowTiles][2], total[kRowTiles][2];
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) largest[i][half] = -INFINITY, total[i][half] = 0;
  const int n_keys = work.causal ? min(work.n_keys, first_query + S::kQueries) : work.n_keys;
  for (int first = 0; first < n_keys; first += S::kKeys) {
    device::copy_async_wait<1>();  // the values are still on their way
    __syncthreads();
    Scores<kRowTiles> score;
    multiply_keys<T, kDepth, kRowTiles>(mine, keys, score);
    __syncthreads();
    copy_keys(first + S::kKeys);  // beyond the last key: zeros, which nobody reads
    scale_scores<kRowTiles>(work, bias, first_row, first, score);
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float most = largest[i][half];
#pragma unroll
        for (int j = 0; j < 8; ++j)
          most = fmaxf(most, fmaxf(score[i][j][half * 2], score[i][j][half * 2 + 1]));
        most = row_max(most);
        const float base = most == -INFINITY ? 0.0f : most;  // no key is seen yet
        const float correction = exp2f(largest[i][half] - base);
        largest[i][half] = most;
        float added = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j)
#pragma unroll
          for (int e = half * 2; e < half * 2 + 2; ++e) {
            score[i][j][e] = exp2f(score[i][j][e] - base);
            added += score[i][j][e];
          }
        total[i][half] = total[i][half] * correction + added;
#pragma unroll
        for (int n = 0; n < kValues / 8; ++n) {
          sum[i][n][half * 2] *= correction;
          sum[i][n][half * 2 + 1] *= correction;
        }
      }
    }
    device::copy_async_wait<1>();  // the next keys are on their way
    __syncthreads();
#pragma unroll
    for (int step = 0; step < S::kKeys / 16; ++step) {
      uint32_t weight[kRowTiles][4];
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          weight[i][r] =
              pair_bits<T>(score[i][step * 2 + r / 2][r % 2 * 2], score[i][step * 2 + r / 2][r % 2 * 2 + 1]);
#pragma unroll
      for (int n = 0; n < kValues / 16; ++n) {
        uint32_t value[4];
        device::load_matrix_x4_transposed(
            value, values + piece_place<S::kValueBytes>(step * 16 + lane % 16, n * 2 + lane / 16));
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const uint32_t b[2] = {value[half * 2], value[half * 2 + 1]};
#pragma unroll
          for (int i = 0; i < kRowTiles; ++i) multiply_add(sum[i][n * 2 + half], weight[i], b, T());
        }
      }
    }
    __syncthreads();
    copy_values(first + S::kKeys);
  }
  device::copy_async_wait<0>();

  // Through the warp's own queries, so that lanes store 16 adjacent bytes.
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float inverse = 1.0f / row_sum(total[i][half]);
      const int row = i * 16 + half * 8 + lane / 4;
#pragma unroll
      for (int n = 0; n < kValues / 8; ++n)
        device::store4(mine + piece_place<S::kDepthBytes>(row, n) + lane % 4 * 4,
                       pair_bits<T>(sum[i][n][half * 2] * inverse, sum[i][n][half * 2 + 1] * inverse));
    }
  __syncwarp();
  T* y = static_cast<T*>(work.y) + batch * work.y_batch_stride +
         static_cast<int64_t>(blockIdx.y) * work.head_dim + first_value;
  const int pieces = min(kValues * 2, value_bytes) / 16;
  for (int i = lane; i < 16 * kRowTiles * pieces; i += 32) {
    const int row = i / pieces, piece = i % pieces;
    if (first_row + row < work.n_queries)
      device::store16(y + (first_row + row) * work.y_token_stride + piece * 8,
                      device::load16(mine + piece_place<S::kDepthBytes>(row, piece)));
  }
}

// In f32: 32 queries and 32 keys at a time, a thread two rows of four scores, and of sixteen values. Without kPieces elements are
// read one by one, of any type and alignment.
constexpr int kF32Rows = 32, kF32Values = 128, kF32Pitch = kF32Values * 4 + 16, kWeightPitch = kF32Rows + 4;
constexpr int f32_depth_pitch(int depth) { return depth / 4 % 2 == 0 ? depth * 4 + 16 : depth * 4; }

/// cols: what a row has of them, zeros up to a multiple of four.
template <typename T, bool kPieces>
__device__ __forceinline__ void copy_f32_rows(char* to, int pitch, const T* from, int64_t stride, int first,
                                              int tokens, int cols) {
  const int quads = (cols + 3) / 4, each = kPieces ? quads : quads * 4;
  for (int i = static_cast<int>(threadIdx.x); i < kF32Rows * each; i += kThreads) {
    const int row = i / each, at = i % each;
    const bool there = first + row < tokens;
    if constexpr (kPieces) {
      device::copy_async16(to + row * pitch + at * 16, there ? from + (first + row) * stride + at * 4 : from,
                           there);
    } else {
      reinterpret_cast<float*>(to + row * pitch)[at] =
          there && at < cols ? device::to_f32(from[(first + row) * stride + at]) : 0.0f;
    }
  }
}

/// Over the eight lanes that have a row.
__device__ __forceinline__ float eight_max(float x) {
#pragma unroll
  for (int flip = 4; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, flip));
  return x;
}
__device__ __forceinline__ float eight_sum(float x) {
#pragma unroll
  for (int flip = 4; flip > 0; flip /= 2) x += __shfl_xor_sync(0xffffffffu, x, flip);
  return x;
}

template <typename T, bool kPieces>
__global__ void __launch_bounds__(kThreads) dense_attention_f32(Work work, int pitch) {
  WEFT_DYNAMIC_SHARED(char, shared);
  char* const queries = shared;
  char* const keys = queries + kF32Rows * pitch;
  char* const values = keys + kF32Rows * pitch;
  float* const weights = reinterpret_cast<float*>(values + kF32Rows * kF32Pitch);
  const int row = static_cast<int>(threadIdx.x) / 8, col = static_cast<int>(threadIdx.x) % 8;
  const int slices = (work.head_dim + kF32Values - 1) / kF32Values,
            slice = static_cast<int>(blockIdx.z) % slices;
  const int64_t batch = static_cast<int>(blockIdx.z) / slices;
  const int first_query = static_cast<int>(blockIdx.x) * kF32Rows, first_value = slice * kF32Values,
            n_values = min(kF32Values, work.head_dim - first_value);
  const T* q = head_of<T>(work.q, batch, work.head_dim);
  const T* k = head_of<T>(work.k, batch, work.head_dim);
  const T* v = head_of<T>(work.v, batch, work.head_dim) + first_value;
  copy_f32_rows<T, kPieces>(queries, pitch, q, work.q.token_stride, first_query, work.n_queries,
                            work.head_dim);
  float sum[2][kF32Values / 8] = {}, largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
  const int n_keys = work.causal ? min(work.n_keys, first_query + kF32Rows) : work.n_keys;
  for (int first = 0; first < n_keys; first += kF32Rows) {
    copy_f32_rows<T, kPieces>(keys, pitch, k, work.k.token_stride, first, work.n_keys, work.head_dim);
    copy_f32_rows<T, kPieces>(values, kF32Pitch, v, work.v.token_stride, first, work.n_keys, n_values);
    device::copy_async_commit();
    device::copy_async_wait<0>();
    __syncthreads();
    float score[2][4] = {};
    for (int piece = 0; piece < (work.head_dim + 3) / 4; ++piece) {
      device::Quad a[2];
#pragma unroll
      for (int i = 0; i < 2; ++i)
        a[i] =
            device::load_quad(reinterpret_cast<const float*>(queries + (row + i * 16) * pitch + piece * 16));
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const device::Quad b =
            device::load_quad(reinterpret_cast<const float*>(keys + (col + j * 8) * pitch + piece * 16));
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e) score[i][j] += a[i].v[e] * b.v[e];
      }
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int query = first_query + row + i * 16;
      float most = largest[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int key = first + col + j * 8;
        score[i][j] *= work.scale;
        if (key >= work.n_keys || (work.causal && key > query)) score[i][j] = -INFINITY;
        else if (work.bias != nullptr && query < work.n_queries)
          score[i][j] += work.bias[batch * work.bias_batch_stride +
                                   static_cast<int64_t>(blockIdx.y) * work.bias_head_stride +
                                   query * work.bias_query_stride + key];
        most = fmaxf(most, score[i][j]);
      }
      most = eight_max(most);
      const float base = most == -INFINITY ? 0.0f : most;
      const float correction = expf(largest[i] - base);
      largest[i] = most;
      total[i] *= correction;
#pragma unroll
      for (int n = 0; n < kF32Values / 8; ++n) sum[i][n] *= correction;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float weight = expf(score[i][j] - base);
        total[i] += weight;
        weights[(row + i * 16) * kWeightPitch + col + j * 8] = weight;
      }
    }
    __syncwarp();  // a warp reads the weights of its own rows
    for (int key = 0; key < kF32Rows; ++key) {
      const float* value = reinterpret_cast<const float*>(values + key * kF32Pitch);
      const float weight[2] = {weights[row * kWeightPitch + key], weights[(row + 16) * kWeightPitch + key]};
#pragma unroll
      for (int n = 0; n < kF32Values / 8; ++n) {
        if (n * 8 >= n_values) break;  // what lies beyond was not copied
        const float x = n * 8 + col < n_values ? value[n * 8 + col] : 0.0f;
        sum[0][n] += weight[0] * x;
        sum[1][n] += weight[1] * x;
      }
    }
    __syncthreads();
  }
  T* y = static_cast<T*>(work.y) + batch * work.y_batch_stride +
         static_cast<int64_t>(blockIdx.y) * work.head_dim + first_value;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = first_query + row + i * 16;
    const float inverse = 1.0f / eight_sum(total[i]);
    if (query >= work.n_queries) continue;
#pragma unroll
    for (int n = 0; n < kF32Values / 8; ++n)
      if (n * 8 + col < n_values)
        y[query * work.y_token_stride + n * 8 + col] = device::from_f32<T>(sum[i][n] * inverse);
  }
}

dim3 grid_of(const DenseAttentionCuda& a, int queries, int values) {
  const int64_t slices = (a.head_dim + values - 1) / values;
  return dim3(static_cast<unsigned>((a.n_queries + queries - 1) / queries), static_cast<unsigned>(a.n_heads),
              static_cast<unsigned>(a.batch * slices));
}

template <typename T, int kDepth, int kValues, int kRowTiles>
Status start_shape(const DenseAttentionCuda& a, const Work& work, cudaStream_t stream) {
  using S = Shape<kDepth, kValues, kRowTiles>;
  return device::launch(stream, "dense_attention", grid_of(a, S::kQueries, kValues), kThreads,
                        S::kSharedBytes, dense_attention<T, kDepth, kValues, kRowTiles>, work);
}

template <typename T>
Status start(const DenseAttentionCuda& a, const Work& work, cudaStream_t stream) {
  if (a.head_dim <= 48) return start_shape<T, 48, 48, 2>(a, work, stream);
  if (a.head_dim <= 64) return start_shape<T, 64, 64, 2>(a, work, stream);
  if (a.head_dim <= 80) return start_shape<T, 80, 80, 2>(a, work, stream);
  if (a.head_dim <= 128) return start_shape<T, 128, 128, 1>(a, work, stream);
  if (a.head_dim <= 160) return start_shape<T, 160, 160, 1>(a, work, stream);
  return start_shape<T, 512, 128, 1>(a, work, stream);
}

template <typename T, bool kPieces>
Status start_f32(const DenseAttentionCuda& a, const Work& work, cudaStream_t stream) {
  const int pitch = f32_depth_pitch((work.head_dim + 3) / 4 * 4);
  const int shared = kF32Rows * (2 * pitch + kF32Pitch + kWeightPitch * 4);
  return device::launch(stream, "dense_attention_f32", grid_of(a, kF32Rows, kF32Values), kThreads,
                        static_cast<size_t>(shared), dense_attention_f32<T, kPieces>, work, pitch);
}

/// Whether everything begins at, and is a multiple of, 16 bytes.
bool in_pieces(const DenseAttentionCuda& a) {
  const int64_t piece = 16 / size_bytes(a.dtype);
  bool whole = a.head_dim % piece == 0;
  for (const HeadsView* view : {&a.q, &a.k, &a.v, &a.y})
    whole = whole && view->token_stride % piece == 0 && view->batch_stride % piece == 0 &&
            device::aligned_to(view->data, 16);
  return whole;
}

template <typename T>
Status start_typed(const DenseAttentionCuda& a, const Work& work, cudaStream_t stream) {
  if constexpr (sizeof(T) == 4) {
    return in_pieces(a) ? start_f32<T, true>(a, work, stream) : start_f32<T, false>(a, work, stream);
  } else {
    return in_pieces(a) ? start<T>(a, work, stream) : start_f32<T, false>(a, work, stream);
  }
}

Status check(const DenseAttentionCuda& a) {
  constexpr int64_t kMost = 1 << 28;
  if (a.batch < 0 || a.batch > 16383 || a.n_queries < 0 || a.n_queries > kMost || a.n_keys < 1 ||
      a.n_keys > kMost || a.n_heads < 1 || a.n_heads > 65535 || a.head_dim < 1 ||
      a.head_dim > kMaxDenseHeadDimCuda)
    return Status(StatusCode::kInvalidShape, "dense attention on a device: an impossible shape")
        .expected("keys, heads of 1 to 512 components")
        .got(std::to_string(a.n_keys) + " keys, " + std::to_string(a.head_dim) + " components");
  for (const HeadsView* view : {&a.q, &a.k, &a.v, &a.y})
    if (view->token_stride < a.n_heads * a.head_dim || view->batch_stride < 0)
      return Status(StatusCode::kInvalidShape, "dense attention on a device: a stride does not fit")
          .expected("at least " + std::to_string(a.n_heads * a.head_dim) + " elements a token")
          .got(std::to_string(view->token_stride));
  if (a.batch == 0 || a.n_queries == 0) return {};
  for (const HeadsView* view : {&a.q, &a.k, &a.v, &a.y})
    if (!view->data)
      return Status(StatusCode::kInvalidArgument, "dense attention on a device: a pointer is null");
  const bool by_tensor_cores = a.dtype != DType::kF32 && in_pieces(a);
  const int64_t whole = by_tensor_cores ? 160 : kF32Values;  // components that one block makes
  if (a.y.data == a.q.data && a.head_dim > whole)
    return Status(StatusCode::kInvalidArgument,
                  "dense attention on a device: y is q in heads of several blocks")
        .expected("at most " + std::to_string(whole) + " components")
        .got(std::to_string(a.head_dim));
  return {};
}

}  // namespace

Status dense_attention_cuda(const DenseAttentionCuda& a, cudaStream_t stream) {
  if (a.dtype != DType::kF32 && a.dtype != DType::kF16 && a.dtype != DType::kBF16)
    return Status(StatusCode::kUnsupported, "dense attention on a device takes f32, f16 and bf16");
  if (Status status = check(a); !status.ok() || a.batch == 0 || a.n_queries == 0) return status;
  const auto heads = [](const HeadsView& view) {
    return Heads{view.data, view.token_stride, view.batch_stride};
  };
  const Work work = {heads(a.q),
                     heads(a.k),
                     heads(a.v),
                     const_cast<void*>(a.y.data),
                     a.y.token_stride,
                     a.y.batch_stride,
                     a.bias,
                     a.bias_query_stride,
                     a.bias_head_stride,
                     a.bias_batch_stride,
                     static_cast<int>(a.n_queries),
                     static_cast<int>(a.n_keys),
                     static_cast<int>(a.n_heads),
                     static_cast<int>(a.head_dim),
                     a.scale,
                     a.mask == AttentionMask::kCausal};
  if (a.dtype == DType::kF32) return start_typed<float>(a, work, stream);
  return a.dtype == DType::kF16 ? start_typed<F16>(a, work, stream) : start_typed<BF16>(a, work, stream);
}

}  // namespace weft
