/// Causal attention of new tokens over paged keys and values.
///
/// For query row i and head h, with g = h / (n_heads / n_kv_heads):
///   y[i, h] = sum_t softmax_t(cap(scale * q[i, h] . K[t, g]) + bias[i, h, t]) V[t, g],  t in (position - window, position]
/// or up to a later token, where the row looks ahead, as a picture's tokens do within it.
///
/// Keys and values lie in pages of kPageTokens consecutive positions; within a page and layer, each KV head has
/// one block of keys, stored with the tokens innermost ([head_dim][kPageTokens], so that one vector holds one
/// component of many keys), and one of values ([kPageTokens][padded_head_dim]).
///
/// Numerics: online softmax in f32, page after page from the first that the window reaches; a score is summed in
/// ascending component (with AVX-512 even and odd ones apart), a value in ascending position. The bits of a row depend on its query, its position,
/// its bias, how far it looks ahead, and the pages alone. A page's tokens past the last one that the row sees are not read into any result, whatever they hold.
/// Source: Milakov & Gimelshein 2018, arXiv:1805.02867 (online softmax); Dao 2023, arXiv:2307.08691 (tiling);
/// Kwon et al. 2023, arXiv:2309.06180 (pages).
#ifndef WEFT_KERNELS_OPS_ATTENTION_ATTENTION_H
#define WEFT_KERNELS_OPS_ATTENTION_ATTENTION_H

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/threads/shared_work.h"

namespace weft {

inline constexpr int64_t kPageTokens = 32;
inline constexpr int64_t kMaxHeadDim = 256;

/// How keys and values are stored. kQ8_0: int8 with one f16 scale per 32 components of a token.
enum class KvFormat : uint8_t { kF32, kF16, kBF16, kQ8_0 };
/// "f16"
const char* to_string(KvFormat format);

constexpr int64_t padded_head_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

/// Bytes of one head's keys, or values, of one page and layer: a multiple of 64.
/// Precondition: 1 <= head_dim <= kMaxHeadDim; for kQ8_0 a multiple of 32.
constexpr int64_t kv_block_bytes(KvFormat format, int64_t head_dim) {
  const int64_t count = padded_head_dim(head_dim) * kPageTokens;
  switch (format) {
    case KvFormat::kF32: return count * 4;
    case KvFormat::kF16:
    case KvFormat::kBF16: return count * 2;
    case KvFormat::kQ8_0: return count + count / 32 * 2;
  }
  return 0;
}

/// One query row: its q and y are [n_heads, head_dim], contiguous.
struct AttentionRow {
  const float* q = nullptr;
  float* y = nullptr;
  std::byte* const* pages = nullptr;  // of its sequence, from position 0
  int64_t position = 0;
  /// Added to scores: for each head one float of every token from position 0 to the last one seen, shape.bias_head_stride apart; or
  /// null. -infinity hides a token; a row that sees none is NaN.
  const float* bias = nullptr;
  /// Tokens behind the row's own that it sees; their keys and values are stored.
  int64_t ahead = 0;

  int64_t last_seen() const { return position + ahead; }
};

struct AttentionShape {
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  KvFormat format = KvFormat::kF16;
  float scale = 1;
  float softcap = 0;             // 0: none
  int64_t window = 0;            // tokens seen up to the row's own, that included; 0: all
  int64_t layer_offset = 0;      // bytes from a page's start to this layer's blocks
  int64_t bias_head_stride = 0;  // floats from one head's bias to the next one's; 0: all heads have the same
};

/// Stores the keys and values of one token: k, v: [n_kv_heads, head_dim]. Part `thread` of `n_threads` of
/// many rows is the caller's to choose; two tokens of one page may be stored by two threads.
void store_kv(const AttentionShape& shape, const float* k, const float* v, std::byte* const* pages,
              int64_t position, IsaLevel level = active_isa());

/// Thread `thread` of `n_threads` computes parts of the rows' y as long as `work`, which was reset, has any. Rows of one
/// sequence are best adjacent: they share the reading of keys. No allocation, no waiting.
void attention_share(const AttentionShape& shape, const AttentionRow* rows, int64_t n_rows, SharedWork& work,
                     uint32_t thread, uint32_t n_threads, IsaLevel level = active_isa());

/// The definition, naively, in double, for one row; reads the pages' stored values.
void attention_reference(const AttentionShape& shape, const AttentionRow& row);

}  // namespace weft
#endif
