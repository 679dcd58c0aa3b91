// A warp takes page after page: for scores a lane is a token, for values a lane is every 32nd component.

#include "kernels/ops/attention/attention_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kGroup = 4;                 // query heads that one block serves
constexpr int kParts = kMaxHeadDim / 32;  // components of a lane
constexpr int kPage = static_cast<int>(kPageTokens);

struct Work {
  const float* q;
  float* y;
  std::byte* const* const* pages;
  const int32_t* positions;
  float* workspace;
  int64_t layer_offset, block_bytes;
  int n_heads, heads_per_kv, head_dim, padded_dim, splits, window;
  float scale, softcap;
};

/// Of one query head, over the tokens so far: the largest score, the sum of exponentials, the weighted sum of values.
struct Softmax {
  float largest, sum, values[kParts];
};

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, flip));
  return x;
}

/// Scores of a page's 32 tokens, one a lane, for each head of the group. q: shared, [kGroup][head_dim].
template <typename T>
__device__ __forceinline__ void page_scores(const Work& work, const T* keys, const float* q,
                                            float (&score)[kGroup]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int h = 0; h < kGroup; ++h) score[h] = 0;
  for (int d = 0; d < work.head_dim; ++d) {
    const float key = device::to_f32(keys[d * kPage + lane]);
#pragma unroll
    for (int h = 0; h < kGroup; ++h) score[h] += q[h * work.head_dim + d] * key;
  }
}

/// Takes the tokens [begin, end) of a page into each head's softmax. Others are not read: they may hold anything.
template <typename T>
__device__ __forceinline__ void take_page(const Work& work, const T* keys, const T* values, const float* q,
                                          int begin, int end, Softmax (&state)[kGroup]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  float weight[kGroup];
  page_scores(work, keys, q, weight);
#pragma unroll
  for (int h = 0; h < kGroup; ++h) {
    float score = weight[h] * work.scale;
    if (work.softcap > 0) score = work.softcap * tanhf(score / work.softcap);
    if (lane < begin || lane >= end) score = -INFINITY;
    const float largest = fmaxf(state[h].largest, warp_max(score));
    const float correction = expf(state[h].largest - largest);
    weight[h] = expf(score - largest);
    state[h].largest = largest;
    state[h].sum = state[h].sum * correction + device::warp_sum(weight[h]);
#pragma unroll
    for (int part = 0; part < kParts; ++part) state[h].values[part] *= correction;
  }
  for (int token = begin; token < end; ++token) {
    float w[kGroup];
#pragma unroll
    for (int h = 0; h < kGroup; ++h) w[h] = __shfl_sync(0xffffffffu, weight[h], token);
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const int d = part * 32 + lane;
      if (d >= work.head_dim) break;
      const float value = device::to_f32(values[token * work.padded_dim + d]);
#pragma unroll
      for (int h = 0; h < kGroup; ++h) state[h].values[part] += w[h] * value;
    }
  }
}

/// Joins the warps' parts of one head and leaves them for the second kernel. shared: [kWarps][head_dim + 2].
__device__ __forceinline__ void join_warps(const Work& work, const Softmax& state, float* shared,
                                           float* out) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  float* mine = shared + warp * (work.head_dim + 2);
  if (lane == 0) mine[0] = state.largest, mine[1] = state.sum;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    if (part * 32 + lane < work.head_dim) mine[2 + part * 32 + lane] = state.values[part];
  }
  __syncthreads();
  float largest = -INFINITY;
  for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, shared[w * (work.head_dim + 2)]);
  for (int i = 1 + static_cast<int>(threadIdx.x); i < work.head_dim + 2; i += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) {
      const float* part = shared + w * (work.head_dim + 2);
      if (part[1] > 0) sum += part[i] * expf(part[0] - largest);
    }
    out[i] = sum;
  }
  if (threadIdx.x == 0) out[0] = largest;
  __syncthreads();  // the next head uses the same memory
}

