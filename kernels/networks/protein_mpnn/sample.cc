// Sampling: sequences side by side, and of each the positions that can be decoded next. One team of threads walks all of it.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "kernels/networks/protein_mpnn/decoding_schedule.h"
#include "kernels/networks/protein_mpnn/mpnn_pass.h"
#include "kernels/networks/protein_mpnn/residue_choice.h"

namespace weft {
namespace {

// Positions that are decoded in one step, of all sequences together: what memory is taken for.
constexpr int64_t kMostItems = 256;
// A position's neighbours are summed in so many parts, which threads share; the parts are added in order.
constexpr int64_t kParts = 2;
constexpr int32_t kNotYet = kProteinTokens;  // the row of residues that adds nothing

struct Item {
  int32_t sequence, position;
};

struct SampleJob {
  const BackboneEncoding* encoding = nullptr;
  const SequenceDesign* design = nullptr;
  std::span<const SampledSequence> sequences;
  std::vector<DecodingSchedule> schedules;
  std::vector<std::vector<Item>> steps;
  std::vector<int32_t> seen;  // [sequences, count]: residues as neighbours see them
};

class SampleWalk {
 public:
  /// job null: measures.
  SampleWalk(const ProteinMpnn::State& s, LayerPass& pass, uint32_t max_threads, int64_t count,
             int64_t n_sequences, SampleJob* job)
      : s_(s),
        pass_(pass),
        mpnn_(pass, max_threads, s.width(), s.neighbours_of(count), s.width()),
        count_(count),
        k_(s.neighbours_of(count)),
        width_(s.width()),
        n_sequences_(n_sequences),
        n_layers_(s.config.n_decoder_layers),
        job_(job) {}

  void walk() {
    take();
    prepare();
    for (size_t step = 0; job_ != nullptr ? step < job_->steps.size() : step < 1; ++step) {
      if (pass_.stopped()) return;
      decode(job_ ? std::span<const Item>(job_->steps[step]) : std::span<const Item>());
    }
    for (const float* memory : {edges_, own_, unseen_, seen_, logits_kept_, state_, items_own_, items_other_,
                                parts_, sums_, n_summed_, logits_})
      pass_.give(memory);
  }

 private:
  void take() {
    edges_ = pass_.take_floats(n_layers_ * count_ * k_ * width_);
    own_ = pass_.take_floats(count_ * width_);
    unseen_ = pass_.take_floats(n_layers_ * count_ * width_);
    seen_ = pass_.take_floats(n_sequences_ * n_layers_ * count_ * width_);
    logits_kept_ = pass_.take_floats(n_sequences_ * count_ * kProteinTokens);
    for (float** memory : {&state_, &items_own_, &items_other_, &sums_})
      *memory = pass_.take_floats(kMostItems * width_);
    parts_ = pass_.take_floats(kMostItems * kParts * width_);
    n_summed_ = pass_.take_floats(kMostItems);
    logits_ = pass_.take_floats(kMostItems * kProteinTokens);
  }

  bool present(int64_t i) const { return job_->encoding->present[static_cast<size_t>(i)] != 0; }
  const MessageLayer& message_layer(int64_t l) const { return s_.decoder[static_cast<size_t>(l)].to_node; }
  TensorView rows(const float* x, int64_t n) const {
    return TensorView::contiguous(x, DType::kF32, {n, width_});
  }
  float* edges_of(int64_t l, int64_t i) const { return edges_ + (l * count_ + i) * k_ * width_; }
  float* unseen_of(int64_t l) const { return unseen_ + l * count_ * width_; }
  float* seen_of(int64_t l, int64_t sequence) const {
    return seen_ + (sequence * n_layers_ + l) * count_ * width_;
  }

  // What no residue changes: the edges' part of every first linear, and what positions show that are not decoded yet.
  void prepare() {
    const float* nodes = job_ != nullptr ? job_->encoding->nodes.data() : nullptr;
    for (int64_t l = 0; l < n_layers_; ++l)
      pass_.dense(message_layer(l).other, rows(nodes, count_), rows(unseen_of(l), count_));
    pass_.dense(message_layer(0).own, rows(nodes, count_), rows(own_, count_));
    if (!pass_.measures()) {
      for (int64_t i = pass_.begin(count_); i < pass_.end(count_); ++i)
        for (int64_t l = 0; l < n_layers_ && present(i); ++l)
          mpnn_.product(message_layer(l).edge, job_->encoding->edges.data() + i * k_ * width_, width_, k_,
                        edges_of(l, i));
      for (int64_t n = pass_.begin(kMostItems); n < pass_.end(kMostItems); ++n)
        n_summed_[n] = static_cast<float>(k_);
      // What is decoded without atoms shows nothing but its residue.
      const int64_t all = n_sequences_ * n_layers_ * count_;
      for (int64_t n = pass_.begin(all); n < pass_.end(all); ++n)
        if (!present(n % count_)) std::fill_n(seen_ + n * width_, width_, 0.0F);
    }
    pass_.barrier();
  }

