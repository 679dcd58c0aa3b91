// Log probabilities of a whole sequence in one pass: every position sees the residues of those decoded before it.
#include <algorithm>

#include "kernels/networks/protein_mpnn/decoding_schedule.h"
#include "kernels/networks/protein_mpnn/mpnn_pass.h"
#include "kernels/networks/protein_mpnn/residue_choice.h"

namespace weft {
namespace {

class ScoreWalk {
 public:
  /// encoding null: measures.
  ScoreWalk(const ProteinMpnn::State& s, LayerPass& pass, uint32_t max_threads, int64_t count,
            const BackboneEncoding* encoding, const int32_t* tokens, const int32_t* ranks,
            float* log_probabilities)
      : s_(s),
        pass_(pass),
        mpnn_(pass, max_threads, s.width(), s.neighbours_of(count), s.width()),
        count_(count),
        k_(s.neighbours_of(count)),
        width_(s.width()),
        e_(encoding),
        tokens_(tokens),
        ranks_(ranks),
        log_probabilities_(log_probabilities) {}

  void walk() {
    for (float** memory : {&state_, &own_, &seen_, &unseen_, &sums_})
      *memory = pass_.take_floats(count_ * width_);
    n_summed_ = pass_.take_floats(count_);
    if (!pass_.measures())
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i) {
        std::copy_n(e_->nodes.data() + i * width_, width_, state_ + i * width_);
        n_summed_[i] = static_cast<float>(k_);
      }
    pass_.barrier();
    for (size_t l = 0; l < s_.decoder.size(); ++l) {
      if (pass_.stopped()) return;
      layer(s_.decoder[l], l == 0);
    }
    finish();
    for (const float* memory : {state_, own_, seen_, unseen_, sums_, n_summed_}) pass_.give(memory);
  }

 private:
  bool present(int64_t i) const { return e_->present[static_cast<size_t>(i)] != 0; }
  TensorView nodes(const float* x) const { return TensorView::contiguous(x, DType::kF32, {count_, width_}); }

  void layer(const MpnnLayer& layer, bool is_first) {
    const MessageLayer& m = layer.to_node;
    pass_.dense(m.own, nodes(state_), nodes(own_));
    pass_.dense(m.other, nodes(state_), nodes(seen_));
    // A neighbour that is not decoded yet shows what the encoder made of it; before the first layer all do.
    const float* unseen = seen_;
    if (!is_first) {
      pass_.dense(m.other, nodes(e_ ? e_->nodes.data() : nullptr), nodes(unseen_));
      unseen = unseen_;
    }
    pass_.barrier();
    if (!pass_.measures())
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i) {
        if (present(i)) message(m, i, unseen);
        else std::fill_n(sums_ + i * width_, width_, 0.0F);
      }
    pass_.barrier();
    mpnn_.update_nodes(layer, count_, sums_, n_summed_, state_);
    if (!pass_.measures())
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i)
        if (!present(i)) std::fill_n(state_ + i * width_, width_, 0.0F);
    pass_.barrier();
  }

  void message(const MessageLayer& m, int64_t i, const float* unseen) {
    const NeighbourRows rows = mpnn_.neighbours();
    for (int64_t k = 0; k < k_; ++k) {
      const int32_t j = e_->neighbours[static_cast<size_t>(i * k_ + k)];
      const bool is_seen = ranks_[j] < ranks_[i];
      rows.first[k] = (is_seen ? seen_ : unseen) + j * width_;
      rows.second[k] = m.residues.data() + (is_seen ? tokens_[j] : kProteinTokens) * width_;
    }
    mpnn_.product(m.edge, e_->edges.data() + i * k_ * width_, width_, k_, mpnn_.edge_rows());
    mpnn_.message(m, mpnn_.edge_rows(), width_, own_ + i * width_, rows, k_);
    mpnn_.rows().sum_rows(mpnn_.hidden_rows(), nullptr, k_, width_, sums_ + i * width_);
  }

  void finish() {
    const TensorView logits =
        TensorView::contiguous(log_probabilities_, DType::kF32, {count_, kProteinTokens});
    pass_.dense(s_.out, nodes(state_), logits);
    pass_.barrier();
    if (!pass_.measures())
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i) {
        float* row = log_probabilities_ + i * kProteinTokens;
        log_softmax(row, kProteinTokens, row);
      }
    pass_.barrier();
  }

  const ProteinMpnn::State& s_;
  LayerPass& pass_;
  MpnnPass mpnn_;
  const int64_t count_, k_, width_;
  const BackboneEncoding* e_;
  const int32_t *tokens_, *ranks_;
  float* log_probabilities_;
  float *state_ = nullptr, *own_ = nullptr, *seen_ = nullptr, *unseen_ = nullptr, *sums_ = nullptr,
        *n_summed_ = nullptr;
};

}  // namespace

int64_t ProteinMpnn::scoring_scratch_bytes(int64_t count, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    ScoreWalk(*state_, pass, n_threads, count, nullptr, nullptr, nullptr, nullptr).walk();
  });
}

Status ProteinMpnn::score(const BackboneEncoding& encoding, std::span<const int32_t> tokens,
                          std::span<const int32_t> order, float* log_probabilities,
                          std::span<std::byte> scratch, Executor executor, const StopRequest& stop) const {
  if (!loaded()) return Status(StatusCode::kInvalidArgument, "the network is not loaded");
  if (Status fits = check_tokens(tokens, encoding.count); !fits.ok()) return fits;
  const Result<std::vector<int32_t>> ranks = ranks_of(order, encoding.count);
  if (!ranks.ok()) return ranks.status();
  const uint32_t n_threads = executor.max_threads();
  return LayerPass::run(scratch, scoring_scratch_bytes(encoding.count, n_threads), "ProteinMPNN's decoder's",
                        executor, stop, nullptr, [&](LayerPass& pass) {
                          ScoreWalk(*state_, pass, n_threads, encoding.count, &encoding, tokens.data(),
                                    ranks->data(), log_probabilities)
                              .walk();
                        });
}

}  // namespace weft
