#include "kernels/ops/embedding/embedding.h"

#include <string>

#include "kernels/ops/embedding/embedding_bodies.h"
#include "kernels/quant/dequantize.h"

namespace weft {

void embedding_row(WeightFormat format, const void* row, int64_t width, float scale, float* y,
                   IsaLevel level) {
  WEFT_ISA_BODY(kEmbeddingBodies, level).row(format, static_cast<const uint8_t*>(row), width, scale, y);
}

Status embedding(const EmbeddingTable& table, std::span<const int32_t> tokens, float scale, float* y,
                 Executor executor, IsaLevel level) {
  const BlockLayout layout = block_layout(table.format);
  if (table.rows < 0 || table.width < 1 || table.width % layout.elements != 0)
    return Status(StatusCode::kInvalidShape, "embedding: an impossible table")
        .expected("rows >= 0, a width of whole blocks of " + std::to_string(layout.elements))
        .got("rows " + std::to_string(table.rows) + ", width " + std::to_string(table.width));
  for (const int32_t token : tokens)
    if (token < 0 || token >= table.rows)
      return Status(StatusCode::kOutOfRange, "embedding: a token beyond the table")
          .expected("0 to " + std::to_string(table.rows - 1))
          .got(std::to_string(token));
  if (tokens.empty()) return Status();
  if (!table.data || !y) return Status(StatusCode::kInvalidArgument, "embedding: a pointer is null");
  const int64_t row_bytes = weights_bytes(table.format, table.width);
  const auto* data = static_cast<const uint8_t*>(table.data);
  const EmbeddingBodies& bodies = WEFT_ISA_BODY(kEmbeddingBodies, level);
  executor.parallel_for(static_cast<int64_t>(tokens.size()), 16384 / table.width + 1,
                        [&](int64_t begin, int64_t end) {
                          for (int64_t i = begin; i < end; ++i)
                            bodies.row(table.format, data + tokens[static_cast<size_t>(i)] * row_bytes,
                                       table.width, scale, y + i * table.width);
                        });
  return Status();
}

}  // namespace weft
