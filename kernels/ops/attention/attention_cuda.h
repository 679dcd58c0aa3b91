/// Attention of single new tokens over paged keys and values on a CUDA device: decoding, where the reading of keys and values
/// is the time. What attention.h defines but for biases, with the same pages.
///
/// Each row's tokens are split among blocks (split-KV), which leave a maximum, a sum and a weighted sum of values each in the
/// workspace; a second kernel joins them, where there is more than one. The query heads that share a KV head are served together,
/// up to four, so that keys and values are read once for them. Softmax is online, in f32. Codes of kQ8_0 become numbers in registers.
/// Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most one sector a request beyond those of the data, no bank conflicts, no spills, a
/// twelfth of a multiprocessor's threads; each of them has up to 32 loads of 16 bytes in flight.
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
  AttentionShape shape;
  const float* q = nullptr;                  // [rows, n_heads, head_dim]
  float* y = nullptr;                        // as q
  std::byte* const* const* pages = nullptr;  // [rows]: each row's pages, from position 0
  const int32_t* positions = nullptr;        // [rows], >= 0
  const int32_t* ahead = nullptr;            // [rows]: tokens that a row sees behind its own; null: none
  int64_t rows = 0;
  int64_t splits = 1;          // among how many blocks a row's tokens are shared
  float* workspace = nullptr;  // decode_attention_workspace() floats; null will do for one split
};

/// Query heads that one block serves, multiprocessors of an H100.
inline constexpr int64_t kDecodeAttentionGroup = 4, kDecodeAttentionMultiprocessors = 132;
/// Blocks that are on a multiprocessor at once.
constexpr int64_t decode_attention_blocks_of_one(KvFormat format) {
  return format == KvFormat::kF16 || format == KvFormat::kBF16 ? 3 : 2;
}
/// Blocks that are wanted: a wave on an H100.
constexpr int64_t decode_attention_wave(KvFormat format) {
  return kDecodeAttentionMultiprocessors * decode_attention_blocks_of_one(format);
}
inline constexpr int64_t kMostDecodeAttentionSplits = 128;

/// Blocks of one row and split.
constexpr int64_t decode_attention_blocks(const AttentionShape& shape) {
  const int64_t heads_per_kv = shape.n_heads / shape.n_kv_heads;
  return shape.n_kv_heads * ((heads_per_kv + kDecodeAttentionGroup - 1) / kDecodeAttentionGroup);
}

/// Splits for rows that see up to `depth` tokens: as many as fill a device, but a page for each of a block's four warps.
constexpr int64_t decode_attention_splits(const AttentionShape& shape, int64_t rows, int64_t depth) {
  constexpr int64_t kTokens = 4 * kPageTokens;
  if (shape.window > 0 && depth > shape.window + kPageTokens) depth = shape.window + kPageTokens;
  int64_t splits =
      rows > 0 ? decode_attention_wave(shape.format) / (rows * decode_attention_blocks(shape)) : 1;
  if (splits > (depth + kTokens - 1) / kTokens) splits = (depth + kTokens - 1) / kTokens;
  if (splits > kMostDecodeAttentionSplits) splits = kMostDecodeAttentionSplits;
  return splits > 1 ? splits : 1;
}

/// Floats of the workspace.
constexpr int64_t decode_attention_workspace(const AttentionShape& shape, int64_t rows, int64_t splits) {
  return splits > 1 ? rows * shape.n_heads * splits * (shape.head_dim + 2) : 0;
}
/// The same for any number of rows that decode_attention_splits() splits.
constexpr int64_t most_decode_attention_workspace(const AttentionShape& shape) {
  return decode_attention_wave(KvFormat::kF16) * kDecodeAttentionGroup * (shape.head_dim + 2);
}

/// Errors: kInvalidShape (an extent out of range, heads that KV heads do not divide, for kQ8_0 a head_dim that is no multiple of 32),
/// kInvalidArgument (a null pointer).
Status decode_attention_cuda(const DecodeAttentionCuda& a, CUstream_st* stream);

}  // namespace weft
#endif
