/// Attention by tiles, for the body with AMX: the pairs of pair_attention.h, sixteen queries at a time. Private to the op;
/// included by dense_attention_cpu.cc alone. The body avx512bf16 compiles it over plain tiles, for tests.
///
/// A score is summed as AMX does: 32 components at a time, even and odd ones apart; a value 32 keys at a time.
#ifndef WEFT_KERNELS_OPS_DENSE_ATTENTION_TILE_ATTENTION_H
#define WEFT_KERNELS_OPS_DENSE_ATTENTION_TILE_ATTENTION_H

#include "kernels/cpu/tiles.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kTileQueries = kMostTileRows;
constexpr int64_t kTilePairs = 16;  // of components, or of keys, that one multiplication takes

// scores[16][kPairBlock] = q[16] . keys, of the slots from `slot` on that four tiles hold.
WEFT_INLINE void score_tiles(Tiles& tiles, const uint32_t* q, int64_t q_pairs, const uint32_t* keys,
                             float* scores) {
  tiles.zero<0>(), tiles.zero<1>(), tiles.zero<2>(), tiles.zero<3>();
  for (int64_t p = 0; p < q_pairs; p += kTilePairs) {
    const uint32_t* from = keys + p * kPairBlock;
    tiles.load<4>(q + p, q_pairs * 4);
    tiles.load<5>(from, kPairBlock * 4);
    tiles.multiply_bf16<0, 4, 5>();
    tiles.load<6>(from + 16, kPairBlock * 4);
    tiles.multiply_bf16<1, 4, 6>();
    tiles.load<5>(from + 32, kPairBlock * 4);
    tiles.multiply_bf16<2, 4, 5>();
    tiles.load<6>(from + 48, kPairBlock * 4);
    tiles.multiply_bf16<3, 4, 6>();
  }
  tiles.store<0>(scores, kPairBlock * 4);
  tiles.store<1>(scores + 16, kPairBlock * 4);
  tiles.store<2>(scores + 32, kPairBlock * 4);
  tiles.store<3>(scores + 48, kPairBlock * 4);
}

// sums[16][d..] += weights[16][keys] * values, one tile of components.
WEFT_INLINE void add_value_tile(Tiles& tiles, const uint32_t* weights, const uint32_t* values, int64_t padded,
                                int64_t n_pairs, float* sums) {
  tiles.load<0>(sums, padded * 4);
  for (int64_t j = 0; j < n_pairs; j += kTilePairs) {
    tiles.load<4>(weights + j, kPairBlock / 2 * 4);
    tiles.load<5>(values + j * padded, padded * 4);
    tiles.multiply_bf16<0, 4, 5>();
  }
  tiles.store<0>(sums, padded * 4);
}

// The same of two tiles of components side by side, which share the reading of weights.
WEFT_INLINE void add_value_tiles(Tiles& tiles, const uint32_t* weights, const uint32_t* values,
                                 int64_t padded, int64_t n_pairs, float* sums) {
  tiles.load<0>(sums, padded * 4);
  tiles.load<1>(sums + 16, padded * 4);
  for (int64_t j = 0; j < n_pairs; j += kTilePairs) {
    tiles.load<4>(weights + j, kPairBlock / 2 * 4);
    tiles.load<5>(values + j * padded, padded * 4);
    tiles.multiply_bf16<0, 4, 5>();
    tiles.load<6>(values + j * padded + 16, padded * 4);
    tiles.multiply_bf16<1, 4, 6>();
  }
  tiles.store<0>(sums, padded * 4);
  tiles.store<1>(sums + 16, padded * 4);
}

// Precondition: bf16, no mask, an even head_dim.
void attend_tiles(const DenseAttentionChunk& c) {
  const int64_t padded = padded_dense_head(c.head_dim), n = c.n_queries;
  const int64_t rows = (n + kTileQueries - 1) / kTileQueries * kTileQueries;
  const int64_t pairs = c.head_dim / 2, q_pairs = (pairs + kTilePairs - 1) / kTilePairs * kTilePairs;
  PairRunning* running = reinterpret_cast<PairRunning*>(c.scratch);
  float* sums = reinterpret_cast<float*>(running + rows);
  uint32_t* q = reinterpret_cast<uint32_t*>(sums + rows * padded);
  uint32_t* keys = q + rows * q_pairs;
  uint32_t* values = keys + kPairBlock * q_pairs;
  float* scores = reinterpret_cast<float*>(values + kPairBlock / 2 * padded);
  uint32_t* weights = reinterpret_cast<uint32_t*>(scores + kTileQueries * kPairBlock);
  // What is never written again must be 0: a tile multiplies it.
  __builtin_memset(sums, 0,
                   static_cast<size_t>(reinterpret_cast<char*>(scores) - reinterpret_cast<char*>(sums)));
  const uint16_t* const from_q = reinterpret_cast<const uint16_t*>(c.q);
  for (int64_t i = 0; i < rows; ++i) {
    running[i].largest = -__builtin_inff();
    running[i].sum = F32{};
    if (i < n)
      __builtin_memcpy(q + i * q_pairs, from_q + i * c.q_stride, static_cast<size_t>(c.head_dim) * 2);
  }
  TileShapes shapes;
  for (int tile = 0; tile < 7; ++tile) shapes.set(tile, kMostTileRows, kMostTileRowBytes);
  Tiles tiles(shapes);
  for (int64_t first = 0; first < c.n_keys; first += kPairBlock) {
    const int64_t left = c.n_keys - first, block = left < kPairBlock ? left : kPairBlock;
    pack_key_pairs(reinterpret_cast<const uint16_t*>(c.k) + first * c.k_stride, c.k_stride, block, c.head_dim,
                   keys);
    pack_value_pairs(reinterpret_cast<const uint16_t*>(c.v) + first * c.v_stride, c.v_stride, block,
                     c.head_dim, padded, values);
    const int64_t value_pairs = (block + 1) / 2,
                  tiled = (value_pairs + kTilePairs - 1) / kTilePairs * kTilePairs;
    for (uint32_t* at = values + value_pairs * padded; at < values + tiled * padded; ++at) *at = 0;
    for (int64_t i = 0; i < rows; i += kTileQueries) {
      for (int64_t slot = 0; slot < block; slot += 64)
        score_tiles(tiles, q + i * q_pairs, q_pairs, keys + slot, scores + slot);
      float* own = sums + i * padded;
      for (int64_t r = 0; r < kTileQueries; ++r) {
        const float* bias = c.bias && i + r < n ? c.bias + (i + r) * c.bias_stride + first : nullptr;
        const float shrink = soften_pairs(scores + r * kPairBlock, block, c.scale, bias, running + i + r,
                                          weights + r * kPairBlock / 2);
        if (shrink == 1) continue;
        for (int64_t d = 0; d < padded; d += kLanes)
          store(own + r * padded + d, load(own + r * padded + d) * broadcast(shrink));
      }
      int64_t d = 0;
      for (; d + 32 <= padded; d += 32) add_value_tiles(tiles, weights, values + d, padded, tiled, own + d);
      if (d < padded) add_value_tile(tiles, weights, values + d, padded, tiled, own + d);
    }
  }
  write_pair_rows(c, running, sums, padded);
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
