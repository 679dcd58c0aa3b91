/// An adapter's file as it fits a decoder: its low-rank pairs, checked, from headers. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_LORA_FILE_H
#define WEFT_KERNELS_NETWORKS_DECODER_LORA_FILE_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/networks/decoder/decoder_state.h"

namespace weft {

/// The two halves of one adapted layer. Refers to the model and the file.
struct LoraFilePair {
  const WeightTensor* a = nullptr;  // [rank, inputs], in f32, f16 or bf16
  const WeightTensor* b = nullptr;  // [outputs, rank], likewise; rows in the file's order
  const Linear* linear = nullptr;   // the layer
  Part part{};
  int64_t rank = 0;
  float scale = 0;  // alpha / rank
};

/// At least one, in the order of the layers. Errors: those of LoraAdapter::load().
Result<std::vector<LoraFilePair>> read_lora(const Decoder::State& model, const WeightFile& file);
/// The rows of B in the order of the layer's.
std::vector<std::byte> b_rows(const Decoder::State& model, const WeightFile& file, const LoraFilePair& pair);

}  // namespace weft
#endif
