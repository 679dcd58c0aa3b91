/// Attention over keys and values in plain tensors on a CUDA device: dense_attention.h's.
///
///   y[b, i, h] = sum_j softmax_j(scale * q[b, i, h] . k[b, j, h] + bias[b, h, i, j]) v[b, j, h]
///
/// One pass over the keys with an online softmax; scores never leave a block. bf16 and f16 are multiplied by tensor cores and added
/// in f32, the softmax's weights rounded to that type; f32 is computed in f32 without them. A block has 128 (64 above 80 components,
/// 32 in f32) queries of a head; of heads above 160 (128 in f32) components it makes 128 of the values, so that scores are computed
/// again for each 128.
/// Stream-ordered; no allocation, no synchronization. The bits of a row depend on its query, the keys, the values and its bias alone.
/// Bounds that tests hold it to: at most 8 sectors a request beyond those of the bytes and no bank conflicts (in f32, and where
/// head_dim is no multiple of 16, 12 sectors and 4 wavefronts); no spills; an eighth of a multiprocessor's threads up to 80
/// components of 16 bits, a sixteenth up to 160.
/// Source: Milakov & Gimelshein 2018, arXiv:1805.02867; Dao 2023, arXiv:2307.08691.
#ifndef WEFT_KERNELS_OPS_DENSE_ATTENTION_DENSE_ATTENTION_CUDA_H
#define WEFT_KERNELS_OPS_DENSE_ATTENTION_DENSE_ATTENTION_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/ops/dense_attention/dense_attention.h"
#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

inline constexpr int64_t kMaxDenseHeadDimCuda = 512;

/// Everything is in the device's memory. Where pointers, token strides, batch strides and head_dim are not all multiples of 16
/// bytes, it is computed in f32 without tensor cores, element by element.
struct DenseAttentionCuda {
  int64_t batch = 1, n_queries = 0, n_keys = 0, n_heads = 1, head_dim = 0;
  DType dtype = DType::kBF16;  // of q, k, v and y: bf16, f16 or f32
  float scale = 1;
  AttentionMask mask = AttentionMask::kNone;
  HeadsView q, k, v, y;         // y may be q up to 160 (128 in f32) components
  const float* bias = nullptr;  // as in DenseAttention
  int64_t bias_query_stride = 0, bias_head_stride = 0, bias_batch_stride = 0;
};

/// Errors: kInvalidShape (an extent or stride out of range), kUnsupported (a dtype), kInvalidArgument (a null pointer,
/// y that is q where it may not be).
Status dense_attention_cuda(const DenseAttentionCuda& a, CUstream_st* stream);

}  // namespace weft
#endif
