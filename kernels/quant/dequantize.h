/// Weights of any format as f32: the exact meaning of every block, and the lookup of single rows (token
/// embeddings).
///
/// Plain and naive: this is the reference that the kernels are tested against. Products never go through it.
/// Source: the GGUF specification's block structures; MXFP4: OCP Microscaling Formats 1.0.
#ifndef WEFT_KERNELS_QUANT_DEQUANTIZE_H
#define WEFT_KERNELS_QUANT_DEQUANTIZE_H

#include <cstdint>

#include "kernels/quant/format.h"

namespace weft {

/// Bytes of `count` consecutive weights. Precondition: count is a multiple of the block's elements and the
/// result fits.
constexpr int64_t weights_bytes(WeightFormat format, int64_t count) {
  const BlockLayout layout = block_layout(format);
  return count / layout.elements * layout.bytes;
}

/// dst[0..count) = the weights at src, in f32. src: weights_bytes(format, count), any alignment; F64 and the
/// integers are rounded to f32. Precondition: count is a multiple of the block's elements.
void dequantize(WeightFormat format, const void* src, int64_t count, float* dst);

/// Rounds f32 to blocks of `format`: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 (the formats whose encoding
/// is plain round-to-nearest with the block's extremes). Returns false for any other format. count: a
/// multiple of the block's elements.
bool quantize(WeightFormat format, const float* src, int64_t count, void* dst);

}  // namespace weft
#endif
