/// Small kernels, one a part of the language that kernels are written in.
#ifndef WEFT_KERNELS_SIMT_TESTS_LANGUAGE_H
#define WEFT_KERNELS_SIMT_TESTS_LANGUAGE_H

#include <weft/sdk/status.h>

#include <cstdint>

struct CUstream_st;

namespace weft::simt {

/// out: [10, 32] of one warp; what each row holds is said in language.cu.
Status warp_exchange(const int* x, int* out, CUstream_st* stream);
/// bins: [8], counts of x[i] % 8; sum: [1], of all x as f32; largest: [1]. x: [n], not negative.
Status atomics(const int* x, int n, int* bins, float* sum, int* largest, CUstream_st* stream);
/// out: [4]: whether any, all and how many of x[0..63] are not zero; then 1 where a dynamic buffer of 64 ints served.
Status block_votes(const int* x, int* out, CUstream_st* stream);
enum class MmaKind : uint8_t { kBF16, kF16, kS8 };
/// d[16, 8] = a[16, k] b[k, 8], k 16 (16-bit elements) or 32 (bytes; b given as [8, k]); a by ldmatrix, b of 16-bit
/// elements by ldmatrix.trans, through shared memory filled by cp.async. d: f32, or int32_t for kS8.
Status tile_product(MmaKind kind, const void* a, const void* b, void* d, CUstream_st* stream);

}  // namespace weft::simt
#endif
