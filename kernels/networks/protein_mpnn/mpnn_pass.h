/// What encoding, scoring and sampling share: one thread's messages over the edges of a position, and the steps that all threads
/// take together behind them. Private to this folder.
///
/// Threads: as kernels/layers/layer_pass.h says. Memory that a thread has for itself is taken by all of them alike.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_MPNN_PASS_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_MPNN_PASS_H

#include <cstdint>
#include <vector>

#include "kernels/networks/protein_mpnn/edge_rows_bodies.h"
#include "kernels/networks/protein_mpnn/protein_mpnn_state.h"

namespace weft {

/// Rows added to an edge before the first non-linearity: of the neighbour's state, and of its residue or nothing.
struct NeighbourRows {
  const float** first;   // [n_neighbours]
  const float** second;  // the same
};

class MpnnPass {
 public:
  MpnnPass(LayerPass& pass, uint32_t max_threads, int64_t width, int64_t n_neighbours,
           int64_t widest_features);
  ~MpnnPass();
  MpnnPass(const MpnnPass&) = delete;
  MpnnPass& operator=(const MpnnPass&) = delete;

  LayerPass& pass() { return pass_; }
  int64_t width() const { return width_; }
  bool measures() const { return pass_.measures(); }
  const EdgeRowBodies& rows() const { return rows_; }

  /// This thread's own.
  NeighbourRows neighbours() const { return neighbours_; }
  float* edge_rows() const { return edge_rows_; }      // [n_neighbours, widest_features]
  float* hidden_rows() const { return hidden_rows_; }  // [n_neighbours, width]

  /// y = f(x W^T + bias) + residual, by this thread alone. x: [m, k] with rows x_stride apart; y: [m, n]. bias null: the layer's.
  void product(const DenseLayer& layer, const float* x, int64_t x_stride, int64_t m, float* y,
               std::optional<Activation> activation = {}, const float* bias = nullptr,
               bool adds_to_y = false);

  /// hidden_rows() = gelu(W2 gelu(x + shared + neighbours)) for `n_rows` rows of x, which may be edge_rows().
  void message(const MessageLayer& layer, const float* x, int64_t x_stride, const float* shared,
               const NeighbourRows& neighbours, int64_t n_rows);

  /// Behind the messages, by all threads: h = norm(h + MLP(norm(h + sums W3 / 30 + counts b3 / 30))). h, sums: [rows, width];
  /// counts: [rows], neighbours that were summed. Ends with a barrier.
  void update_nodes(const MpnnLayer& layer, int64_t n_rows, const float* sums, const float* counts, float* h);

 private:
  template <typename T>
  T* take_own(int64_t count);

  LayerPass& pass_;
  const uint32_t max_threads_;
  const int64_t width_;
  const EdgeRowBodies& rows_;
  std::vector<const void*> taken_;
  std::byte* gemm_scratch_;
  float *edge_rows_, *hidden_rows_;
  NeighbourRows neighbours_;
};

}  // namespace weft
#endif
