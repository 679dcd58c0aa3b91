// A warp takes page after page. Each lane copies what it will compute with into shared memory of its own, 16 bytes at a time and
// several KiB a warp ahead, so that many loads are in flight, and no lane waits for another one's. Only the scales of q8_0 are copied by some
// lanes for all of the warp.

#include <bit>

#include "kernels/ops/attention/attention_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kGroup = static_cast<int>(kDecodeAttentionGroup);
constexpr int kPage = static_cast<int>(kPageTokens);
constexpr int kBatch = 8;  // copies of a lane that it waits for together, at most
constexpr int kRing = 4;   // batches of a warp in shared memory
constexpr int kBatchBytes = kBatch * 32 * 16;
constexpr int kScaleLanes = 16;  // that copy the scales of a batch
constexpr unsigned kAllLanes = 0xffffffffu;

struct Work {
  const float* q;
  float* y;
  std::byte* const* const* pages;
  const int32_t* positions;
  const int32_t* ahead;
  float* workspace;  // values of all parts [head_dim], then a maximum and a sum of each
  int64_t layer_offset, block_bytes, parts;
  int n_heads, heads_per_kv, head_dim, padded_dim, splits, window;
  float scale, softcap;
};

/// How a warp reads a page of T (int8_t: q8_0) whose tokens have up to kDim components, in loads of kPer elements.
template <typename T, int kDim>
struct Plan {
  static constexpr int kPer = 16 / static_cast<int>(sizeof(T));
  /// Keys: kPer tokens of a component a lane, kPer components a step of the warp.
  static constexpr int kTokenLanes = kPage / kPer;
  static constexpr int kKeySteps = kDim / kPer;
  /// Values: kPer components of a token a lane; kSlots tokens go together, and a token takes kParts steps.
  static constexpr int kPieces = kDim / kPer;
  static constexpr int kLanes = kPieces < 32 ? kPieces : 32;
  static constexpr int kParts = (kPieces + 31) / 32;
  static constexpr int kSlots = static_cast<int>(std::bit_floor(32u / kLanes));
  static constexpr int kValueSteps = kPage / kSlots * kParts;
  static constexpr int kOwn = kParts * kPer;  // components of a lane

  static constexpr int kKeyBatches = (kKeySteps + kBatch - 1) / kBatch,
                       kValueBatches = (kValueSteps + kBatch - 1) / kBatch;
  static constexpr int kKeyBatch = kKeySteps / kKeyBatches, kValueBatch = kValueSteps / kValueBatches;
  static_assert(kKeyBatch * kKeyBatches == kKeySteps && kValueBatch * kValueBatches == kValueSteps);
  static constexpr int kBatches = kKeyBatches + kValueBatches;  // of a page

  static constexpr bool kScaled = sizeof(T) == 1;
  /// Steps of 32 components of keys, which have a scale a token, and tokens whose values are a batch.
  static constexpr int kScaleSteps = 32 / kPer, kValueTokens = kValueBatch * kSlots / kParts;
  static_assert(!kScaled || (kKeyBatch % kScaleSteps == 0 && kParts == 1 &&
                             kKeyBatch / kScaleSteps * kPage * 2 <= kScaleLanes * 16 &&
                             kValueTokens * kDim / 32 * 2 <= kScaleLanes * 16));
  /// Of a batch in a warp's ring, its scales behind it; of a block's rings, whatever kDim is.
  static constexpr int kPlaceBytes = kBatchBytes + (kScaled ? kScaleLanes * 16 : 0),
                       kRingBytes = kWarps * kRing * kPlaceBytes;
  static constexpr int kBlocksOfOne =
      static_cast<int>(decode_attention_blocks_of_one(sizeof(T) == 2 ? KvFormat::kF16 : KvFormat::kF32));

  /// Of the sums that warps leave to each other: a gap after 32 components keeps lanes in banks of their own.
  static constexpr int kJoinRow = kDim + kDim / 32;
};

