/// Weights as GGUF's K-quants, for tests: each sub-block by its extremes, scales rounded as the formats store them, no search
/// for better ones. Files that people use are a little nearer to their originals than these.
#ifndef WEFT_KERNELS_TESTING_K_QUANTS_H
#define WEFT_KERNELS_TESTING_K_QUANTS_H

#include <cstdint>

#include "kernels/quant/format.h"

namespace weft::testing {

/// format: Q2_K to Q6_K; any other returns false. count: a multiple of 256. dst: weights_bytes(format, count).
bool quantize_k(WeightFormat format, const float* src, int64_t count, void* dst);

}  // namespace weft::testing
#endif
