/// Attention by tiles, for the body with AMX: products of bf16 pairs. Private to the op; included by dense_attention_cpu.cc
/// alone. The body avx512bf16 compiles it over plain tiles, for tests.
///
/// Sixteen queries are the columns of every tile, so that a vector's lanes are queries: the softmax needs no sum or maximum
/// across lanes. Scores are keys times queries, [key][query]; the result is values, transposed, times weights, [component][query].
/// A score is summed as AMX does: 32 components at a time, even and odd ones apart; a value 32 keys at a time.
///
/// The vectors' work on one unit of queries takes longer than all products; the products of the scores of the next unit are
/// begun in between, and run beside it.
#ifndef WEFT_KERNELS_OPS_DENSE_ATTENTION_TILE_ATTENTION_H
#define WEFT_KERNELS_OPS_DENSE_ATTENTION_TILE_ATTENTION_H

#include "kernels/cpu/tiles.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kUnit = 16;                  // queries: the columns of a tile
constexpr int64_t kTilePairs = 16;             // of components, or of keys, that one multiplication takes
constexpr int64_t kSoftKeys = 2 * kTilePairs;  // keys whose weights one tile holds
constexpr int64_t kValueRow = kPairBlock / 2;  // pairs of keys that a component's row of packed values has
constexpr int kMostHeldTiles = 4;  // of sums that stay in tiles while a unit's weights are computed

/// What a block of keys is packed to. Components are filled up to whole steps of 32 with zeros, keys to kPairBlock.
struct TileKeys {
  const uint32_t* keys;    // [kPairBlock][steps * kTilePairs]: pairs of components
  const uint32_t* values;  // [16 * value_tiles][kValueRow]: pairs of keys
  int64_t steps;           // of a score: 32 components each
  int64_t value_tiles;     // 16 components each
  int64_t n;               // keys that exist

  /// n, filled up to what one tile of weights holds.
  int64_t filled() const { return (n + kSoftKeys - 1) / kSoftKeys * kSoftKeys; }
};

/// Sixteen queries and what is known of them so far.
struct TileUnit {
  const uint32_t* q;  // [steps][kTilePairs][16]: pairs of components
  float* largest;     // [16] scores so far, times scale and log2(e)
  float* sum;         // [16] of weights
  float* sums;        // [16 * value_tiles][16] of values
};

// 2^x for x <= 0 to 8e-5 of it, below the rounding to bf16 that follows; 0 for -infinity, NaN for NaN.
WEFT_INLINE F32 soft_power_of_two(F32 x) {
  constexpr int kFraction = 9;  // x minus its floor, exceptions suppressed
  const F32 f = (F32)_mm512_maskz_reduce_ps(0xffff, (__m512)x, kFraction);
  F32 p = broadcast(7.8024521e-2f);
  p = multiply_add(p, f, broadcast(2.2606716e-1f));
  p = multiply_add(p, f, broadcast(6.9583354e-1f));
  p = multiply_add(p, f, broadcast(9.9992522e-1f));
  return (F32)_mm512_maskz_scalef_ps(0xffff, (__m512)p, (__m512)x);
}

// Begins scores[key][query] of 16 keys, the `tile`th of the block, in tile C.
template <int C>
WEFT_INLINE void begin_scores(Tiles& tiles, const TileKeys& k, const uint32_t* q, int64_t tile) {
  const int64_t row = k.steps * kTilePairs;
  const uint32_t* keys = k.keys + tile * kMostTileRows * row;
  tiles.zero<C>();
  for (int64_t s = 0; s < k.steps; ++s) {
    tiles.load<5>(keys + s * kTilePairs, row * 4);
    tiles.load<6>(q + s * kTilePairs * kUnit, kUnit * 4);
    tiles.multiply_bf16<C, 5, 6>();
  }
}
template <int C>
WEFT_INLINE void end_scores(const Tiles& tiles, int64_t tile, float* scores) {
  tiles.store<C>(scores + tile * kMostTileRows * kUnit, kUnit * 4);
}

// What keys of a block weigh: 2^(score * factor - base) in lanes of queries.
struct TileSoftmax {
  F32 factor, base;
  F32 sum[2];
  __m512i upper_half;  // of each lane, to its lower half