/// The tokens of a page that count.
struct Tokens {
  int begin, end;
};

/// The pages of a warp, every kWarps-th of [at, last), with what is known of the next one: its address, before it is needed.
struct Pages {
  std::byte* const* list;
  int64_t offset;  // of the head's keys within a page
  int at, last, start, end;
  const std::byte* keys;
  const std::byte* next;

  __device__ __forceinline__ const std::byte* address(int page) const {
    return page < last ? list[page] + offset : nullptr;
  }
  __device__ __forceinline__ void advance() {
    at += kWarps;
    keys = next;
    next = address(at + kWarps);
  }
  /// None where there is no page.
  __device__ __forceinline__ Tokens tokens(int page) const {
    if (page >= last) return {0, 0};
    return {max(start - page * kPage, 0), min(end - page * kPage, kPage)};
  }
};

/// Of each query head, over the tokens so far: the largest score, of this lane's tokens the sum of exponentials, and of this lane's
/// components and tokens the weighted sum of values.
template <int kOwn>
struct Softmax {
  float largest[kGroup], sum[kGroup], values[kGroup][kOwn];
};

template <typename T, int kPer>
__device__ __forceinline__ void unpack(device::Words4 w, float (&x)[kPer]) {
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < kPer; ++i) x[i] = __uint_as_float(w.w[i]);
  } else if constexpr (sizeof(T) == 1) {
#pragma unroll
    for (int i = 0; i < kPer; ++i)
      x[i] = static_cast<float>(static_cast<int8_t>(w.w[i / 4] >> 8 * (i % 4) & 255));
  } else {
#pragma unroll
    for (int i = 0; i < kPer; ++i)
      x[i] = device::to_f32(device::from_bits<T>(w.w[i / 2] >> 16 * (i % 2) & 0xffff));
  }
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, flip));
  return x;
}

template <typename T, int kDim>
struct Reader {
  using P = Plan<T, kDim>;
  const Work& work;
  const float* q;   // shared, [kDim][kGroup]
  float* weights;   // shared, of this warp: [kPage][kGroup], in the order of the lanes that own the tokens
  std::byte* ring;  // shared, of this lane: [kRing][kBatch][16] bytes, 32 * 16 apart, kPlaceBytes a batch
  int lane;

  /// Starts the copy of a batch's scales: `bytes` of them, a multiple of 16.
  __device__ __forceinline__ void copy_scales(std::byte* to, const std::byte* from, int bytes,
                                              bool wanted) const {
    if (lane < kScaleLanes)
      device::copy_async16(to + kBatchBytes, from + lane * 16, wanted && lane * 16 < bytes);
  }
  /// The scales behind the batch of which this lane has `from`.
  __device__ __forceinline__ const std::byte* scales(const std::byte* from) const {
    return from - lane * 16 + kBatchBytes;
  }