  void decode(std::span<const Item> items) {
    const int64_t n = job_ != nullptr ? static_cast<int64_t>(items.size()) : kMostItems;
    each(n, [&](int64_t m) {
      const int64_t i = items[static_cast<size_t>(m)].position;
      std::copy_n(job_->encoding->nodes.data() + i * width_, width_, state_ + m * width_);
      std::copy_n(own_ + i * width_, width_, items_own_ + m * width_);
    });
    for (int64_t l = 0; l < n_layers_; ++l) {
      if (l > 0) pass_.dense(message_layer(l).own, rows(state_, n), rows(items_own_, n));
      pass_.barrier();
      each(n * kParts, [&](int64_t unit) { message(l, items[static_cast<size_t>(unit / kParts)], unit); });
      pass_.barrier();
      each(n, [&](int64_t m) {
        mpnn_.rows().sum_rows(parts_ + m * kParts * width_, nullptr, kParts, width_, sums_ + m * width_);
      });
      mpnn_.update_nodes(s_.decoder[static_cast<size_t>(l)], n, sums_, n_summed_, state_);
      if (l + 1 < n_layers_) show(l + 1, items, n);
    }
    pass_.dense(s_.out, rows(state_, n), TensorView::contiguous(logits_, DType::kF32, {n, kProteinTokens}));
    pass_.barrier();
    if (!pass_.measures() && pass_.thread() == 0)
      for (int64_t m = 0; m < n; ++m) choose(items[static_cast<size_t>(m)], logits_ + m * kProteinTokens);
    pass_.barrier();
  }

  template <typename Body>
  void each(int64_t n, Body&& body) {
    if (pass_.measures()) return;
    for (int64_t i = pass_.begin(n); i < pass_.end(n); ++i) body(i);
  }

  // One part of a position's message: some of its neighbours.
  void message(int64_t l, const Item& item, int64_t unit) {
    const DecodingSchedule& schedule = job_->schedules[static_cast<size_t>(item.sequence)];
    const int32_t* residues = job_->seen.data() + item.sequence * count_;
    const int64_t i = item.position, part = unit % kParts;
    const int64_t begin = k_ * part / kParts, end = k_ * (part + 1) / kParts;
    const NeighbourRows neighbours = mpnn_.neighbours();
    const MessageLayer& m = message_layer(l);
    const int32_t rank = schedule.ranks[static_cast<size_t>(i)];
    for (int64_t k = begin; k < end; ++k) {
      const int32_t j = job_->encoding->neighbours[static_cast<size_t>(i * k_ + k)];
      const bool is_seen = schedule.ranks[static_cast<size_t>(j)] < rank;
      const float* shown = is_seen && l > 0 ? seen_of(l, item.sequence) : unseen_of(l);
      neighbours.first[k - begin] = shown + j * width_;
      neighbours.second[k - begin] = m.residues.data() + (is_seen ? residues[j] : kNotYet) * width_;
    }
    mpnn_.message(m, edges_of(l, i) + begin * width_, width_, items_own_ + unit / kParts * width_, neighbours,
                  end - begin);
    mpnn_.rows().sum_rows(mpnn_.hidden_rows(), nullptr, end - begin, width_, parts_ + unit * width_);
  }

  // What the items' states look like to those that see them in layer l.
  void show(int64_t l, std::span<const Item> items, int64_t n) {
    pass_.dense(message_layer(l).other, rows(state_, n), rows(items_other_, n));
    pass_.barrier();
    each(n, [&](int64_t m) {
      const Item& item = items[static_cast<size_t>(m)];
      std::copy_n(items_other_ + m * width_, width_, seen_of(l, item.sequence) + item.position * width_);
    });
  }

  void choose(const Item& item, const float* logits) {
    const DecodingSchedule& schedule = job_->schedules[static_cast<size_t>(item.sequence)];
    const SampledSequence& sequence = job_->sequences[static_cast<size_t>(item.sequence)];
    const auto position = static_cast<size_t>(item.position);
    const int32_t group = schedule.group[position];
    float* kept = logits_kept_ + item.sequence * count_ * kProteinTokens;
    std::copy_n(logits, kProteinTokens, kept + item.position * kProteinTokens);
    if (schedule.closes[position] == 0) return;
    float mean[kProteinTokens];
    std::copy_n(logits, kProteinTokens, mean);
    if (group >= 0) {
      const std::vector<int32_t>& members = job_->design->groups[static_cast<size_t>(group)];
      for (int32_t t = 0; t < kProteinTokens; ++t) {
        mean[t] = 0;
        for (const int32_t i : members)
          mean[t] += kept[i * kProteinTokens + t] / static_cast<float>(members.size());
      }
    }
    float probabilities[kProteinTokens] = {};
    int32_t chosen = job_->design->given[position];
    if (job_->design->designed[position] != 0)
      chosen = choose_residue(mean, job_->design->bias.data() + position * kProteinTokens,
                              job_->design->temperature, sequence.seed, position, probabilities);
    const auto set = [&](int32_t i) {
      sequence.tokens[i] = chosen;
      job_->seen[static_cast<size_t>(item.sequence * count_ + i)] = chosen;
      if (sequence.probabilities != nullptr)
        std::copy_n(probabilities, kProteinTokens, sequence.probabilities + i * kProteinTokens);
    };
    if (group < 0) set(item.position);
    else
      std::for_each(job_->design->groups[static_cast<size_t>(group)].begin(),
                    job_->design->groups[static_cast<size_t>(group)].end(), set);
  }

