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

/// Component d of a rotated head.
__device__ __forceinline__ float rotated_component(const Work& work, const float* cos_sin, const float* head,
                                                   int d) {
  const int pairs = work.n_rotated / 2;
  const int p = d >= work.n_rotated || work.adjacent ? d / 2 : d % pairs;
  const RotatedPair pair = rotated(work, cos_sin, head, p);
  return pair.first == d ? pair.a : pair.b;
}

/// A token's keys and values into its page: first, step: of the threads that share a token.
template <typename T>
__device__ __forceinline__ void store(const Work& work, const float* cos_sin, const float* k, const float* v,
                                      std::byte* page, int slot, int first, int step) {
  const int pairs = work.head_dim / 2;
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

struct Rounded {
  int8_t code;
  device::F16 scale;
};
/// One of 32 components that share a scale, a lane each; bit for bit as the CPU rounds (kv_formats.h).
__device__ __forceinline__ Rounded rounded(float x) {
  // As integers, numbers without a sign keep their order, and what is not finite comes behind all that are.
  uint32_t largest = __float_as_uint(fabsf(x));
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2)
    largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, flip));
  if (largest >= 0x7f800000u) return {0, device::from_bits<device::F16>(0x7e00)};
  const device::F16 scale = device::from_f32<device::F16>(__uint_as_float(largest) / 127.0f);
  const float unit = device::to_f32(scale), inverse = unit != 0 ? 1.0f / unit : 0.0f;
  const float r = fminf(fmaxf(x * inverse, -127.0f), 127.0f);
  return {static_cast<int8_t>(r < 0 ? r - 0.5f : r + 0.5f), scale};
}

/// The same for q8_0: a warp takes 32 components of a key or of a value.
template <>
__device__ __forceinline__ void store<int8_t>(const Work& work, const float* cos_sin, const float* k,
                                              const float* v, std::byte* page, int slot, int first,
                                              int step) {
  const int groups = work.head_dim / 32, lane = first % 32;
  for (int i = first / 32; i < 2 * work.n_kv_heads * groups; i += step / 32) {
    const int head = i / 2 / groups, group = i / 2 % groups, d = group * 32 + lane;
    std::byte* const block = page + (head * 2 + i % 2) * work.block_bytes;
    auto* const codes = reinterpret_cast<int8_t*>(block);
    auto* const scales = reinterpret_cast<device::F16*>(block + work.head_dim * kPageTokens);
    if (i % 2 == 0) {
      const Rounded key = rounded(rotated_component(work, cos_sin, k + head * work.head_dim, d));
      codes[d * kPageTokens + slot] = key.code;
      if (lane == 0) scales[group * kPageTokens + slot] = key.scale;
    } else {
      const Rounded value = rounded(v[head * work.head_dim + d]);
      codes[slot * work.head_dim + d] = value.code;
      if (lane == 0) scales[slot * groups + group] = value.scale;
    }
  }
}

/// T: of the pages' elements; int8_t: q8_0.
template <typename T>
__global__ void __launch_bounds__(kThreads) rope_store(Work work) {
  device::let_next_start();
  device::wait_for_previous();
  const int64_t token = blockIdx.x;
  const int first = static_cast<int>(blockIdx.y * kThreads + threadIdx.x),
            step = static_cast<int>(gridDim.y) * kThreads;
  const int pairs = work.head_dim / 2;
  const float* cos_sin = work.cos_sin + token * work.n_rotated;
  float* q = work.q + token * work.n_heads * work.head_dim;
  for (int i = first; i < work.n_heads * pairs; i += step) {
    float* head = q + i / pairs * work.head_dim;
    const RotatedPair pair = rotated(work, cos_sin, head, i % pairs);
    head[pair.first] = pair.a;
    head[pair.second] = pair.b;
  }
  const int64_t kv = token * work.n_kv_heads * work.head_dim;
  store<T>(work, cos_sin, work.k + kv, work.v + kv, work.pages[token] + work.layer_offset, work.slots[token],
           first, step);
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
  if (shape.format == KvFormat::kQ8_0 && shape.head_dim % 32 != 0)
    return Status(StatusCode::kInvalidShape, "RoPE on a device: q8_0 pages need a multiple of 32 components")
        .got(std::to_string(shape.head_dim));
  if (r.tokens == 0) return {};
  if (!r.q || !r.k || !r.v || !r.pages || !r.slots || (!r.cos_sin && r.layout != RopeLayout::kNone))
    return Status(StatusCode::kInvalidArgument, "RoPE on a device: a pointer is null");
  switch (shape.format) {
    case KvFormat::kF32: return start<float>(r, stream);
    case KvFormat::kF16: return start<device::F16>(r, stream);
    case KvFormat::kBF16: return start<device::BF16>(r, stream);
    case KvFormat::kQ8_0: return start<int8_t>(r, stream);
  }
  return Status(StatusCode::kInvalidArgument, "RoPE on a device: pages of no known format");
}

}  // namespace weft