  /// Starts the copies of batch `batch` of a page into place `place` of the ring. What does not count is zero, and not read.
  __device__ __forceinline__ void copy(const Pages& pages, int batch, int place) const {
    const Tokens tokens = pages.tokens(pages.at);
    std::byte* to = ring + place * P::kPlaceBytes;
    if (batch < P::kKeyBatches) {
      const int sector = lane % P::kTokenLanes / 2 * 2 * P::kPer;  // the first token of 32 bytes
      const bool wanted = sector < tokens.end && sector + 2 * P::kPer > tokens.begin;
      const T* from = reinterpret_cast<const T*>(pages.keys) + lane * P::kPer;
#pragma unroll
      for (int i = 0; i < P::kKeyBatch; ++i) {
        const int step = batch * P::kKeyBatch + i;
        device::copy_async16(to + i * 512, from + step * P::kPer * kPage,
                             wanted && step * P::kPer + lane / P::kTokenLanes < work.head_dim);
      }
      if constexpr (P::kScaled) {
        const int group = batch * (P::kKeyBatch / P::kScaleSteps);
        copy_scales(to, pages.keys + (work.head_dim + group * 2) * kPage,
                    min(P::kKeyBatch / P::kScaleSteps, work.head_dim / 32 - group) * kPage * 2, wanted);
      }
    } else {
      const int slot = lane / P::kLanes, piece = lane % P::kLanes;
      const T* from = reinterpret_cast<const T*>(pages.keys + work.block_bytes) + piece * P::kPer +
                      slot * work.padded_dim;
#pragma unroll
      for (int i = 0; i < P::kValueBatch; ++i) {
        const int step = (batch - P::kKeyBatches) * P::kValueBatch + i, token = step / P::kParts * P::kSlots,
                  part = step % P::kParts * 32 * P::kPer;
        device::copy_async16(to + i * 512, from + token * work.padded_dim + part,
                             slot < P::kSlots && token + slot >= tokens.begin && token + slot < tokens.end &&
                                 part + piece * P::kPer < work.padded_dim);
      }
      if constexpr (P::kScaled) {
        const int token_bytes = work.head_dim / 32 * 2;
        copy_scales(to,
                    pages.keys + work.block_bytes + work.head_dim * kPage +
                        (batch - P::kKeyBatches) * P::kValueTokens * token_bytes,
                    P::kValueTokens * token_bytes, tokens.begin < tokens.end);
      }
    }
    device::copy_async_commit();
  }

  __device__ __forceinline__ void use_keys(const std::byte* from, int batch,
                                           float (&score)[kGroup][P::kPer]) const {
#pragma unroll
    for (int i = 0; i < P::kKeyBatch; ++i) {
      const device::Quad query =
          device::load_quad(q + ((batch * P::kKeyBatch + i) * P::kPer + lane / P::kTokenLanes) * kGroup);
      float key[P::kPer];
      unpack<T>(device::load16(from + i * 512), key);
      if constexpr (P::kScaled) scale_keys(from, i / P::kScaleSteps, key);
#pragma unroll
      for (int h = 0; h < kGroup; ++h) {
#pragma unroll
        for (int t = 0; t < P::kPer; ++t) score[h][t] += query.v[h] * key[t];
      }
    }
  }
  /// By the scales of this lane's tokens; group: of 32 components, within the batch.
  __device__ __forceinline__ void scale_keys(const std::byte* from, int group, float (&key)[P::kPer]) const {
    const std::byte* at = scales(from) + (group * kPage + lane % P::kTokenLanes * P::kPer) * 2;
#pragma unroll
    for (int begin = 0; begin < P::kPer; begin += 8) {
      float scale[8];
      unpack<device::F16>(device::load16(at + begin * 2), scale);
#pragma unroll
      for (int t = 0; t < 8; ++t) key[begin + t] *= scale[t];
    }
  }
  /// Of this lane's components of the batch's token `token`: 0 where it does not count, whatever the page has there.
  __device__ __forceinline__ float value_scale(const std::byte* from, int token, bool counts) const {
    const int group = lane % P::kLanes * P::kPer / 32;
    const uint32_t bits = device::load2(scales(from) + (token * (work.head_dim / 32) + group) * 2);
    return counts ? device::to_f32(device::from_bits<device::F16>(bits)) : 0.0f;
  }
  __device__ __forceinline__ void use_values(const std::byte* from, int batch, Tokens tokens,
                                             Softmax<P::kOwn>& state) const {
    const int slot = lane / P::kLanes < P::kSlots ? lane / P::kLanes : 0;
#pragma unroll
    for (int i = 0; i < P::kValueBatch; ++i) {
      const int step = batch * P::kValueBatch + i, token = step / P::kParts * P::kSlots;
      const int owner = token % P::kPer * P::kTokenLanes + token / P::kPer + slot * P::kTokenLanes;
      device::Quad weight = device::load_quad(weights + owner * kGroup);
      if constexpr (P::kScaled) {
        const bool counts = token + slot >= tokens.begin && token + slot < tokens.end;
        const float scale = value_scale(from, i * P::kSlots + slot, counts);
#pragma unroll
        for (int h = 0; h < kGroup; ++h) weight.v[h] *= scale;
      }
      float value[P::kPer];
      unpack<T>(device::load16(from + i * 512), value);
#pragma unroll
      for (int h = 0; h < kGroup; ++h) {
#pragma unroll
        for (int j = 0; j < P::kPer; ++j)
          state.values[h][step % P::kParts * P::kPer + j] += weight.v[h] * value[j];
      }
    }
  }

