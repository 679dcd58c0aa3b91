// Encoding a backbone: its graph, then layers of messages along the graph's edges. One team of threads walks all of it.
#include <algorithm>
#include <cstring>

#include "kernels/networks/protein_mpnn/backbone_graph.h"
#include "kernels/networks/protein_mpnn/mpnn_pass.h"

namespace weft {
namespace {

constexpr int64_t round_to_16(int64_t n) { return (n + 15) / 16 * 16; }

// Where a backbone's encoding lies in the caller's memory.
struct EncodingPlaces {
  EncodingPlaces(int64_t count, int64_t neighbours, int64_t width)
      : nodes(round_to_16(count * neighbours)),
        edges(nodes + round_to_16(count * width)),
        end(edges + count * neighbours * width) {}
  int64_t nodes, edges, end;  // in units of 4 bytes; neighbours lie at 0
};

class EncoderWalk {
 public:
  EncoderWalk(const ProteinMpnn::State& s, LayerPass& pass, uint32_t max_threads, int64_t count,
              const BackboneGraph* graph, const Backbone* backbone, int32_t* neighbours, float* nodes,
              float* edges)
      : s_(s),
        pass_(pass),
        features_(round_to_16(BackboneGraph::edge_features(s.config.ca_only))),
        max_threads_(max_threads),
        mpnn_(pass, max_threads, s.width(), s.neighbours_of(count), std::max(features_, s.width())),
        count_(count),
        k_(s.neighbours_of(count)),
        width_(s.width()),
        graph_(graph),
        backbone_(backbone),
        neighbours_(neighbours),
        nodes_(nodes),
        edges_(edges) {}

  void walk() {
    own_ = pass_.take_floats(count_ * width_);
    other_ = pass_.take_floats(count_ * width_);
    sums_ = pass_.take_floats(count_ * width_);
    n_summed_ = pass_.take_floats(count_);
    make_graph();
    for (size_t l = 0; l < s_.encoder.size(); ++l) {
      if (pass_.stopped()) return;
      layer(s_.encoder[l], l == 0);
    }
    for (const float* memory : {own_, other_, sums_, n_summed_}) pass_.give(memory);
  }

 private:
  bool present(int64_t i) const { return backbone_->present[static_cast<size_t>(i)] != 0; }
  // Positions are divided evenly: their work is equal.
  template <typename Body>
  void each_present(Body&& body) {
    for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i)
      if (present(i)) body(i);
  }

  void make_graph() {
    float* distances = pass_.take_floats(count_ * max_threads_);
    float* indices = pass_.take_floats(count_ * max_threads_);
    float* nearest = pass_.take_floats(k_ * max_threads_);
    if (!pass_.measures()) {
      const int64_t thread = pass_.thread();
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i) {
        std::fill_n(nodes_ + i * width_, width_, 0.0F);
        std::fill_n(neighbours_ + i * k_, k_, 0);
        if (!present(i)) continue;
        graph_->find_neighbours(i, distances + thread * count_,
                                reinterpret_cast<int32_t*>(indices) + thread * count_, neighbours_ + i * k_,
                                nearest + thread * k_);
        graph_->fill_features(i, neighbours_ + i * k_, nearest + thread * k_, s_.places.data(), features_,
                              mpnn_.edge_rows(), pass_.level());
        mpnn_.product(s_.features, mpnn_.edge_rows(), features_, k_, mpnn_.hidden_rows());
        norm_rows(s_.edge_norm, mpnn_.hidden_rows(), width_, mpnn_.hidden_rows(), width_, k_, width_,
                  pass_.level());
        mpnn_.product(s_.edge, mpnn_.hidden_rows(), width_, k_, edge(i));
      }
    }
    pass_.barrier();
    for (const float* memory : {distances, indices, nearest}) pass_.give(memory);
  }

  float* edge(int64_t i) const { return edges_ + i * k_ * width_; }