  // Two keys' weights, rounded to bf16, side by side for each query.
  WEFT_INLINE __m512i soften(const float* scores) {
    const F32 even = soft_power_of_two(multiply_add(load(scores), factor, -base));
    const F32 odd = soft_power_of_two(multiply_add(load(scores + kUnit), factor, -base));
    sum[0] += even;
    sum[1] += odd;
    const __m512i half = _mm512_set1_epi32(0x8000),
                  upper = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
    const __m512i low = _mm512_shuffle_epi8(_mm512_add_epi32((__m512i)even, half), upper_half);
    return _mm512_ternarylogic_epi32(_mm512_add_epi32((__m512i)odd, half), upper, low,
                                     0xea);  // (odd & upper) | low
  }
};

// sums[component][query] += values * weights, of D tiles of components from `from` on, 32 keys.
template <int D>
WEFT_INLINE void add_value_tiles(Tiles& tiles, const uint32_t* values, const uint32_t* weights) {
  constexpr int64_t kRow = kValueRow * 4, kTile = 16 * kValueRow;
  tiles.load<6>(weights, kUnit * 4);
  tiles.load<5>(values, kRow);
  tiles.multiply_bf16<0, 5, 6>();
  if constexpr (D > 1) tiles.load<5>(values + kTile, kRow), tiles.multiply_bf16<1, 5, 6>();
  if constexpr (D > 2) tiles.load<5>(values + 2 * kTile, kRow), tiles.multiply_bf16<2, 5, 6>();
  if constexpr (D > 3) tiles.load<5>(values + 3 * kTile, kRow), tiles.multiply_bf16<3, 5, 6>();
}
template <int D>
WEFT_INLINE void load_sum_tiles(Tiles& tiles, const float* sums) {
  tiles.load<0>(sums, kUnit * 4);
  if constexpr (D > 1) tiles.load<1>(sums + 16 * kUnit, kUnit * 4);
  if constexpr (D > 2) tiles.load<2>(sums + 32 * kUnit, kUnit * 4);
  if constexpr (D > 3) tiles.load<3>(sums + 48 * kUnit, kUnit * 4);
}
template <int D>
WEFT_INLINE void store_sum_tiles(const Tiles& tiles, float* sums) {
  tiles.store<0>(sums, kUnit * 4);
  if constexpr (D > 1) tiles.store<1>(sums + 16 * kUnit, kUnit * 4);
  if constexpr (D > 2) tiles.store<2>(sums + 32 * kUnit, kUnit * 4);
  if constexpr (D > 3) tiles.store<3>(sums + 48 * kUnit, kUnit * 4);
}

// The values of all keys of a block for D tiles of components, after the unit's weights are known.
template <int D>
WEFT_INLINE void add_block_tiles(Tiles& tiles, const TileKeys& k, const uint32_t* values,
                                 const uint32_t* weights, float* sums) {
  load_sum_tiles<D>(tiles, sums);
  for (int64_t key = 0; key < k.n; key += kSoftKeys)
    add_value_tiles<D>(tiles, values + key / 2, weights + key / 2 * kUnit);
  store_sum_tiles<D>(tiles, sums);
}

// The softmax's new base: the largest score of each query so far. What was summed before shrinks to fit it.
WEFT_INLINE F32 raise_base(const TileKeys& k, const TileUnit& unit, F32 factor, const float* scores) {
  F32 most[4];
  WEFT_UNROLL
  for (int i = 0; i < 4; ++i) most[i] = load(scores + i * kUnit);
  for (int64_t key = 4; key < k.filled(); key += 4) {
    WEFT_UNROLL
    for (int i = 0; i < 4; ++i) most[i] = maximum(load(scores + (key + i) * kUnit), most[i]);
  }
  const F32 block = maximum(maximum(most[0], most[1]), maximum(most[2], most[3])) * factor;
  const F32 before = load(unit.largest), largest = maximum(block, before);
  // A query may have seen no key yet that counts.
  const F32 base = choose((I32)(largest == broadcast(-__builtin_inff())), F32{}, largest);
  if (_mm512_cmp_ps_mask((__m512)largest, (__m512)before, _CMP_NEQ_UQ) == 0) return base;
  store(unit.largest, largest);
  const F32 shrink = rough_power_of_two(before - base);  // of 0 exactly 1
  store(unit.sum, load(unit.sum) * shrink);
  for (int64_t d = 0; d < k.value_tiles * 16; ++d)
    store(unit.sums + d * kUnit, load(unit.sums + d * kUnit) * shrink);
  return base;
}