  /// The scores of a page, each summed over the lanes that share it, so that a lane has one token: its own.
  /// Token lane % kTokenLanes * kPer + lane / kTokenLanes.
  __device__ __forceinline__ void reduce(float (&score)[kGroup][P::kPer]) const {
#pragma unroll
    for (int half = P::kPer / 2; half > 0; half /= 2) {
      const bool upper = (lane / P::kTokenLanes & half) != 0;
#pragma unroll
      for (int h = 0; h < kGroup; ++h) {
#pragma unroll
        for (int t = 0; t < half; ++t) {
          const float mine = upper ? score[h][t + half] : score[h][t],
                      theirs = upper ? score[h][t] : score[h][t + half];
          score[h][t] = mine + __shfl_xor_sync(kAllLanes, theirs, half * P::kTokenLanes);
        }
      }
    }
  }

  /// Takes a page's scores into each head's softmax and leaves the weights of its tokens in shared memory.
  __device__ __forceinline__ void weigh(Tokens tokens, float (&score)[kGroup][P::kPer],
                                        Softmax<P::kOwn>& state) const {
    reduce(score);
    const int token = lane % P::kTokenLanes * P::kPer + lane / P::kTokenLanes;
    device::Quad weight;
#pragma unroll
    for (int h = 0; h < kGroup; ++h) {
      float s = score[h][0] * work.scale;
      if (work.softcap > 0) s = work.softcap * tanhf(s / work.softcap);
      if (token < tokens.begin || token >= tokens.end) s = -INFINITY;
      const float largest = fmaxf(state.largest[h], warp_max(s));
      const float correction = expf(state.largest[h] - largest);
      weight.v[h] = expf(s - largest);
      state.largest[h] = largest;
      state.sum[h] = state.sum[h] * correction + weight.v[h];
#pragma unroll
      for (int j = 0; j < P::kOwn; ++j) state.values[h][j] *= correction;
    }
    __syncwarp();  // the page before has been read
    device::store_quad(weights + lane * kGroup, weight);
    __syncwarp();
  }

  /// Takes all pages into the softmax. ahead: the warp's first page.
  __device__ __forceinline__ void take(Pages& ahead, Softmax<P::kOwn>& state) const {
    int page = ahead.at, place = 0;
#pragma unroll
    for (int batch = 0; batch < kRing - 1; ++batch) {
      if (batch > 0 && batch % P::kBatches == 0) ahead.advance();
      copy(ahead, batch % P::kBatches, batch);
    }
    __syncthreads();  // q is there
    for (; page < ahead.last; page += kWarps) {
      float score[kGroup][P::kPer] = {};
#pragma unroll
      for (int batch = 0; batch < P::kBatches; ++batch) {
        const int copied = (batch + kRing - 1) % P::kBatches;
        if (copied == 0) ahead.advance();
        if constexpr (P::kScaled) __syncwarp();  // the scales of the batch before have been read
        copy(ahead, copied, (place + kRing - 1) % kRing);
        device::copy_async_wait<kRing - 1>();
        if constexpr (P::kScaled) __syncwarp();  // all lanes' scales are there
        const std::byte* from = ring + place * P::kPlaceBytes;
        if (batch < P::kKeyBatches) use_keys(from, batch, score);
        else use_values(from, batch - P::kKeyBatches, ahead.tokens(page), state);
        if (batch == P::kKeyBatches - 1) weigh(ahead.tokens(page), score, state);
        place = (place + 1) % kRing;
      }
    }
    device::copy_async_wait<0>();
  }
};

