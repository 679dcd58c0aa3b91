/// Multi-head attention over keys and values that lie in plain tensors: self and cross attention of image models and
/// encoders. (Growing, paged keys of language models: ops/attention.)
///
///   y[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h] + bias[b, h, i, j]) v[b, j, h]
///
/// Numerics: f32, with an online softmax over blocks of keys from key 0; a score is summed in ascending component, a value in
/// ascending key. What is stored as bf16 is multiplied as bf16 where the ISA level has such products and there is no mask:
/// then the softmax's weights are rounded to bf16 too, and sums are f32. The bits of a row of y depend on its
/// query, the keys, the values and its row of bias: not on other rows, the batch or the number of threads.
///
/// Ownership: the caller owns everything; nothing is allocated. Threads: dense_attention() runs a team of its own,
/// dense_attention_share() is one thread's part for callers that keep a team over many ops.
/// Source: Milakov & Gimelshein 2018, arXiv:1805.02867 (online softmax); Dao et al. 2022, arXiv:2205.14135 (tiling).
///
///   DenseAttention a{.batch = 2, .n_queries = 4096, .n_keys = 4096, .n_heads = 8, .head_dim = 40,
///                    .scale = 1 / std::sqrt(40.f)};
///   a.q = {q, 320, 4096 * 320}; a.k = ...; a.v = ...; a.y = ...;
///   Status done = dense_attention(a, scratch, executor);  // dense_attention_scratch_bytes(a, n_threads)
#ifndef WEFT_KERNELS_OPS_DENSE_ATTENTION_DENSE_ATTENTION_H
#define WEFT_KERNELS_OPS_DENSE_ATTENTION_DENSE_ATTENTION_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

namespace weft {

inline constexpr int64_t kMaxDenseHeadDim = 1024;

enum class AttentionMask : uint8_t {
  kNone,
  kCausal,  // query i sees keys 0 to i; keys that it does not see are not read into it, whatever they hold
};

/// [batch, tokens, heads, head_dim]: the heads of a token lie one after another. Strides in elements; a batch stride of
/// 0 lets all of a batch read the same keys.
struct HeadsView {
  const void* data = nullptr;  // y is written
  int64_t token_stride = 0;    // at least n_heads * head_dim
  int64_t batch_stride = 0;
};

struct DenseAttention {
  int64_t batch = 1;
  int64_t n_queries = 0;
  int64_t n_keys = 0;  // at least 1
  int64_t n_heads = 1;
  int64_t head_dim = 0;       // 1 to kMaxDenseHeadDim
  DType dtype = DType::kF32;  // of q, k, v and y: kF32 or kBF16
  float scale = 1;
  AttentionMask mask = AttentionMask::kNone;
  HeadsView q, k, v, y;  // y may be q
  /// Added to scores: rows of n_keys floats, or null. -infinity hides a key; a row that sees no key is NaN.
  const float* bias = nullptr;
  int64_t bias_query_stride = 0;
  int64_t bias_head_stride = 0;
  int64_t bias_batch_stride = 0;
  /// Sequences of different lengths, one behind the other without padding: sequence b is the tokens starts[b] to
  /// starts[b + 1] of q, k, v and y, at least one. n_queries, n_keys and batch strides are not read then, and there is no
  /// bias. [batch + 1], or null.
  const int64_t* starts = nullptr;
};

/// Bytes of scratch for a team of `n_threads`, to be aligned to 64. Depends on head_dim and n_threads alone.
int64_t dense_attention_scratch_bytes(int64_t head_dim, uint32_t n_threads);

/// Thread `thread` of `n_threads` computes its part of y. scratch: dense_attention_scratch_bytes(head_dim, n_threads).
/// No allocation, no synchronisation. Preconditions: those that dense_attention() checks.
void dense_attention_share(const DenseAttention& a, void* scratch, uint32_t thread, uint32_t n_threads,
                           IsaLevel level = active_isa());

/// What level kAmx computes, by AMX's tiles where the machine has them, else by plain ones: for tests.
/// Preconditions: isa_available(kAvx512Bf16); bf16, no mask, an even head_dim.
void dense_attention_share_by_tiles(const DenseAttention& a, void* scratch, uint32_t thread,
                                    uint32_t n_threads);

/// dense_attention_share() in a team of its own. Errors: kInvalidShape (an extent or stride out of range), kUnsupported (a dtype),
/// kInvalidArgument (a null pointer), kOutOfMemory (scratch smaller than for the executor's threads, or misaligned).
Status dense_attention(const DenseAttention& a, std::span<std::byte> scratch, Executor executor,
                       IsaLevel level = active_isa());

/// The definition, naively, in double.
void dense_attention_reference(const DenseAttention& a);

}  // namespace weft
#endif
