/// Rotary position embedding on a CUDA device, with the writing of keys and values into their pages in the same launch:
///
///   q = rope(q), in place;   page[keys, slot] = rope(k);   page[values, slot] = v      for each token
///
/// as rope.h defines the rotation and attention.h the pages. A block a token, or several where tokens are few. Keys and values of
/// kQ8_0 get the codes and scales that the CPU gives to the same numbers.
/// Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: no spills, five eighths of a multiprocessor's threads, at most 31 sectors a request beyond
/// those of the data: a page keeps the tokens of a key's component side by side, so that each key of a token has its own.
#ifndef WEFT_KERNELS_OPS_ROPE_ROPE_CUDA_H
#define WEFT_KERNELS_OPS_ROPE_ROPE_CUDA_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>

#include "kernels/ops/attention/attention.h"
#include "kernels/ops/rope/rope.h"

struct CUstream_st;

namespace weft {

/// Everything but the struct itself is in the device's memory.
struct RopeStoreCuda {
  AttentionShape shape;  // n_heads, n_kv_heads, head_dim, format and layer_offset count here
  RopeLayout layout = RopeLayout::kNone;
  int64_t n_rotated = 0;              // even, at most head_dim; without effect for kNone
  const float* cos_sin = nullptr;     // [tokens, n_rotated], a row as rope_cos_sin() makes it
  float* q = nullptr;                 // [tokens, n_heads, head_dim]
  const float* k = nullptr;           // [tokens, n_kv_heads, head_dim]
  const float* v = nullptr;           // as k
  std::byte* const* pages = nullptr;  // [tokens]: the page that holds the token's position
  const int32_t* slots = nullptr;     // [tokens]: position % kPageTokens
  int64_t tokens = 0;
};

/// Errors: kInvalidShape (an extent below 1, an odd or too large head_dim or n_rotated, for kQ8_0 a head_dim that is no multiple of 32,
/// negative tokens), kInvalidArgument (a null pointer).
Status rope_store_cuda(const RopeStoreCuda& r, CUstream_st* stream);

}  // namespace weft
#endif
