// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
//
// A chunk of queries of one head goes over the keys in blocks of kKeyBlock. A block's keys are copied with the keys
// innermost, so that a score needs no sum across lanes, and both products are small matrix products out of registers:
// a tile of R rows by C vectors. Whatever R, each row goes through the same operations in the same order.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/dense_attention/dense_attention_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

// A tile's accumulators fill the registers: 6 x 4 of 32, or 4 x 2 of 16.
constexpr int kRows = kLanes == 16 ? 6 : 4;
constexpr int kColumns = kLanes == 16 ? 4 : 2;

struct F32Element {
  static constexpr int64_t kBytes = 4;
  static WEFT_INLINE F32 load_lanes(const char* p) { return load(reinterpret_cast<const float*>(p)); }
  static WEFT_INLINE float get(const char* p) {
    float x;
    __builtin_memcpy(&x, p, 4);
    return x;
  }
  static WEFT_INLINE void put(char* p, float x) { __builtin_memcpy(p, &x, 4); }
};

struct BF16Element {
  static constexpr int64_t kBytes = 2;
  static WEFT_INLINE F32 load_lanes(const char* p) { return load_bf16(reinterpret_cast<const uint16_t*>(p)); }
  static WEFT_INLINE float get(const char* p) {
    uint16_t half;
    __builtin_memcpy(&half, p, 2);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return x;
  }
  static WEFT_INLINE void put(char* p, float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    const uint16_t half = (bits & 0x7fffffff) > 0x7f800000
                              ? static_cast<uint16_t>(bits >> 16 | 0x40)
                              : static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    __builtin_memcpy(p, &half, 2);
  }
};

// Where lane i of the lower (upper) result of an exchange of blocks of S lanes comes from.
template <int S>
constexpr int lower_from(int i) {
  return (i & S) == 0 ? i : kLanes + i - S;
}
template <int S>
constexpr int upper_from(int i) {
  return (i & S) == 0 ? i + S : kLanes + i;
}

template <int S>
WEFT_INLINE void exchange(F32& a, F32& b) {
#define WEFT_FOUR(f, i) f<S>(i), f<S>(i + 1), f<S>(i + 2), f<S>(i + 3)
#if defined(WEFT_ISA_AVX512)
#define WEFT_ALL(f) WEFT_FOUR(f, 0), WEFT_FOUR(f, 4), WEFT_FOUR(f, 8), WEFT_FOUR(f, 12)
#elif defined(WEFT_ISA_AVX2)
#define WEFT_ALL(f) WEFT_FOUR(f, 0), WEFT_FOUR(f, 4)
#else
#define WEFT_ALL(f) WEFT_FOUR(f, 0)
#endif
  const F32 low = __builtin_shufflevector(a, b, WEFT_ALL(lower_from));
  b = __builtin_shufflevector(a, b, WEFT_ALL(upper_from));
  a = low;
#undef WEFT_ALL
#undef WEFT_FOUR
}

template <int S>
WEFT_INLINE void transpose_from(F32 (&rows)[kLanes]) {
  for (int i = 0; i < kLanes; ++i)
    if ((i & S) == 0) exchange<S>(rows[i], rows[i + S]);
  if constexpr (S > 1) transpose_from<S / 2>(rows);
}

// out[d][slot] = the block's keys, [head_dim][kKeyBlock]; slots from n on are zero.
template <typename Element>
void pack_keys(const char* k, int64_t stride, int64_t n, int64_t head_dim, float* out) {
  for (int64_t slot = 0; slot < kKeyBlock; slot += kLanes) {
    int64_t d = 0;
    if (slot + kLanes <= n) {
      for (; d + kLanes <= head_dim; d += kLanes) {
        F32 rows[kLanes];
        for (int i = 0; i < kLanes; ++i)
          rows[i] = Element::load_lanes(k + ((slot + i) * stride + d) * Element::kBytes);
        transpose_from<kLanes / 2>(rows);
        for (int i = 0; i < kLanes; ++i) store(out + (d + i) * kKeyBlock + slot, rows[i]);
      }
    }
    for (; d < head_dim; ++d)
      for (int64_t i = slot; i < slot + kLanes; ++i)
        out[d * kKeyBlock + i] = i < n ? Element::get(k + (i * stride + d) * Element::kBytes) : 0.0f;
  }
}

// out[i][0..padded) = row i times `scale`, filled up with zeros.
template <typename Element>
void pack_rows(const char* x, int64_t stride, int64_t n, int64_t head_dim, int64_t padded, float scale,
               float* out) {
  for (int64_t i = 0; i < n; ++i, out += padded) {
    const char* row = x + i * stride * Element::kBytes;
    int64_t d = 0;
    for (; d + kLanes <= head_dim; d += kLanes)
      store(out + d, Element::load_lanes(row + d * Element::kBytes) * broadcast(scale));
    for (; d < head_dim; ++d) out[d] = Element::get(row + d * Element::kBytes) * scale;
    for (; d < padded; ++d) out[d] = 0;
  }
}