template <typename T>
__global__ void __launch_bounds__(kThreads) decode_attention(Work work) {
  WEFT_SHARED(float, q, kGroup* kMaxHeadDim);
  WEFT_SHARED(float, joined, kWarps*(kMaxHeadDim + 2));
  const int warp = static_cast<int>(threadIdx.x / 32), split = static_cast<int>(blockIdx.z);
  const int groups = (work.heads_per_kv + kGroup - 1) / kGroup;
  const int kv_head = static_cast<int>(blockIdx.y) / groups,
            first = static_cast<int>(blockIdx.y) % groups * kGroup;
  const int n_heads = min(kGroup, work.heads_per_kv - first), head = kv_head * work.heads_per_kv + first;
  const int64_t row = blockIdx.x;
  for (int i = static_cast<int>(threadIdx.x); i < kGroup * work.head_dim; i += kThreads)
    q[i] = i < n_heads * work.head_dim ? work.q[(row * work.n_heads + head) * work.head_dim + i] : 0.0f;
  __syncthreads();

  Softmax state[kGroup];
  for (int h = 0; h < kGroup; ++h) {
    state[h].largest = -INFINITY;
    state[h].sum = 0;
    for (int part = 0; part < kParts; ++part) state[h].values[part] = 0;
  }
  const int end = work.positions[row] + 1, start = work.window > 0 ? max(end - work.window, 0) : 0;
  const int first_page = start / kPage, n_pages = (end + kPage - 1) / kPage - first_page;
  const int share = (n_pages + work.splits - 1) / work.splits;
  const int last_page = first_page + min((split + 1) * share, n_pages);
  for (int page = first_page + split * share + warp; page < last_page; page += kWarps) {
    const std::byte* keys = work.pages[row][page] + work.layer_offset + kv_head * 2 * work.block_bytes;
    take_page(work, reinterpret_cast<const T*>(keys), reinterpret_cast<const T*>(keys + work.block_bytes), q,
              max(start - page * kPage, 0), min(end - page * kPage, kPage), state);
  }
#pragma unroll
  for (int h = 0; h < kGroup; ++h) {
    if (h >= n_heads) break;
    float* out =
        work.workspace + ((row * work.n_heads + head + h) * work.splits + split) * (work.head_dim + 2);
    join_warps(work, state[h], joined, out);
  }
}

/// One block a row and head: y = the sum of the splits' values over the sum of their sums.
__global__ void __launch_bounds__(kThreads) join_splits(Work work) {
  const int64_t at = blockIdx.x;
  const float* parts = work.workspace + at * work.splits * (work.head_dim + 2);
  float largest = -INFINITY, sum = 0;
  for (int s = 0; s < work.splits; ++s) largest = fmaxf(largest, parts[s * (work.head_dim + 2)]);
  for (int s = 0; s < work.splits; ++s) {
    const float* part = parts + s * (work.head_dim + 2);
    if (part[1] > 0) sum += part[1] * expf(part[0] - largest);
  }
  for (int d = static_cast<int>(threadIdx.x); d < work.head_dim; d += kThreads) {
    float value = 0;
    for (int s = 0; s < work.splits; ++s) {
      const float* part = parts + s * (work.head_dim + 2);
      if (part[1] > 0) value += part[2 + d] * expf(part[0] - largest);
    }
    work.y[at * work.head_dim + d] = value / sum;
  }
}

template <typename T>
Status start(const DecodeAttentionCuda& a, cudaStream_t stream) {
  const AttentionShape& shape = a.shape;
  const int heads_per_kv = static_cast<int>(shape.n_heads / shape.n_kv_heads);
  const Work work = {a.q,
                     a.y,
                     a.pages,
                     a.positions,
                     a.workspace,
                     shape.layer_offset,
                     kv_block_bytes(shape.format, shape.head_dim),
                     static_cast<int>(shape.n_heads),
                     heads_per_kv,
                     static_cast<int>(shape.head_dim),
                     static_cast<int>(padded_head_dim(shape.head_dim)),
                     static_cast<int>(a.splits),
                     static_cast<int>(shape.window),
                     shape.scale,
                     shape.softcap};
  const dim3 grid(static_cast<unsigned>(a.rows),
                  static_cast<unsigned>(shape.n_kv_heads * ((heads_per_kv + kGroup - 1) / kGroup)),
                  static_cast<unsigned>(a.splits));
  if (Status status =
          device::launch(stream, "decode_attention", grid, kThreads, 0, decode_attention<T>, work);
      !status.ok())
    return status;
  return device::launch(stream, "join_splits", dim3(static_cast<unsigned>(a.rows * shape.n_heads)), kThreads,
                        0, join_splits, work);
}

}  // namespace

Status decode_attention_cuda(const DecodeAttentionCuda& a, cudaStream_t stream) {
  const AttentionShape& shape = a.shape;
  if (a.rows < 0 || a.splits < 1 || a.splits > 64 || shape.n_kv_heads < 1 || shape.n_heads < 1 ||
      shape.n_heads % shape.n_kv_heads != 0 || shape.head_dim < 1 || shape.head_dim > kMaxHeadDim)
    return Status(StatusCode::kInvalidShape, "decode attention on a device: an impossible shape")
        .expected("heads that KV heads divide, head_dim in [1, " + std::to_string(kMaxHeadDim) +
                  "], splits in [1, 64]")
        .got(std::to_string(shape.n_heads) + " and " + std::to_string(shape.n_kv_heads) + " heads of " +
             std::to_string(shape.head_dim) + ", " + std::to_string(a.splits) + " splits");
  if (a.rows == 0) return {};
  if (!a.q || !a.y || !a.pages || !a.positions || !a.workspace)
    return Status(StatusCode::kInvalidArgument, "decode attention on a device: a pointer is null");
  switch (shape.format) {
    case KvFormat::kF32: return start<float>(a, stream);
    case KvFormat::kF16: return start<device::F16>(a, stream);
    case KvFormat::kBF16: return start<device::BF16>(a, stream);
    case KvFormat::kQ8_0: break;
  }
  return Status(StatusCode::kUnsupported, "decode attention on a device does not read q8_0 pages");
}

}  // namespace weft
