/// Rows of an embedding table, stored in any weight format, as f32.
///
///   y[i] = scale * table[tokens[i]]
///
/// Exact: every level gives the bits of quant/dequantize.h times the scale, rounded once more.
///
///   embedding({WeightFormat::kQ6_K, data, vocabulary, width}, tokens, 1, y, executor);
///
/// Thread safety: pure functions; no allocation.
#ifndef WEFT_KERNELS_OPS_EMBEDDING_EMBEDDING_H
#define WEFT_KERNELS_OPS_EMBEDDING_EMBEDDING_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <span>

#include "kernels/cpu/isa.h"
#include "kernels/quant/format.h"

namespace weft {

/// data: [rows, width] as a file stores it, row after row, any alignment. width: a multiple of the format's block.
struct EmbeddingTable {
  WeightFormat format = WeightFormat::kF32;
  const void* data = nullptr;
  int64_t rows = 0, width = 0;
};

/// One row, wherever it lies: y = scale * row. row: weights_bytes(format, width), any alignment; y: [width], apart from row.
/// Precondition: width is a multiple of the format's block.
void embedding_row(WeightFormat format, const void* row, int64_t width, float scale, float* y,
                   IsaLevel level = active_isa());

/// y: [tokens.size(), width] f32. Errors: kInvalidShape (a width below 1 or not of whole blocks, rows below 0), kOutOfRange (a
/// token below 0 or beyond the table: nothing is written), kInvalidArgument (a null pointer).
Status embedding(const EmbeddingTable& table, std::span<const int32_t> tokens, float scale, float* y,
                 Executor executor, IsaLevel level = active_isa());

/// The definition. Preconditions: those that embedding() checks.
void embedding_reference(const EmbeddingTable& table, std::span<const int32_t> tokens, float scale, float* y);

}  // namespace weft
#endif
