/// Attention whose products are of bf16 pairs, for bodies with AVX-512 BF16: twice the multiplications an instruction.
/// Private to the op; included by dense_attention_cpu.cc alone.
///
/// Queries, keys and values are bf16 as they are stored; scores, softmax and sums are f32; the softmax's weights are rounded
/// to bf16 on their way into the second product. Two adjacent components (keys), or two adjacent keys (values), share one
/// lane of 32 bits. The order of additions is that of the f32 body, by pairs.
#ifndef WEFT_KERNELS_OPS_DENSE_ATTENTION_PAIR_ATTENTION_H
#define WEFT_KERNELS_OPS_DENSE_ATTENTION_PAIR_ATTENTION_H

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

WEFT_INLINE __m512bh pairs_at(const uint32_t* p) { return (__m512bh)_mm512_loadu_si512(p); }
WEFT_INLINE __m512bh pair_everywhere(const uint32_t* p) {
  return (__m512bh)_mm512_set1_epi32(static_cast<int32_t>(*p));
}
WEFT_INLINE __mmask16 first_lanes(int64_t n) {
  return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1);
}
WEFT_INLINE __mmask32 first_halves(int64_t n) {
  return n >= 32 ? ~__mmask32{0} : n <= 0 ? 0 : (__mmask32{1} << n) - 1;
}

// 2^x for x <= 0 to 4e-6 of it, far below the rounding to bf16 that follows; NaN for NaN.
WEFT_INLINE F32 rough_power_of_two(F32 x) {
  const F32 clamped = maximum(broadcast(-200.0f), x);
  const F32 n = (F32)_mm512_maskz_roundscale_ps(0xffff, (__m512)clamped, 0);
  const F32 f = clamped - n;
  F32 p = broadcast(9.6663685e-3f);
  p = multiply_add(p, f, broadcast(5.5921976e-2f));
  p = multiply_add(p, f, broadcast(2.4022349e-1f));
  p = multiply_add(p, f, broadcast(6.9312105e-1f));
  p = multiply_add(p, f, broadcast(1.0f));
  return (F32)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)n);
}

// out[p][slot] = components 2p and 2p + 1 of key `slot`, [pairs][kPairBlock]; zero beyond the head and the keys.
void pack_key_pairs(const uint16_t* k, int64_t stride, int64_t n, int64_t head_dim, uint32_t* out) {
  const int64_t pairs = head_dim / 2;
  for (int64_t slot = 0; slot < n; slot += kLanes) {
    for (int64_t p = 0; p < pairs; p += kLanes) {
      const __mmask16 inside = first_lanes(pairs - p);
      F32 rows[kLanes];
      for (int i = 0; i < kLanes; ++i)
        rows[i] =
            slot + i < n ? (F32)_mm512_maskz_loadu_epi32(inside, k + (slot + i) * stride + 2 * p) : F32{};
      transpose_from<kLanes / 2>(rows);
      const int64_t count = pairs - p < kLanes ? pairs - p : kLanes;
      for (int64_t i = 0; i < count; ++i)
        store(reinterpret_cast<float*>(out + (p + i) * kPairBlock + slot), rows[i]);
    }
  }
}

// out[j][d] = component d of values 2j and 2j + 1, [n / 2, rounded up][padded]; zero beyond the head and the keys.
void pack_value_pairs(const uint16_t* v, int64_t stride, int64_t n, int64_t head_dim, int64_t padded,
                      uint32_t* out) {
  alignas(64) uint16_t low_order[32], high_order[32];
  for (uint16_t i = 0; i < 16; ++i) {
    low_order[2 * i] = i;
    low_order[2 * i + 1] = static_cast<uint16_t>(32 + i);
    high_order[2 * i] = static_cast<uint16_t>(16 + i);
    high_order[2 * i + 1] = static_cast<uint16_t>(48 + i);
  }
  const __m512i low = _mm512_load_si512(low_order), high = _mm512_load_si512(high_order);
  for (int64_t j = 0; 2 * j < n; ++j) {
    const uint16_t* even = v + 2 * j * stride;
    const __mmask32 second = 2 * j + 1 < n ? ~__mmask32{0} : 0;
    for (int64_t d = 0; d < padded; d += 32) {
      const __mmask32 inside = first_halves(head_dim - d);
      const __m512i a = _mm512_maskz_loadu_epi16(inside, even + d);
      const __m512i b = _mm512_maskz_loadu_epi16(inside & second, even + stride + d);
      _mm512_storeu_si512(out + j * padded + d, _mm512_permutex2var_epi16(a, low, b));
      if (d + 16 < padded)
        _mm512_storeu_si512(out + j * padded + d + 16, _mm512_permutex2var_epi16(a, high, b));
    }
  }
}