// scores[r][slot] = q[r] . key[slot] for all slots of a block. q: rows of `padded`.
template <int R>
WEFT_INLINE void score(const float* keys, int64_t head_dim, const float* q, int64_t padded, float* scores) {
  for (int64_t slot = 0; slot < kKeyBlock; slot += kColumns * kLanes) {
    F32 sum[R][kColumns] = {};
    for (int64_t d = 0; d < head_dim; ++d) {
      F32 key[kColumns];
      WEFT_UNROLL
      for (int c = 0; c < kColumns; ++c) key[c] = load(keys + d * kKeyBlock + slot + c * kLanes);
      WEFT_UNROLL
      for (int r = 0; r < R; ++r) {
        const F32 component = broadcast(q[r * padded + d]);
        WEFT_UNROLL
        for (int c = 0; c < kColumns; ++c) sum[r][c] = multiply_add(component, key[c], sum[r][c]);
      }
    }
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      WEFT_UNROLL
      for (int c = 0; c < kColumns; ++c) store(scores + r * kKeyBlock + slot + c * kLanes, sum[r][c]);
    }
  }
}

struct Running {
  float largest;  // score so far
  float sum;      // of exp(score - largest)
};

// A block's scores become weights relative to the largest score so far; those from n_seen on become 0. Returns the
// factor by which what was summed before shrinks.
WEFT_INLINE float soften(float* scores, int64_t n_seen, const float* bias, Running* running) {
  I32 lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  const F32 nothing = broadcast(-__builtin_inff());
  F32 s[kKeyBlock / kLanes];
  F32 largest = broadcast(running->largest);
  for (int64_t i = 0; i < kKeyBlock / kLanes; ++i) {
    const int64_t at = i * kLanes;
    s[i] = load(scores + at);
    if (bias && at < n_seen)
      s[i] += n_seen - at >= kLanes ? load(bias + at) : load_first(bias + at, n_seen - at);
    if (at + kLanes > n_seen)
      s[i] = choose(lane + static_cast<int32_t>(at) < static_cast<int32_t>(n_seen), s[i], nothing);
    largest = maximum(s[i], largest);
  }
  const float new_largest = max_lanes(largest);
  const float base = new_largest == -__builtin_inff() ? 0.0f : new_largest;  // a row may have seen no key yet
  F32 sum = {};
  for (int64_t i = 0; i < kKeyBlock / kLanes; ++i) {
    const F32 weight = exponential(s[i] - broadcast(base));
    store(scores + i * kLanes, weight);
    sum += weight;
  }
  const float shrink = exponential(broadcast(running->largest - base))[0];
  running->sum = running->sum * shrink + sum_lanes(sum);
  running->largest = new_largest;
  return shrink;
}

// sums[r][d..] = sums[r][d..] * shrink[r] + sum over slots below n, ascending, of weights[r][slot] * value[slot][d..],
// for V vectors. values, sums: rows of `padded`.
template <int R, int V>
WEFT_INLINE void add_value_columns(const float* values, int64_t value_stride, int64_t n, const float* weights,
                                   const float* shrink, float* sums, int64_t padded) {
  F32 sum[R][V];
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) sum[r][v] = load(sums + r * padded + v * kLanes) * broadcast(shrink[r]);
  }
  for (int64_t slot = 0; slot < n; ++slot) {
    F32 value[V];
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) value[v] = load(values + slot * value_stride + v * kLanes);
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      const F32 weight = broadcast(weights[r * kKeyBlock + slot]);
      WEFT_UNROLL
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add(weight, value[v], sum[r][v]);
    }
  }
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) store(sums + r * padded + v * kLanes, sum[r][v]);
  }
}

template <int R>
WEFT_INLINE void add_values(const float* values, int64_t value_stride, int64_t n, const float* weights,
                            const float* shrink, float* sums, int64_t padded) {
  int64_t left = padded / kLanes;
  for (int64_t d = 0; left > 0;) {
    const int64_t width = left > kColumns ? (left == kColumns + 1 ? kColumns - 1 : kColumns) : left;
    switch (width) {
      case 1: add_value_columns<R, 1>(values + d, value_stride, n, weights, shrink, sums + d, padded); break;
      case 2: add_value_columns<R, 2>(values + d, value_stride, n, weights, shrink, sums + d, padded); break;
      case 3: add_value_columns<R, 3>(values + d, value_stride, n, weights, shrink, sums + d, padded); break;
      case 4: add_value_columns<R, 4>(values + d, value_stride, n, weights, shrink, sums + d, padded); break;
    }
    d += width * kLanes;
    left -= width;
  }
}

