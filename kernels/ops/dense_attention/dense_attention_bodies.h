/// The bodies of dense_attention_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_DENSE_ATTENTION_DENSE_ATTENTION_BODIES_H
#define WEFT_KERNELS_OPS_DENSE_ATTENTION_DENSE_ATTENTION_BODIES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

constexpr int64_t kKeyBlock = 64;
constexpr int64_t kPairBlock = 128;  // of bodies with bf16 products: the same bytes
constexpr int64_t kMostRegisterRows = 6;

/// Components of a head, filled up to whole vectors of every body.
constexpr int64_t padded_dense_head(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

/// Queries that share one packing of keys and values: their state stays in the second-level cache.
constexpr int64_t dense_chunk_rows(int64_t head_dim) {
  const int64_t rows =
      (256 << 10) / (padded_dense_head(head_dim) * 8) / kMostRegisterRows * kMostRegisterRows;
  return rows > 384 ? 384 : rows < kMostRegisterRows ? kMostRegisterRows : rows;
}
/// The same of tiles: packing a block of keys is a larger part of their time, so that more queries share it.
constexpr int64_t dense_tile_rows(int64_t head_dim) {
  const int64_t rows = (768 << 10) / (padded_dense_head(head_dim) * 8) / 16 * 16;
  return rows > 1024 ? 1024 : rows;
}

/// Floats of one thread's scratch: queries, sums, the running softmax, a block of keys, one of values (twice for tiles), scores
/// and weights. Rows are filled up to sixteen, and pairs of components to sixteen, for tiles.
constexpr int64_t dense_scratch_floats(int64_t head_dim) {
  const int64_t padded = (head_dim + 31) / 32 * 32, rows = dense_tile_rows(head_dim);
  return rows * (2 * padded + 32) + 3 * kKeyBlock * padded + 16 * (kPairBlock + kPairBlock / 2) + 64;
}

/// Consecutive queries of one head, at most dense_chunk_rows() or, by tiles, dense_tile_rows().
struct DenseAttentionChunk {
  uint8_t bf16 = 0;  // what q, k, v and y hold; 0: f32
  uint8_t causal = 0;
  int64_t n_queries = 0, n_keys = 0, head_dim = 0;
  int64_t first_query = 0;  // its number, for the causal mask
  const char* q = nullptr;
  const char* k = nullptr;
  const char* v = nullptr;
  char* y = nullptr;
  int64_t q_stride = 0, k_stride = 0, v_stride = 0, y_stride = 0;  // elements between tokens
  const float* bias = nullptr;                                     // of the first query, or null
  int64_t bias_stride = 0;
  float scale = 1;
  float* scratch = nullptr;  // dense_scratch_floats(), aligned to 64 bytes
};

struct DenseAttentionBodies {
  const char* name;
  void (*attend)(const DenseAttentionChunk& chunk);
  /// By products of bf16 pairs: bf16, no mask, an even head_dim. Null in bodies without them.
  void (*attend_by_pairs)(const DenseAttentionChunk& chunk);
  /// The same by tiles, plain ones where there is no AMX; at most dense_tile_rows() queries. Null where attend_by_pairs is.
  void (*attend_by_tiles)(const DenseAttentionChunk& chunk);
};
WEFT_DECLARE_ISA_BODIES(DenseAttentionBodies, kDenseAttentionBodies)
WEFT_DECLARE_ISA_BODY(DenseAttentionBodies, kDenseAttentionBodies, avx512bf16)
WEFT_DECLARE_ISA_BODY(DenseAttentionBodies, kDenseAttentionBodies, amx)

}  // namespace weft
#endif
