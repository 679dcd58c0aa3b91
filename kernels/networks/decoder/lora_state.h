/// What a LoraAdapter holds. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_LORA_STATE_H
#define WEFT_KERNELS_NETWORKS_DECODER_LORA_STATE_H

#include <cstdint>
#include <vector>

#include "kernels/layers/packed_weight_store.h"
#include "kernels/networks/decoder/lora.h"
#include "kernels/ops/matmul/matmul.h"

namespace weft {

/// y += scale * B (A x). Absent if a.n is 0.
struct LowRankPair {
  PackedMatrix a;   // [rank, inputs]
  PackedMatrix b;   // [outputs, rank]
  float scale = 0;  // alpha / rank
};

struct LoraAdapter::State {
  std::vector<LowRankPair> pairs;  // by Linear::index
  HeapWeightStore memory;
  int64_t rank = 0;
  int64_t size_bytes = 0;
};

}  // namespace weft
#endif