// One unit of queries against a block of keys whose scores are there; those of `next`, if it is not null, take their place as they are
// used up. D: tiles of components, if they are few; 0: any number.
template <int D>
void attend_unit(Tiles& tiles, const TileKeys& k, const TileUnit& unit, float factor, float* scores,
                 const uint32_t* next, uint32_t* weights) {
  TileSoftmax softmax;
  softmax.factor = broadcast(factor);
  softmax.base = raise_base(k, unit, softmax.factor, scores);
  softmax.sum[0] = softmax.sum[1] = F32{};
  softmax.upper_half =
      _mm512_broadcast_i32x4(_mm_setr_epi8(2, 3, -1, -1, 6, 7, -1, -1, 10, 11, -1, -1, 14, 15, -1, -1));
  if constexpr (D > 0) load_sum_tiles<D>(tiles, unit.sums);
  for (int64_t key = 0; key < k.n; key += kSoftKeys) {
    // Products whose results are read after the next vectors' work, from operands that were written before the last: they run beside it
    // if they are begun a few at a time.
    const int64_t tile = key / kMostTileRows;
    WEFT_UNROLL
    for (int64_t i = 0; i < kSoftKeys; i += 2) {
      if (i == 0 && next != nullptr) begin_scores<4>(tiles, k, next, tile);
      if (i == kSoftKeys / 4 && next != nullptr) begin_scores<7>(tiles, k, next, tile + 1);
      if constexpr (D > 0) {
        if (i == kSoftKeys / 2 && key > 0)
          add_value_tiles<D>(tiles, k.values + (key - kSoftKeys) / 2,
                             weights + (key - kSoftKeys) / 2 * kUnit);
      }
      _mm512_storeu_si512(weights + (key + i) / 2 * kUnit, softmax.soften(scores + (key + i) * kUnit));
    }
    if (next != nullptr) end_scores<4>(tiles, tile, scores), end_scores<7>(tiles, tile + 1, scores);
  }
  store(unit.sum, load(unit.sum) + softmax.sum[0] + softmax.sum[1]);
  if constexpr (D > 0) {
    const int64_t last = k.filled() - kSoftKeys;
    add_value_tiles<D>(tiles, k.values + last / 2, weights + last / 2 * kUnit);
    store_sum_tiles<D>(tiles, unit.sums);
  } else {
    for (int64_t d = 0; d < k.value_tiles;) {
      const int64_t left = k.value_tiles - d, n = left > kMostHeldTiles ? (left == 5 ? 3 : 4) : left;
      const uint32_t* values = k.values + d * 16 * kValueRow;
      float* sums = unit.sums + d * 16 * kUnit;
      if (n == 4) add_block_tiles<4>(tiles, k, values, weights, sums);
      else if (n == 3) add_block_tiles<3>(tiles, k, values, weights, sums);
      else if (n == 2) add_block_tiles<2>(tiles, k, values, weights, sums);
      else add_block_tiles<1>(tiles, k, values, weights, sums);
      d += n;
    }
  }
}

// out[p][slot] = pair p of row `slot`, [pairs][16], of up to 16 rows of pairs; zero beyond them. `flip` is applied to each pair.
WEFT_INLINE void pack_columns(const uint16_t* rows, int64_t stride, int64_t n, int64_t pairs, uint32_t flip,
                              uint32_t* out) {
  for (int64_t p = 0; p < pairs; p += kLanes) {
    const __mmask16 inside = first_lanes(pairs - p);
    F32 lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const __m512i row =
          i < n ? _mm512_maskz_loadu_epi32(inside, rows + i * stride + 2 * p) : _mm512_setzero_si512();
      lanes[i] = (F32)_mm512_xor_si512(row, _mm512_set1_epi32(static_cast<int32_t>(flip)));
    }
    transpose_from<kLanes / 2>(lanes);
    for (int i = 0; i < kLanes && p + i < pairs; ++i)
      store(reinterpret_cast<float*>(out + (p + i) * kUnit), lanes[i]);
  }
}

// out[slot][..] = the pairs of key `slot`, rows of `row` pairs, zero beyond the head and the keys.
WEFT_INLINE void pack_key_rows(const uint16_t* k, int64_t stride, int64_t n, int64_t head_dim, int64_t row,
                               uint32_t* out) {
  for (int64_t slot = 0; slot < kPairBlock; ++slot) {
    for (int64_t p = 0; p < row; p += kLanes) {
      const __mmask16 inside = slot < n ? first_lanes(head_dim / 2 - p) : __mmask16{0};
      _mm512_storeu_si512(out + slot * row + p,
                          inside ? _mm512_maskz_loadu_epi32(inside, k + slot * stride + 2 * p) : __m512i{});
    }
  }
}