/// One block a row, KV head (its query heads by four) and split.
template <typename T, int kDim>
__global__ void __launch_bounds__(kThreads, Plan<T, kDim>::kBlocksOfOne) decode_attention(Work work) {
  using P = Plan<T, kDim>;
  WEFT_SHARED(float, q, kDim* kGroup);
  WEFT_SHARED(float, weights, kWarps* kPage* kGroup);
  WEFT_DYNAMIC_SHARED(std::byte, ring);
  static_assert(kGroup * kWarps * P::kSlots * P::kJoinRow * sizeof(float) <= P::kRingBytes);
  WEFT_SHARED(float, largest_of, kGroup* kWarps);
  WEFT_SHARED(float, sum_of, kGroup* kWarps);
  device::let_next_start();
  device::wait_for_previous();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int split = static_cast<int>(blockIdx.z);
  const int groups = (work.heads_per_kv + kGroup - 1) / kGroup;
  const int kv_head = static_cast<int>(blockIdx.y) / groups,
            first = static_cast<int>(blockIdx.y) % groups * kGroup;
  const int n_heads = min(kGroup, work.heads_per_kv - first), head = kv_head * work.heads_per_kv + first;
  const int64_t row = blockIdx.x;

  const int own_end = work.positions[row] + 1, end = own_end + (work.ahead != nullptr ? work.ahead[row] : 0),
            start = work.window > 0 ? max(own_end - work.window, 0) : 0;
  const int first_page = start / kPage, n_pages = (end + kPage - 1) / kPage - first_page;
  const int share = (n_pages + work.splits - 1) / work.splits;
  Pages pages;
  pages.list = work.pages[row];
  pages.offset = work.layer_offset + kv_head * 2 * work.block_bytes;
  pages.at = first_page + split * share + warp;
  pages.last = first_page + min((split + 1) * share, n_pages);
  pages.start = start, pages.end = end;
  pages.keys = pages.address(pages.at);
  pages.next = pages.address(pages.at + kWarps);
  for (int i = thread; i < kDim * kGroup; i += kThreads) {
    const int h = i % kGroup, d = i / kGroup;
    q[i] =
        h < n_heads && d < work.head_dim ? work.q[(row * work.n_heads + head + h) * work.head_dim + d] : 0.0f;
  }
  Softmax<P::kOwn> state;
#pragma unroll
  for (int h = 0; h < kGroup; ++h) {
    state.largest[h] = -INFINITY;
    state.sum[h] = 0;
#pragma unroll
    for (int j = 0; j < P::kOwn; ++j) state.values[h][j] = 0;
  }
  const Reader<T, kDim> reader = {work, q, weights + warp * kPage * kGroup,
                                  ring + warp * kRing * P::kPlaceBytes + lane * 16, lane};
  reader.take(pages, state);
  __syncthreads();  // the ring is free

  // What the warps and the lanes of a warp have is joined.
  float* joined = reinterpret_cast<float*>(ring);
  const int slot = lane / P::kLanes, piece = lane % P::kLanes;
#pragma unroll
  for (int h = 0; h < kGroup; ++h) {
    const float sum = device::warp_sum(state.sum[h]);
    if (lane == 0) largest_of[h * kWarps + warp] = state.largest[h], sum_of[h * kWarps + warp] = sum;
    if (slot >= P::kSlots) continue;
    float* to = joined + ((h * kWarps + warp) * P::kSlots + slot) * P::kJoinRow;
#pragma unroll
    for (int j = 0; j < P::kOwn; ++j) {
      const int d = (j / P::kPer * 32 + piece) * P::kPer + j % P::kPer;
      to[d + d / 32] = state.values[h][j];
    }
  }
  __syncthreads();
  for (int d = thread; d < work.head_dim; d += kThreads) {
#pragma unroll
    for (int h = 0; h < kGroup; ++h) {
      if (h >= n_heads) break;
      float largest = -INFINITY, sum = 0, value = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, largest_of[h * kWarps + w]);
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        // A warp without tokens has a largest score of -infinity, and all may have: the difference is no number.
        const float factor = sum_of[h * kWarps + w] > 0 ? expf(largest_of[h * kWarps + w] - largest) : 0.0f;
        sum += sum_of[h * kWarps + w] * factor;
#pragma unroll
        for (int s = 0; s < P::kSlots; ++s)
          value += joined[((h * kWarps + w) * P::kSlots + s) * P::kJoinRow + d + d / 32] * factor;
      }
      const int64_t part = (row * work.n_heads + head + h) * work.splits + split;
      if (work.splits == 1) {
        work.y[part * work.head_dim + d] = value / sum;
      } else {
        work.workspace[part * work.head_dim + d] = value;
        if (d == 0) {
          float* facts = work.workspace + work.parts * work.head_dim + part * 2;
          device::store_pair(facts, {{largest, sum}});
        }
      }
    }
  }
}

