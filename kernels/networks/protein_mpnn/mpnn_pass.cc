#include "kernels/networks/protein_mpnn/mpnn_pass.h"

namespace weft {

// Threads get parts of what all of them take: multiples of 64 bytes.
template <typename T>
T* MpnnPass::take_own(int64_t count) {
  const int64_t each = (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
  const TensorView all = pass_.take(DType::kU8, {each * max_threads_});
  taken_.push_back(all.data);
  return all.data == nullptr ? nullptr : reinterpret_cast<T*>(all.as<std::byte>() + each * pass_.thread());
}

MpnnPass::MpnnPass(LayerPass& pass, uint32_t max_threads, int64_t width, int64_t n_neighbours,
                   int64_t widest_features)
    : pass_(pass),
      max_threads_(max_threads),
      width_(width),
      rows_(WEFT_ISA_BODY(kEdgeRowBodies, pass.level())),
      gemm_scratch_(take_own<std::byte>(gemm_scratch_bytes(1))),
      edge_rows_(take_own<float>(n_neighbours * widest_features)),
      hidden_rows_(take_own<float>(n_neighbours * width)),
      neighbours_{take_own<const float*>(n_neighbours), take_own<const float*>(n_neighbours)} {}

MpnnPass::~MpnnPass() {
  for (const void* memory : taken_) pass_.give(static_cast<const float*>(memory));
}

void MpnnPass::product(const DenseLayer& layer, const float* x, int64_t x_stride, int64_t m, float* y,
                       std::optional<Activation> activation, const float* bias, bool adds_to_y) {
  Gemm g;
  g.a = TensorView::contiguous(x, DType::kF32, {m, layer.w.shape.k});
  g.a.strides[0] = x_stride;
  g.w = layer.w;
  g.bias = bias != nullptr ? bias : layer.bias;
  g.activation = activation;
  g.c = TensorView::contiguous(y, DType::kF32, {m, layer.w.shape.n});
  if (adds_to_y) g.residual = g.c;
  g.scratch = gemm_scratch_;
  gemm_share(g, 0, 1, pass_.level());
}

void MpnnPass::message(const MessageLayer& layer, const float* x, int64_t x_stride, const float* shared,
                       const NeighbourRows& neighbours, int64_t n_rows) {
  rows_.gelu_of_sums(x, x_stride, shared, neighbours.first, neighbours.second, n_rows, width_, edge_rows_);
  product(layer.second, edge_rows_, width_, n_rows, hidden_rows_, Activation::kGelu);
}

void MpnnPass::update_nodes(const MpnnLayer& layer, int64_t n_rows, const float* sums, const float* counts,
                            float* h) {
  const TensorView state = TensorView::contiguous(h, DType::kF32, {n_rows, width_});
  const TensorView sum = TensorView::contiguous(sums, DType::kF32, {n_rows, width_});
  const TensorView wide = pass_.take(DType::kF32, {n_rows, 4 * width_});
  if (!measures()) {
    for (int64_t r = pass_.begin(n_rows); r < pass_.end(n_rows); ++r)
      rows_.add_scaled(h + r * width_, counts[r] / kMessageScale, layer.to_node.last_bias, width_,
                       h + r * width_);
  }
  pass_.barrier();
  pass_.dense(layer.to_node.last, sum, state, {.residual = state});
  pass_.barrier();
  pass_.layer_norm(layer.after_message, state, state);
  pass_.barrier();
  pass_.dense(layer.up, state, wide, {.activation = Activation::kGelu});
  pass_.barrier();
  pass_.dense(layer.down, wide, state, {.residual = state});
  pass_.barrier();
  pass_.layer_norm(layer.after_mlp, state, state);
  pass_.barrier();
  pass_.give(wide);
}

}  // namespace weft
