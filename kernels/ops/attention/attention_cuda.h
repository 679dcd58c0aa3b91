/// Attention of single new tokens over paged keys and values on a CUDA device: decoding, where the reading of keys and values
/// is the time. What attention.h defines, with the same pages.
///
/// Each row's tokens are split among blocks (split-KV), which leave a maximum, a sum and a weighted sum of values each in the
/// workspace; a second kernel joins them. The query heads that share a KV head are served together, up to four, so that keys
/// and values are read once for them. Softmax is online, in f32.
/// Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most one sector a request beyond those of the data, no bank conflicts, no spills, five
/// sixteenths of a multiprocessor's threads.
/// Source: Dao et al. 2023, "Flash-Decoding for long-context inference"; Milakov & Gimelshein 2018, arXiv:1805.02867.
#ifndef WEFT_KERNELS_OPS_ATTENTION_ATTENTION_CUDA_H
#define WEFT_KERNELS_OPS_ATTENTION_ATTENTION_CUDA_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>

#include "kernels/ops/attention/attention.h"

struct CUstream_st;

namespace weft {

/// Everything but the struct itself is in the device's memory.
struct DecodeAttentionCuda {
  AttentionShape shape;                      // a format other than kQ8_0
  const float* q = nullptr;                  // [rows, n_heads, head_dim]
  float* y = nullptr;                        // as q
  std::byte* const* const* pages = nullptr;  // [rows]: each row's pages, from position 0
  const int32_t* positions = nullptr;        // [rows], >= 0
  int64_t rows = 0;
  int64_t splits = 1;          // among how many blocks a row's tokens are shared, 1 to 64
  float* workspace = nullptr;  // decode_attention_workspace() floats
};

/// Floats of the workspace.
constexpr int64_t decode_attention_workspace(const AttentionShape& shape, int64_t rows, int64_t splits) {
  return rows * shape.n_heads * splits * (shape.head_dim + 2);
}

/// Errors: kUnsupported (kQ8_0), kInvalidShape (an extent out of range, heads that KV heads do not divide), kInvalidArgument (a
/// null pointer).
Status decode_attention_cuda(const DecodeAttentionCuda& a, CUstream_st* stream);

}  // namespace weft
#endif
