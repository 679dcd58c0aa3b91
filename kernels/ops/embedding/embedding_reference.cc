#include "kernels/ops/embedding/embedding.h"
#include "kernels/quant/dequantize.h"

namespace weft {

void embedding_reference(const EmbeddingTable& table, std::span<const int32_t> tokens, float scale,
                         float* y) {
  const int64_t row_bytes = weights_bytes(table.format, table.width);
  for (const int32_t token : tokens) {
    dequantize(table.format, static_cast<const char*>(table.data) + token * row_bytes, table.width, y);
    for (int64_t i = 0; i < table.width; ++i) y[i] *= scale;
    y += table.width;
  }
}

}  // namespace weft
