/// What a ProteinMpnn holds: its layers, and where load() gets them from. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_PROTEIN_MPNN_STATE_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_PROTEIN_MPNN_STATE_H

#include <optional>
#include <string>
#include <vector>

#include "kernels/layers/layer_pass.h"
#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/networks/protein_mpnn/protein_mpnn.h"

namespace weft {

/// A named linear as it is in the file, and a part of its columns as it is multiplied.
struct RawLinear {
  const float* weight = nullptr;  // [n, k]
  const float* bias = nullptr;    // [n] or null
  int64_t n = 0, k = 0;
};

/// gelu(W2 gelu(W1 [own, edge, (residue,) other])), W1 in parts; the last linear comes behind a sum or not.
struct MessageLayer {
  RawLinear raw[3];
  DenseLayer own;    // of the position's state, with W1's bias
  DenseLayer edge;   // of the edge
  DenseLayer other;  // of the neighbour's state
  DenseLayer second;
  DenseLayer last;  // without its bias
  const float* own_bias = nullptr;
  const float* last_bias = nullptr;
  std::vector<float>
      residues;  // of a decoder: [kProteinTokens + 1, width], what a neighbour's residue adds; the last row is 0
};

/// Both kinds of layers: a message to the node, and the MLP behind it; in an encoder a message to the edge besides.
struct MpnnLayer {
  MessageLayer to_node, to_edge;
  Norm after_message, after_mlp, after_edge;
  RawLinear raw_up, raw_down;
  DenseLayer up, down;
};

struct ProteinMpnn::State {
  ProteinMpnnConfig config;
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  HeapWeightStore values;          // norms and biases, and the matrices as they are in the file
  HeapWeightStore packed;
  bool loaded = false;

  RawLinear raw_place, raw_features, raw_edge, raw_out;
  const float* raw_residues = nullptr;  // [kProteinTokens, width]
  std::vector<float> places;            // [kPositionClasses, kPositionWidth]
  DenseLayer features, edge, out;
  Norm edge_norm;
  std::vector<MpnnLayer> encoder, decoder;

  int64_t width() const { return config.width; }
  int64_t neighbours_of(int64_t count) const { return std::min(config.n_neighbours, count); }
};

/// The reference divides sums over neighbours by this, whatever their number.
inline constexpr float kMessageScale = 30;

}  // namespace weft
#endif