  // Both messages' first linears on the nodes. The first layer's nodes are all 0.
  void project_nodes(const MessageLayer& m, bool nodes_are_zero) {
    if (!nodes_are_zero) {
      const TensorView nodes = TensorView::contiguous(nodes_, DType::kF32, {count_, width_});
      pass_.dense(m.own, nodes, TensorView::contiguous(own_, DType::kF32, {count_, width_}));
      pass_.dense(m.other, nodes, TensorView::contiguous(other_, DType::kF32, {count_, width_}));
    } else if (!pass_.measures()) {
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i) {
        std::copy_n(m.own_bias, width_, own_ + i * width_);
        std::fill_n(other_ + i * width_, width_, 0.0F);
      }
    }
    pass_.barrier();
  }

  // hidden_rows() = the message along each edge of a position, before its last linear.
  void message(const MessageLayer& m, int64_t i) {
    const NeighbourRows rows = mpnn_.neighbours();
    for (int64_t k = 0; k < k_; ++k) {
      rows.first[k] = other_ + neighbours_[i * k_ + k] * width_;
      rows.second[k] = own_ + i * width_;
    }
    mpnn_.product(m.edge, edge(i), width_, k_, mpnn_.edge_rows());
    mpnn_.message(m, mpnn_.edge_rows(), width_, nullptr, rows, k_);
  }

  void layer(const MpnnLayer& layer, bool nodes_are_zero) {
    project_nodes(layer.to_node, nodes_are_zero);
    if (!pass_.measures()) {
      each_present([&](int64_t i) {
        message(layer.to_node, i);
        // Of neighbours without atoms there is no message.
        float weights[kMostNeighbours];
        float n_summed = 0;
        for (int64_t k = 0; k < k_; ++k) {
          weights[k] = present(neighbours_[i * k_ + k]) ? 1.0F : 0.0F;
          n_summed += weights[k];
        }
        n_summed_[i] = n_summed;
        mpnn_.rows().sum_rows(mpnn_.hidden_rows(), weights, k_, width_, sums_ + i * width_);
      });
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i)
        if (!present(i)) clear(i);
    }
    pass_.barrier();
    mpnn_.update_nodes(layer, count_, sums_, n_summed_, nodes_);
    if (!pass_.measures())
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i)
        if (!present(i)) std::fill_n(nodes_ + i * width_, width_, 0.0F);
    pass_.barrier();
    project_nodes(layer.to_edge, false);
    if (!pass_.measures())
      each_present([&](int64_t i) {
        message(layer.to_edge, i);
        mpnn_.product(layer.to_edge.last, mpnn_.hidden_rows(), width_, k_, edge(i), {}, nullptr, true);
        norm_rows(layer.after_edge, edge(i), width_, edge(i), width_, k_, width_, pass_.level());
      });
    pass_.barrier();
  }
  void clear(int64_t i) {
    n_summed_[i] = 0;
    std::fill_n(sums_ + i * width_, width_, 0.0F);
  }

  static constexpr int64_t kMostNeighbours = 256;

  const ProteinMpnn::State& s_;
  LayerPass& pass_;
  const int64_t features_;
  const int64_t max_threads_;
  MpnnPass mpnn_;
  const int64_t count_, k_, width_;
  const BackboneGraph* graph_;  // null: measures
  const Backbone* backbone_;    // null: measures
  int32_t* neighbours_;
  float *nodes_, *edges_;
  float *own_ = nullptr, *other_ = nullptr, *sums_ = nullptr, *n_summed_ = nullptr;
};

Status check_backbone(const Backbone& b) {
  const auto count = static_cast<size_t>(std::max<int64_t>(b.count, 0));
  if (b.count < 1 || b.atoms.size() != count * 12 || b.present.size() != count ||
      b.residue_index.size() != count || b.chain.size() != count)
    return Status(StatusCode::kInvalidShape, "the parts of a backbone do not fit each other")
        .expected("4 atoms, a flag, a number and a chain for each of " + std::to_string(b.count) +
                  " positions");
  if (std::none_of(b.present.begin(), b.present.end(), [](uint8_t flag) { return flag != 0; }))
    return Status(StatusCode::kInvalidArgument,
                  "no residue of the backbone has all atoms that the model sees");
  return {};
}

}  // namespace

int64_t ProteinMpnn::encoding_bytes(int64_t count) const {
  return EncodingPlaces(count, state_->neighbours_of(count), state_->width()).end * 4;
}

int64_t ProteinMpnn::encoding_scratch_bytes(int64_t count, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    EncoderWalk(*state_, pass, n_threads, count, nullptr, nullptr, nullptr, nullptr, nullptr).walk();
  });
}

Result<BackboneEncoding> ProteinMpnn::encode(const Backbone& backbone, std::span<std::byte> memory,
                                             std::span<std::byte> scratch, Executor executor,
                                             const StopRequest& stop) const {
  const State& s = *state_;
  if (!s.loaded) return Status(StatusCode::kInvalidArgument, "the network is not loaded");
  if (Status fits = check_backbone(backbone); !fits.ok()) return fits;
  if (Status fits = LayerPass::check_workspace(memory, encoding_bytes(backbone.count), "an encoding's");
      !fits.ok())
    return fits;
  const BackboneGraph graph(s.config, backbone);
  const int64_t count = backbone.count, k = graph.n_neighbours();
  const EncodingPlaces places(count, k, s.width());
  auto* floats = reinterpret_cast<float*>(memory.data());
  auto* neighbours = reinterpret_cast<int32_t*>(memory.data());
  const uint32_t n_threads = executor.max_threads();
  Status done = LayerPass::run(scratch, encoding_scratch_bytes(count, n_threads), "ProteinMPNN's encoder's",
                               executor, stop, nullptr, [&](LayerPass& pass) {
                                 EncoderWalk(s, pass, n_threads, count, &graph, &backbone, neighbours,
                                             floats + places.nodes, floats + places.edges)
                                     .walk();
                               });
  if (!done.ok()) return done;
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  return BackboneEncoding{count,
                          k,
                          {neighbours, size(count * k)},
                          {floats + places.nodes, size(count * s.width())},
                          {floats + places.edges, size(count * k * s.width())},
                          backbone.present};
}

}  // namespace weft
