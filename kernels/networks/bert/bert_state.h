/// What a Bert holds: its layers, and the plan by which load() makes their weights. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_BERT_BERT_STATE_H
#define WEFT_KERNELS_NETWORKS_BERT_BERT_STATE_H

#include <optional>
#include <vector>

#include "kernels/layers/encoder_layer.h"
#include "kernels/layers/network_weights.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/networks/bert/bert.h"

namespace weft {

struct Bert::State {
  BertConfig config;
  EncoderShape shape;
  DType compute = DType::kF32;  // and of what lives within a layer; the residual connection is f32
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;

  TableLayer token_embedding;                 // [vocabulary, width]
  const float* position_embedding = nullptr;  // [n_positions, width]
  const float* type_embedding = nullptr;      // [n_types, width]
  Norm embedding_norm;
  std::vector<EncoderLayer> layers;
  DenseLayer word_transform, word_decoder;  // of BertHead::kWords
  Norm word_norm;
};

}  // namespace weft
#endif
