// A token's heads are shared among blocks, a pair of components a thread: queries are rotated in place, keys on their way into the page.

#include <algorithm>

#include "kernels/ops/rope/rope_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kBlocks = 132 * 16 * 4;  // four waves on an H100

struct Work {
  const float* cos_sin;
  float* q;
  const float* k;
  const float* v;
  std::byte* const* pages;
  const int32_t* slots;
  int64_t layer_offset, block_bytes;
  int n_heads, n_kv_heads, head_dim, padded_dim, n_rotated;
  bool adjacent;  // pairs are (2i, 2i + 1), else (i, i + n_rotated / 2)
};

struct RotatedPair {
  int first, second;  // components
  float a, b;
};

/// Pair p of a head: those that are rotated come first, the components behind them pass through two by two.
__device__ __forceinline__ RotatedPair rotated(const Work& work, const float* cos_sin, const float* head,
                                               int p) {
  const int pairs = work.n_rotated / 2;
  if (p >= pairs) return {2 * p, 2 * p + 1, head[2 * p], head[2 * p + 1]};
  const int first = work.adjacent ? 2 * p : p, second = work.adjacent ? 2 * p + 1 : p + pairs;
  const float c = cos_sin[2 * p], s = cos_sin[2 * p + 1], a = head[first], b = head[second];
  return {first, second, a * c - b * s, a * s + b * c};
}

template <typename T>
__global__ void __launch_bounds__(kThreads) rope_store(Work work) {
  device::let_next_start();
  device::wait_for_previous();
  const int64_t token = blockIdx.x;
  const int first = static_cast<int>(blockIdx.y * kThreads + threadIdx.x),
            step = static_cast<int>(gridDim.y) * kThreads;
  const int pairs = work.head_dim / 2, slot = work.slots[token];
  const float* cos_sin = work.cos_sin + token * work.n_rotated;
  float* q = work.q + token * work.n_heads * work.head_dim;
  const float* k = work.k + token * work.n_kv_heads * work.head_dim;
  const float* v = work.v + token * work.n_kv_heads * work.head_dim;
  std::byte* page = work.pages[token] + work.layer_offset;
  for (int i = first; i < work.n_heads * pairs; i += step) {
    float* head = q + i / pairs * work.head_dim;
    const RotatedPair pair = rotated(work, cos_sin, head, i % pairs);
    head[pair.first] = pair.a;
    head[pair.second] = pair.b;
  }
  for (int i = first; i < work.n_kv_heads * pairs; i += step) {
    const int head = i / pairs;
    const RotatedPair pair = rotated(work, cos_sin, k + head * work.head_dim, i % pairs);
    T* keys = reinterpret_cast<T*>(page + head * 2 * work.block_bytes);
    keys[pair.first * kPageTokens + slot] = device::from_f32<T>(pair.a);
    keys[pair.second * kPageTokens + slot] = device::from_f32<T>(pair.b);
  }
  for (int i = first; i < work.n_kv_heads * work.padded_dim; i += step) {
    const int head = i / work.padded_dim, d = i % work.padded_dim;
    T* values = reinterpret_cast<T*>(page + (head * 2 + 1) * work.block_bytes);
    values[slot * work.padded_dim + d] =
        device::from_f32<T>(d < work.head_dim ? v[head * work.head_dim + d] : 0.0f);
  }
}

template <typename T>
Status start(const RopeStoreCuda& r, cudaStream_t stream) {
  const AttentionShape& shape = r.shape;
  const Work work = {r.cos_sin,
                     r.q,
                     r.k,
                     r.v,
                     r.pages,
                     r.slots,
                     shape.layer_offset,
                     kv_block_bytes(shape.format, shape.head_dim),
                     static_cast<int>(shape.n_heads),
                     static_cast<int>(shape.n_kv_heads),
                     static_cast<int>(shape.head_dim),
                     static_cast<int>(padded_head_dim(shape.head_dim)),
                     r.layout == RopeLayout::kNone ? 0 : static_cast<int>(r.n_rotated),
                     r.layout == RopeLayout::kInterleaved};
  // A pair of a query a thread, as long as the blocks are few waves of a device.
  const int64_t most = (shape.n_heads * (shape.head_dim / 2) + kThreads - 1) / kThreads,
                blocks = std::clamp<int64_t>(kBlocks / r.tokens, 1, most);
  return device::launch_early(stream, "rope_store",
                              dim3(static_cast<unsigned>(r.tokens), static_cast<unsigned>(blocks)), kThreads,
                              0, rope_store<T>, work);
}

}  // namespace

Status rope_store_cuda(const RopeStoreCuda& r, cudaStream_t stream) {
  const AttentionShape& shape = r.shape;
  if (r.tokens < 0 || shape.n_heads < 1 || shape.n_kv_heads < 1 || shape.head_dim < 2 ||
      shape.head_dim > kMaxHeadDim || shape.head_dim % 2 != 0 || r.n_rotated < 0 ||
      r.n_rotated > shape.head_dim || r.n_rotated % 2 != 0)
    return Status(StatusCode::kInvalidShape, "RoPE on a device: an impossible shape")
        .expected("heads >= 1, an even head_dim in [2, " + std::to_string(kMaxHeadDim) +
                  "], an even n_rotated up to it")
        .got(std::to_string(shape.n_heads) + " and " + std::to_string(shape.n_kv_heads) + " heads of " +
             std::to_string(shape.head_dim) + ", " + std::to_string(r.n_rotated) + " rotated");
  if (r.tokens == 0) return {};
  if (!r.q || !r.k || !r.v || !r.pages || !r.slots || (!r.cos_sin && r.layout != RopeLayout::kNone))
    return Status(StatusCode::kInvalidArgument, "RoPE on a device: a pointer is null");
  switch (shape.format) {
    case KvFormat::kF32: return start<float>(r, stream);
    case KvFormat::kF16: return start<device::F16>(r, stream);
    case KvFormat::kBF16: return start<device::BF16>(r, stream);
    case KvFormat::kQ8_0: break;
  }
  return Status(StatusCode::kUnsupported, "RoPE on a device does not write q8_0 pages");
}

}  // namespace weft