// out[d][j] = component d of values 2j and 2j + 1, rows of kValueRow pairs. `pairs`: room for kValueRow rows of `padded`.
WEFT_INLINE void pack_value_columns(const uint16_t* v, int64_t stride, int64_t n, int64_t head_dim,
                                    int64_t padded, uint32_t* pairs, uint32_t* out) {
  pack_value_pairs(v, stride, n, head_dim, padded, pairs);
  const int64_t n_pairs = (n + 1) / 2;
  for (int64_t d = 0; d < padded; d += kLanes) {
    for (int64_t j = 0; j < kValueRow; j += kLanes) {
      F32 lanes[kLanes];
      for (int i = 0; i < kLanes; ++i)
        lanes[i] =
            j + i < n_pairs ? load(reinterpret_cast<const float*>(pairs + (j + i) * padded + d)) : F32{};
      transpose_from<kLanes / 2>(lanes);
      for (int i = 0; i < kLanes; ++i)
        store(reinterpret_cast<float*>(out + (d + i) * kValueRow + j), lanes[i]);
    }
  }
}

WEFT_INLINE void ask_for_row(const uint16_t* row, int64_t head_dim) {
  constexpr int64_t kLine = 32;
  for (int64_t d = 0; d < head_dim; d += kLine) __builtin_prefetch(row + d, 0, 2);
  __builtin_prefetch(row + head_dim - 1, 0, 2);
}

// scores = (scores * scale + bias) * log2(e), of the block's keys from `bias` on.
WEFT_INLINE void add_bias(const float* bias, int64_t stride, int64_t n_queries, int64_t n_keys, float factor,
                          float* scores) {
  constexpr float kLog2E = 1.44269504088896341f;
  for (int64_t key = 0; key < n_keys; key += kLanes) {
    F32 lanes[kLanes];
    const __mmask16 inside = first_lanes(n_keys - key);
    for (int i = 0; i < kLanes; ++i)
      lanes[i] = i < n_queries ? (F32)_mm512_maskz_loadu_ps(inside, bias + i * stride + key) : F32{};
    transpose_from<kLanes / 2>(lanes);
    for (int i = 0; i < kLanes; ++i) {
      float* at = scores + (key + i) * kUnit;
      store(at, multiply_add(lanes[i], broadcast(kLog2E), load(at) * broadcast(factor)));
    }
  }
}

// y = sums / the softmax's sums, rounded to bf16.
WEFT_INLINE void write_unit(const TileUnit& unit, int64_t n, int64_t head_dim, uint16_t* y, int64_t stride) {
  const F32 inverse = broadcast(1.0f) / load(unit.sum);
  for (int64_t d = 0; d < head_dim; d += kLanes) {
    F32 lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) lanes[i] = load(unit.sums + (d + i) * kUnit) * inverse;
    transpose_from<kLanes / 2>(lanes);
    for (int64_t i = 0; i < n; ++i)
      _mm256_mask_storeu_epi16(y + i * stride + d, first_lanes(head_dim - d),
                               (__m256i)_mm512_cvtneps_pbh((__m512)lanes[i]));
  }
}

using AttendUnit = void (*)(Tiles& tiles, const TileKeys& k, const TileUnit& unit, float factor,
                            float* scores, const uint32_t* next, uint32_t* weights);

WEFT_INLINE AttendUnit choose_unit(int64_t value_tiles) {
  switch (value_tiles) {
    case 1: return attend_unit<1>;
    case 2: return attend_unit<2>;
    case 3: return attend_unit<3>;
    case 4: return attend_unit<4>;
    default: return attend_unit<0>;
  }
}