// scores[r][slot] = q[r] . key[slot] of C vectors of slots. q: rows of `q_stride` pairs.
template <int R, int C>
WEFT_INLINE void score_columns(const uint32_t* keys, int64_t pairs, const uint32_t* q, int64_t q_stride,
                               float* scores) {
  __m512 sum[R][C];
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  }
  for (int64_t p = 0; p < pairs; ++p) {
    __m512bh key[C];
    WEFT_UNROLL
    for (int c = 0; c < C; ++c) key[c] = pairs_at(keys + p * kPairBlock + c * kLanes);
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512bh pair = pair_everywhere(q + r * q_stride + p);
      WEFT_UNROLL
      for (int c = 0; c < C; ++c) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], key[c], pair);
    }
  }
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int c = 0; c < C; ++c) _mm512_storeu_ps(scores + r * kPairBlock + c * kLanes, sum[r][c]);
  }
}

struct PairRunning {
  float largest;  // score so far, times scale and log2(e)
  F32 sum;        // of weights, lanes apart
};

// A block's scores become bf16 weights relative to the largest score so far, in pairs; an odd last one has a zero beside
// it. Returns the factor by which what was summed before shrinks.
WEFT_INLINE float soften_pairs(float* scores, int64_t n, float scale, const float* bias, PairRunning* running,
                               uint32_t* weights) {
  constexpr float kLog2E = 1.44269504088896341f;
  const int64_t vectors = (n + kLanes - 1) / kLanes;
  F32 largest = broadcast(running->largest);
  for (int64_t i = 0; i < vectors; ++i) {
    const int64_t at = i * kLanes;
    const __mmask16 inside = first_lanes(n - at);
    F32 s = load(scores + at) * broadcast(scale * kLog2E);
    if (bias) s = multiply_add((F32)_mm512_maskz_loadu_ps(inside, bias + at), broadcast(kLog2E), s);
    s = (F32)_mm512_mask_mov_ps((__m512)broadcast(-__builtin_inff()), inside, (__m512)s);
    store(scores + at, s);
    largest = maximum(s, largest);
  }
  const float new_largest = max_lanes(largest);
  const float base = new_largest == -__builtin_inff() ? 0.0f : new_largest;  // a row may have seen no key yet
  const F32 shrink = rough_power_of_two(broadcast(running->largest - base));
  F32 sum = running->sum * shrink;
  for (int64_t i = 0; i < vectors; i += 2) {
    const F32 low = rough_power_of_two(load(scores + i * kLanes) - broadcast(base));
    F32 high = {};
    if (i + 1 < vectors) high = rough_power_of_two(load(scores + (i + 1) * kLanes) - broadcast(base));
    sum += low;
    sum += high;
    _mm512_storeu_si512(weights + i * kLanes / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
  }
  running->sum = sum;
  running->largest = new_largest;
  return shrink[0];
}

// sums[r][d..] = sums[r][d..] * shrink[r] + sum over pairs of keys, ascending, of weights[r] * values, for V vectors.
template <int R, int V>
WEFT_INLINE void add_pair_columns(const uint32_t* values, int64_t padded, int64_t pairs,
                                  const uint32_t* weights, const float* shrink, float* sums) {
  __m512 sum[R][V];
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int v = 0; v < V; ++v)
      sum[r][v] = (__m512)(load(sums + r * padded + v * kLanes) * broadcast(shrink[r]));
  }
  for (int64_t j = 0; j < pairs; ++j) {
    __m512bh value[V];
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) value[v] = pairs_at(values + j * padded + v * kLanes);
    WEFT_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512bh weight = pair_everywhere(weights + r * kPairBlock / 2 + j);
      WEFT_UNROLL
      for (int v = 0; v < V; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], value[v], weight);
    }
  }
  WEFT_UNROLL
  for (int r = 0; r < R; ++r) {
    WEFT_UNROLL
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(sums + r * padded + v * kLanes, sum[r][v]);
  }
}

template <int N>
struct TileRows {
  static constexpr int kRows = N;
};

struct PairBlock {
  const uint32_t* keys;
  const uint32_t* values;
  int64_t n;  // keys
  int64_t head_dim, padded;
  float scale;
};