struct Block {
  const float* keys;
  const float* values;
  int64_t value_stride;
  int64_t first;  // key
  int64_t n;      // keys
  int64_t head_dim, padded;
};

template <int R>
void attend_tile(const Block& block, const float* q, const float* bias, int64_t bias_stride, int64_t n_seen,
                 Running* running, float* weights, float* sums) {
  float shrink[R];
  score<R>(block.keys, block.head_dim, q, block.padded, weights);
  for (int r = 0; r < R; ++r)
    shrink[r] = soften(weights + r * kKeyBlock, n_seen, bias ? bias + r * bias_stride + block.first : nullptr,
                       running + r);
  add_values<R>(block.values, block.value_stride, n_seen, weights, shrink, sums, block.padded);
}

template <typename Element>
void attend(const DenseAttentionChunk& c) {
  const int64_t padded = padded_dense_head(c.head_dim);
  float* q = c.scratch;
  float* sums = q + c.n_queries * padded;
  float* keys = sums + c.n_queries * padded;
  float* values = keys + kKeyBlock * padded;
  float* weights = values + kKeyBlock * padded;
  Running* running = reinterpret_cast<Running*>(weights + kMostRegisterRows * kKeyBlock);
  pack_rows<Element>(c.q, c.q_stride, c.n_queries, c.head_dim, padded, c.scale, q);
  for (int64_t i = 0; i < c.n_queries * padded; ++i) sums[i] = 0;
  for (int64_t i = 0; i < c.n_queries; ++i) running[i] = {-__builtin_inff(), 0};

  const int64_t last =
      c.causal && c.first_query + c.n_queries < c.n_keys ? c.first_query + c.n_queries : c.n_keys;
  for (int64_t first = 0; first < last; first += kKeyBlock) {
    Block block = {keys,       values, padded, first, last - first < kKeyBlock ? last - first : kKeyBlock,
                   c.head_dim, padded};
    pack_keys<Element>(c.k + first * c.k_stride * Element::kBytes, c.k_stride, block.n, c.head_dim, keys);
    if (Element::kBytes == 4 && padded == c.head_dim) {
      block.values = reinterpret_cast<const float*>(c.v) + first * c.v_stride;
      block.value_stride = c.v_stride;
    } else {
      pack_rows<Element>(c.v + first * c.v_stride * Element::kBytes, c.v_stride, block.n, c.head_dim, padded,
                         1.0f, values);
    }
    for (int64_t i = 0; i < c.n_queries;) {
      const float* bias = c.bias ? c.bias + i * c.bias_stride : nullptr;
      float* const own_sums = sums + i * padded;
      const float* const own_q = q + i * padded;
      const int64_t left = c.n_queries - i;
      if (c.causal) {  // each row sees keys of its own
        int64_t n_seen = c.first_query + i + 1 - first;
        if (n_seen > block.n) n_seen = block.n;
        if (n_seen > 0)
          attend_tile<1>(block, own_q, bias, c.bias_stride, n_seen, running + i, weights, own_sums);
        i += 1;
      } else if (left >= kRows) {
        attend_tile<kRows>(block, own_q, bias, c.bias_stride, block.n, running + i, weights, own_sums);
        i += kRows;
      } else if (left >= 4) {
        attend_tile<4>(block, own_q, bias, c.bias_stride, block.n, running + i, weights, own_sums);
        i += 4;
      } else if (left >= 2) {
        attend_tile<2>(block, own_q, bias, c.bias_stride, block.n, running + i, weights, own_sums);
        i += 2;
      } else {
        attend_tile<1>(block, own_q, bias, c.bias_stride, block.n, running + i, weights, own_sums);
        i += 1;
      }
    }
  }
  for (int64_t i = 0; i < c.n_queries; ++i) {
    const float inverse = 1.0f / running[i].sum;
    char* row = c.y + i * c.y_stride * Element::kBytes;
    for (int64_t d = 0; d < c.head_dim; ++d)
      Element::put(row + d * Element::kBytes, sums[i * padded + d] * inverse);
  }
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE

#if defined(WEFT_ISA_AVX512BF16)
#include "kernels/ops/dense_attention/pair_attention.h"
#include "kernels/ops/dense_attention/tile_attention.h"
#endif

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

void attend_any(const DenseAttentionChunk& chunk) {
  if (chunk.bf16) attend<BF16Element>(chunk);
  else attend<F32Element>(chunk);
}

}  // namespace

extern const DenseAttentionBodies kDenseAttentionBodies;
#if defined(WEFT_ISA_AVX512BF16)
const DenseAttentionBodies kDenseAttentionBodies = {WEFT_ISA_NAME, attend_any, attend_pairs, attend_tiles};
#else
const DenseAttentionBodies kDenseAttentionBodies = {WEFT_ISA_NAME, attend_any, nullptr, nullptr};
#endif

}  // namespace weft::WEFT_ISA_NAMESPACE