// Precondition: bf16, no mask, an even head_dim.
void attend_tiles(const DenseAttentionChunk& c) {
  constexpr float kLog2E = 1.44269504088896341f;
  const int64_t padded = padded_dense_head(c.head_dim), n_units = (c.n_queries + kUnit - 1) / kUnit;
  TileKeys k;
  k.steps = (c.head_dim + 2 * kTilePairs - 1) / (2 * kTilePairs);
  k.value_tiles = padded / 16;
  const int64_t row = k.steps * kTilePairs, unit_floats = row * kUnit + 2 * kUnit + padded * kUnit;
  float* units = c.scratch;
  float* scores = units + n_units * unit_floats;
  uint32_t* weights = reinterpret_cast<uint32_t*>(scores + kPairBlock * kUnit);
  uint32_t* keys = weights + kPairBlock / 2 * kUnit;
  uint32_t* values = keys + kPairBlock * row;
  uint32_t* pairs = values + kValueRow * padded;
  k.keys = keys;
  k.values = values;
  const auto unit_at = [=](int64_t i) {
    float* at = units + i * unit_floats;
    return TileUnit{reinterpret_cast<const uint32_t*>(at), at + row * kUnit, at + row * kUnit + kUnit,
                    at + row * kUnit + 2 * kUnit};
  };
  const auto queries_of = [&](int64_t i) {
    const int64_t left = c.n_queries - i * kUnit;
    return left < kUnit ? left : kUnit;
  };
  // A largest score is one of the largest product, so the factor must not be negative: its sign goes to the queries.
  // Zero would make a hidden score NaN: the queries are zero instead.
  const float factor = (c.scale == 0 ? 1 : __builtin_fabsf(c.scale)) * kLog2E;
  const uint32_t flip = c.scale < 0 ? 0x80008000u : 0;
  for (int64_t i = 0; i < n_units; ++i) {
    float* const at = units + i * unit_floats;
    __builtin_memset(at, 0, static_cast<size_t>(unit_floats) * 4);
    pack_columns(reinterpret_cast<const uint16_t*>(c.q) + i * kUnit * c.q_stride, c.q_stride,
                 c.scale == 0 ? 0 : queries_of(i), c.head_dim / 2, flip, reinterpret_cast<uint32_t*>(at));
    store(unit_at(i).largest, broadcast(-__builtin_inff()));
  }
  const AttendUnit attend_one = choose_unit(k.value_tiles);
  TileShapes shapes;
  for (int tile = 0; tile < kTiles; ++tile) shapes.set(tile, kMostTileRows, kMostTileRowBytes);
  Tiles tiles(shapes);
  for (int64_t first = 0; first < c.n_keys; first += kPairBlock) {
    const int64_t left = c.n_keys - first;
    k.n = left < kPairBlock ? left : kPairBlock;
    pack_key_rows(reinterpret_cast<const uint16_t*>(c.k) + first * c.k_stride, c.k_stride, k.n, c.head_dim,
                  row, keys);
    pack_value_columns(reinterpret_cast<const uint16_t*>(c.v) + first * c.v_stride, c.v_stride, k.n,
                       c.head_dim, padded, pairs, values);
    for (int64_t tile = 0; tile < k.filled() / kMostTileRows; tile += 2) {
      begin_scores<4>(tiles, k, unit_at(0).q, tile), begin_scores<7>(tiles, k, unit_at(0).q, tile + 1);
      end_scores<4>(tiles, tile, scores), end_scores<7>(tiles, tile + 1, scores);
    }
    for (int64_t i = 0; i < n_units; ++i) {
      // The next block's rows are far apart and come from afar: each unit asks for its share of them.
      for (int64_t r = kPairBlock * i / n_units;
           r < kPairBlock * (i + 1) / n_units && first + kPairBlock + r < c.n_keys; ++r) {
        ask_for_row(reinterpret_cast<const uint16_t*>(c.k) + (first + kPairBlock + r) * c.k_stride,
                    c.head_dim);
        ask_for_row(reinterpret_cast<const uint16_t*>(c.v) + (first + kPairBlock + r) * c.v_stride,
                    c.head_dim);
      }
      if (c.bias)
        add_bias(c.bias + i * kUnit * c.bias_stride + first, c.bias_stride, queries_of(i), k.n, factor,
                 scores);
      for (int64_t key = k.n; key < k.filled(); ++key)
        store(scores + key * kUnit, broadcast(-__builtin_inff()));
      attend_one(tiles, k, unit_at(i), c.bias ? 1.0f : factor, scores,
                 i + 1 < n_units ? unit_at(i + 1).q : nullptr, weights);
    }
  }
  for (int64_t i = 0; i < n_units; ++i) {
    write_unit(unit_at(i), queries_of(i), c.head_dim,
               reinterpret_cast<uint16_t*>(c.y) + i * kUnit * c.y_stride, c.y_stride);
  }
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