template <int R>
void attend_pair_tile(const PairBlock& b, const uint32_t* q, const float* bias, int64_t bias_stride,
                      PairRunning* running, float* scores, uint32_t* weights, float* sums) {
  for (int64_t slot = 0; slot < b.n; slot += 4 * kLanes) {
    const int64_t left = b.n - slot;
    if (left <= kLanes) score_columns<R, 1>(b.keys + slot, b.head_dim / 2, q, b.padded / 2, scores + slot);
    else if (left <= 2 * kLanes)
      score_columns<R, 2>(b.keys + slot, b.head_dim / 2, q, b.padded / 2, scores + slot);
    else score_columns<R, 4>(b.keys + slot, b.head_dim / 2, q, b.padded / 2, scores + slot);
  }
  float shrink[R];
  for (int r = 0; r < R; ++r)
    shrink[r] = soften_pairs(scores + r * kPairBlock, b.n, b.scale, bias ? bias + r * bias_stride : nullptr,
                             running + r, weights + r * kPairBlock / 2);
  const int64_t pairs = (b.n + 1) / 2;
  for (int64_t d = 0, left = b.padded / kLanes; left > 0;) {
    const int64_t width = left > 4 ? (left == 5 ? 3 : 4) : left;
    const uint32_t* values = b.values + d;
    switch (width) {
      case 1: add_pair_columns<R, 1>(values, b.padded, pairs, weights, shrink, sums + d); break;
      case 2: add_pair_columns<R, 2>(values, b.padded, pairs, weights, shrink, sums + d); break;
      case 3: add_pair_columns<R, 3>(values, b.padded, pairs, weights, shrink, sums + d); break;
      case 4: add_pair_columns<R, 4>(values, b.padded, pairs, weights, shrink, sums + d); break;
    }
    d += width * kLanes;
    left -= width;
  }
}

// y = sums / the softmax's sums, rounded to bf16.
void write_pair_rows(const DenseAttentionChunk& c, const PairRunning* running, const float* sums,
                     int64_t padded) {
  for (int64_t i = 0; i < c.n_queries; ++i) {
    const F32 inverse = broadcast(1.0f / sum_lanes(running[i].sum));
    uint16_t* row = reinterpret_cast<uint16_t*>(c.y) + i * c.y_stride;
    for (int64_t d = 0; d < c.head_dim; d += kLanes)
      _mm256_mask_storeu_epi16(row + d, first_lanes(c.head_dim - d),
                               (__m256i)_mm512_cvtneps_pbh((__m512)(load(sums + i * padded + d) * inverse)));
  }
}

// Precondition: bf16, no mask, an even head_dim.
void attend_pairs(const DenseAttentionChunk& c) {
  const int64_t padded = padded_dense_head(c.head_dim), n = c.n_queries;
  PairRunning* running = reinterpret_cast<PairRunning*>(c.scratch);
  float* sums = reinterpret_cast<float*>(running + n);
  uint32_t* q = reinterpret_cast<uint32_t*>(sums + n * padded);
  uint32_t* keys = q + (n * padded / 2 + 15) / 16 * 16;
  uint32_t* values = keys + kPairBlock * padded / 2;
  float* scores = reinterpret_cast<float*>(values + kPairBlock * padded / 2 + 16);
  uint32_t* weights = reinterpret_cast<uint32_t*>(scores + kMostRegisterRows * kPairBlock);
  const uint16_t* const from_q = reinterpret_cast<const uint16_t*>(c.q);
  for (int64_t i = 0; i < n; ++i) {
    __builtin_memcpy(q + i * padded / 2, from_q + i * c.q_stride, static_cast<size_t>(c.head_dim) * 2);
    running[i].largest = -__builtin_inff();
    running[i].sum = F32{};
  }
  for (int64_t i = 0; i < n * padded; i += kLanes) store(sums + i, F32{});
  const uint16_t* const from_k = reinterpret_cast<const uint16_t*>(c.k);
  const uint16_t* const from_v = reinterpret_cast<const uint16_t*>(c.v);
  for (int64_t first = 0; first < c.n_keys; first += kPairBlock) {
    const int64_t left = c.n_keys - first;
    const PairBlock block = {keys,       values, left < kPairBlock ? left : kPairBlock,
                             c.head_dim, padded, c.scale};
    pack_key_pairs(from_k + first * c.k_stride, c.k_stride, block.n, c.head_dim, keys);
    pack_value_pairs(from_v + first * c.v_stride, c.v_stride, block.n, c.head_dim, padded, values);
    for (int64_t i = 0; i < n;) {
      const float* bias = c.bias ? c.bias + i * c.bias_stride + first : nullptr;
      const uint32_t* own_q = q + i * padded / 2;
      float* own_sums = sums + i * padded;
      const auto tile = [&](auto rows) {
        attend_pair_tile<decltype(rows)::kRows>(block, own_q, bias, c.bias_stride, running + i, scores,
                                                weights, own_sums);
        i += decltype(rows)::kRows;
      };
      if (n - i >= 6) tile(TileRows<6>());
      else if (n - i >= 4) tile(TileRows<4>());
      else if (n - i >= 2) tile(TileRows<2>());
      else tile(TileRows<1>());
    }
  }
  write_pair_rows(c, running, sums, padded);
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
