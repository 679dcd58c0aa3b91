/// What a LoraAdapter holds. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_LORA_STATE_H
#define WEFT_KERNELS_NETWORKS_DECODER_LORA_STATE_H

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/networks/decoder/decoder.h"
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
  std::string device;  // that it is on; empty: the CPU
  DeviceBuffer device_memory;
  int64_t rank = 0;
  int64_t size_bytes = 0;
};

/// The ranks of a batch's adapters together. Errors: kInvalidArgument (one that was made for another model, or is not on `device`;
/// empty: the CPU).
Result<int64_t> total_rank(const Decoder::State& model, std::span<const LoraTerm> adapters,
                           std::string_view device);

}  // namespace weft
#endif