constexpr int kJoinThreads = 256, kJoinWarps = kJoinThreads / 32;
constexpr int kMostParts = static_cast<int>(kMaxHeadDim) / 32;  // components of a lane

/// One block a row and head: y = the sum of the splits' values over the sum of their sums, a warp every eighth split.
__global__ void __launch_bounds__(kJoinThreads) join_splits(Work work) {
  constexpr int kSplitsOfLane = static_cast<int>(kMostDecodeAttentionSplits) / 32;
  constexpr int kSplitsOfWarp = 32 / kJoinWarps;  // of 32
  WEFT_SHARED(float, joined, kJoinWarps* kMaxHeadDim);
  device::let_next_start();
  device::wait_for_previous();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int64_t at = blockIdx.x;
  const float* values = work.workspace + at * work.splits * work.head_dim;
  const float* facts = work.workspace + work.parts * work.head_dim + at * work.splits * 2;
  float factor[kSplitsOfLane], sums[kSplitsOfLane], largest = -INFINITY, total = 0;
#pragma unroll
  for (int i = 0; i < kSplitsOfLane; ++i) {
    factor[i] = -INFINITY, sums[i] = 0;
    if (i * 32 + lane < work.splits) {
      const device::Pair fact = device::load_pair(facts + (i * 32 + lane) * 2);
      factor[i] = fact.v[0], sums[i] = fact.v[1];
    }
    largest = fmaxf(largest, factor[i]);
  }
  largest = warp_max(largest);
#pragma unroll
  for (int i = 0; i < kSplitsOfLane; ++i) {
    factor[i] = sums[i] > 0 ? expf(factor[i] - largest) : 0.0f;
    total += sums[i] * factor[i];
  }
  total = device::warp_sum(total);
  float value[kMostParts] = {};
#pragma unroll
  for (int i = 0; i < kSplitsOfLane; ++i) {
    if (i * 32 >= work.splits) break;
#pragma unroll
    for (int s = 0; s < kSplitsOfWarp; ++s) {
      const int of_32 = s * kJoinWarps + warp, split = i * 32 + of_32;
      const float by = __shfl_sync(kAllLanes, factor[i], of_32);
#pragma unroll
      for (int part = 0; part < kMostParts; ++part) {
        const int d = part * 32 + lane;
        if (split < work.splits && d < work.head_dim)
          value[part] += values[static_cast<int64_t>(split) * work.head_dim + d] * by;
      }
    }
  }
#pragma unroll
  for (int part = 0; part < kMostParts; ++part)
    joined[warp * static_cast<int>(kMaxHeadDim) + part * 32 + lane] = value[part];
  __syncthreads();
  if (thread >= work.head_dim) return;
  float sum = 0;
#pragma unroll
  for (int w = 0; w < kJoinWarps; ++w) sum += joined[w * static_cast<int>(kMaxHeadDim) + thread];
  work.y[at * work.head_dim + thread] = sum / total;
}
static_assert(kJoinThreads >= kMaxHeadDim && kMostDecodeAttentionSplits % 32 == 0);

