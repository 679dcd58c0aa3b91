/// The bodies of embedding_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_EMBEDDING_EMBEDDING_BODIES_H
#define WEFT_KERNELS_OPS_EMBEDDING_EMBEDDING_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"
#include "kernels/quant/format.h"

namespace weft {

struct EmbeddingBodies {
  const char* name;
  /// y = scale * row, of `width` weights.
  void (*row)(WeightFormat format, const uint8_t* row, int64_t width, float scale, float* y);
};
WEFT_DECLARE_ISA_BODIES(EmbeddingBodies, kEmbeddingBodies)

}  // namespace weft
#endif
