/// This machine's limits as a program can reach them, measured, for benches to compare with. Each takes about 50 ms.
///
/// All threads of the executor work at once; the best of several rounds counts. On a busy machine they come out low.
#ifndef WEFT_KERNELS_TESTING_PEAKS_H
#define WEFT_KERNELS_TESTING_PEAKS_H

#include <weft/sdk/executor.h>

#include "kernels/cpu/isa.h"

namespace weft::testing {

/// Bytes a second read in order from a buffer of `buffer_bytes`.
double read_bytes_per_second(Executor executor, int64_t buffer_bytes = int64_t{256} << 20);

/// Operations a second (a product and a sum count as two) of f32 fused multiply-add in registers, with the level's body.
double f32_operations_per_second(Executor executor, IsaLevel level);

/// The same of products of bf16 added in f32: dot products of pairs, or AMX's tiles. 0 if the level has neither.
double bf16_operations_per_second(Executor executor, IsaLevel level);

/// The same of the body's four-byte integer dot product, or AMX's tiles of them.
double int8_operations_per_second(Executor executor, IsaLevel level);

}  // namespace weft::testing
#endif