template <typename T>
Status start(const DecodeAttentionCuda& a, cudaStream_t stream) {
  const AttentionShape& shape = a.shape;
  const Work work = {a.q,
                     a.y,
                     a.pages,
                     a.positions,
                     a.ahead,
                     a.workspace,
                     shape.layer_offset,
                     kv_block_bytes(shape.format, shape.head_dim),
                     a.rows * shape.n_heads * a.splits,
                     static_cast<int>(shape.n_heads),
                     static_cast<int>(shape.n_heads / shape.n_kv_heads),
                     static_cast<int>(shape.head_dim),
                     static_cast<int>(padded_head_dim(shape.head_dim)),
                     static_cast<int>(a.splits),
                     static_cast<int>(shape.window),
                     shape.scale,
                     shape.softcap};
  const dim3 grid(static_cast<unsigned>(a.rows), static_cast<unsigned>(decode_attention_blocks(shape)),
                  static_cast<unsigned>(a.splits));
  const auto run = [&](auto kernel) {
    return device::launch_early(stream, "decode_attention", grid, kThreads, Plan<T, 64>::kRingBytes, kernel,
                                work);
  };
  const auto run_splits = [&]() -> Status {
    if (shape.head_dim <= 64) return run(decode_attention<T, 64>);
    if (shape.head_dim <= 96) return run(decode_attention<T, 96>);
    if (shape.head_dim <= 128) return run(decode_attention<T, 128>);
    return run(decode_attention<T, 256>);
  };
  if (Status status = run_splits(); !status.ok() || a.splits == 1) return status;
  return device::launch_early(stream, "join_splits", dim3(static_cast<unsigned>(a.rows * shape.n_heads)),
                              kJoinThreads, 0, join_splits, work);
}

}  // namespace

Status decode_attention_cuda(const DecodeAttentionCuda& a, cudaStream_t stream) {
  const AttentionShape& shape = a.shape;
  if (a.rows < 0 || a.splits < 1 || a.splits > kMostDecodeAttentionSplits || shape.n_kv_heads < 1 ||
      shape.n_heads < 1 || shape.n_heads % shape.n_kv_heads != 0 || shape.head_dim < 1 ||
      shape.head_dim > kMaxHeadDim)
    return Status(StatusCode::kInvalidShape, "decode attention on a device: an impossible shape")
        .expected("heads that KV heads divide, head_dim in [1, " + std::to_string(kMaxHeadDim) +
                  "], splits in [1, " + std::to_string(kMostDecodeAttentionSplits) + "]")
        .got(std::to_string(shape.n_heads) + " and " + std::to_string(shape.n_kv_heads) + " heads of " +
             std::to_string(shape.head_dim) + ", " + std::to_string(a.splits) + " splits");
  if (shape.format == KvFormat::kQ8_0 && shape.head_dim % 32 != 0)
    return Status(StatusCode::kInvalidShape,
                  "decode attention on a device: q8_0 pages need a multiple of 32 components")
        .got(std::to_string(shape.head_dim));
  if (a.rows == 0) return {};
  if (!a.q || !a.y || !a.pages || !a.positions || (a.splits > 1 && !a.workspace))
    return Status(StatusCode::kInvalidArgument, "decode attention on a device: a pointer is null");
  switch (shape.format) {
    case KvFormat::kF32: return start<float>(a, stream);
    case KvFormat::kF16: return start<device::F16>(a, stream);
    case KvFormat::kBF16: return start<device::BF16>(a, stream);
    case KvFormat::kQ8_0: return start<int8_t>(a, stream);
  }
  return Status(StatusCode::kInvalidArgument, "decode attention on a device: pages of no known format");
}

}  // namespace weft