  const ProteinMpnn::State& s_;
  LayerPass& pass_;
  MpnnPass mpnn_;
  const int64_t count_, k_, width_, n_sequences_, n_layers_;
  SampleJob* job_;
  float *edges_ = nullptr, *own_ = nullptr, *unseen_ = nullptr, *seen_ = nullptr, *logits_kept_ = nullptr;
  // Of the items of a step:
  float *state_ = nullptr, *items_own_ = nullptr, *items_other_ = nullptr, *parts_ = nullptr,
        *sums_ = nullptr, *n_summed_ = nullptr, *logits_ = nullptr;
};

// Waves of all sequences, joined wave by wave and cut into steps.
std::vector<std::vector<Item>> steps_of(const std::vector<DecodingSchedule>& schedules) {
  std::vector<std::vector<Item>> steps;
  size_t n_waves = 0;
  for (const DecodingSchedule& schedule : schedules) n_waves = std::max(n_waves, schedule.waves.size());
  for (size_t wave = 0; wave < n_waves; ++wave) {
    std::vector<Item> step;
    for (size_t s = 0; s < schedules.size(); ++s) {
      if (wave >= schedules[s].waves.size()) continue;
      for (const int32_t position : schedules[s].waves[wave]) {
        step.push_back({static_cast<int32_t>(s), position});
        if (static_cast<int64_t>(step.size()) == kMostItems) steps.push_back(std::exchange(step, {}));
      }
    }
    if (!step.empty()) steps.push_back(std::move(step));
  }
  return steps;
}

Status check_design(const SequenceDesign& design, int64_t count) {
  if (Status fits = check_tokens(design.given, count); !fits.ok()) return fits;
  if (static_cast<int64_t>(design.designed.size()) != count ||
      static_cast<int64_t>(design.bias.size()) != count * kProteinTokens)
    return Status(StatusCode::kInvalidArgument, "the parts of a design have other lengths than the backbone");
  if (!(design.temperature >= 0) || std::isinf(design.temperature))
    return Status(StatusCode::kInvalidArgument, "the temperature is not a number from 0 on");
  for (int64_t i = 0; i < count; ++i) {
    const float* bias = design.bias.data() + i * kProteinTokens;
    if (!std::any_of(bias, bias + kProteinTokens, [](float b) { return std::isfinite(b); }) ||
        std::any_of(bias, bias + kProteinTokens, [](float b) { return std::isnan(b) || b == INFINITY; }))
      return Status(StatusCode::kInvalidArgument,
                    "every residue is forbidden at a position, or a bias is no number")
          .at("position " + std::to_string(i));
  }
  return {};
}

}  // namespace

int64_t ProteinMpnn::sampling_scratch_bytes(int64_t count, int64_t n_sequences, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    SampleWalk(*state_, pass, n_threads, count, n_sequences, nullptr).walk();
  });
}

Status ProteinMpnn::sample(const BackboneEncoding& encoding, const SequenceDesign& design,
                           std::span<const SampledSequence> sequences, std::span<std::byte> scratch,
                           Executor executor, const StopRequest& stop) const {
  if (!loaded()) return Status(StatusCode::kInvalidArgument, "the network is not loaded");
  if (Status fits = check_design(design, encoding.count); !fits.ok()) return fits;
  SampleJob job{&encoding, &design, sequences, {}, {}, {}};
  for (const SampledSequence& sequence : sequences) {
    Result<DecodingSchedule> schedule = schedule_decoding(encoding, design, sequence.order);
    if (!schedule.ok()) return schedule.status();
    job.schedules.push_back(*std::move(schedule));
    std::copy(design.given.begin(), design.given.end(), sequence.tokens);
    if (sequence.probabilities != nullptr)
      std::fill_n(sequence.probabilities, encoding.count * kProteinTokens, 0.0F);
    for (size_t i = 0; i < design.given.size(); ++i)
      job.seen.push_back(encoding.present[i] != 0 ? kNotYet : design.given[i]);
  }
  job.steps = steps_of(job.schedules);
  const auto n = static_cast<int64_t>(sequences.size());
  const uint32_t n_threads = executor.max_threads();
  return LayerPass::run(scratch, sampling_scratch_bytes(encoding.count, n, n_threads),
                        "ProteinMPNN's sampler's", executor, stop, nullptr, [&](LayerPass& pass) {
                          SampleWalk(*state_, pass, n_threads, encoding.count, n, &job).walk();
                        });
}

}  // namespace weft
