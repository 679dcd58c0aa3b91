#include "kernels/ops/sampling/sampling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/ops/sampling/logit_changes.h"
#include "kernels/ops/sampling/sampling_weights.h"
#include "kernels/ops/top_k/top_k.h"

namespace weft {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

using Candidate = RankedValue;  // a logit and its token

// The parts of the workspace; the same arithmetic as sampling_workspace_bytes().
struct Buffers {
  std::span<float> scores;          // [vocabulary]
  std::span<int32_t> places;        // [vocabulary]
  std::span<Candidate> candidates;  // [vocabulary]
  std::span<uint64_t> weights;      // [vocabulary]
  LogitChangeBuffers changes;

  int64_t place(std::byte* base, size_t vocabulary, size_t history) {
    size_t at = 0;
    const auto take = [&](auto& part, size_t count) {
      using Element = typename std::remove_reference_t<decltype(part)>::element_type;
      part = {reinterpret_cast<Element*>(base ? base + at : nullptr), count};
      at += (count * sizeof(Element) + 7) / 8 * 8;
    };
    take(weights, vocabulary);
    take(candidates, vocabulary);
    take(scores, vocabulary);
    take(places, vocabulary);
    take(changes.recent, history);
    take(changes.repetitions, history);
    take(changes.changes, 2 * history);
    return static_cast<int64_t>(at);
  }
};

void copy_allowed(const SamplingInput& input, std::span<float> scores) {
  std::copy(input.logits.begin(), input.logits.end(), scores.begin());
  for (size_t word = 0; word < input.allowed.size(); ++word) {
    if (~input.allowed[word] == 0) continue;
    const size_t begin = word * 64, end = std::min(begin + 64, scores.size());
    for (size_t t = begin; t < end; ++t)
      if ((input.allowed[word] >> (t - begin) & 1) == 0) scores[t] = kForbidden;
  }
}

// The candidates that are possible at all, best first; at most `most` of them.
std::span<Candidate> gather(size_t most, const Buffers& buffers) {
  const std::span<Candidate> best = buffers.candidates.first(most);
  size_t count = top_k(buffers.scores, best);
  while (count > 0 && !(best[count - 1].value > kForbidden)) --count;
  return best.first(count);
}

// The candidates of at least `threshold`, best first.
std::span<Candidate> gather_at_least(float threshold, const Buffers& buffers) {
  const std::span<Candidate> all = buffers.candidates;
  const std::span<int32_t> places = buffers.places;
  // -infinity stands for what is impossible.
  threshold = std::max(threshold, std::numeric_limits<float>::lowest());
  const size_t count = find_at_least(buffers.scores, threshold, places);
  for (size_t i = 0; i < count; ++i) all[i] = {buffers.scores[static_cast<size_t>(places[i])], places[i]};
  std::sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(count), ranks_before);
  return all.first(count);
}

// How much of a sum of weights `share` of it is, rounded up; no nothing.
uint64_t share_of(uint64_t total, double share) {
  return std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(total))));
}
// The least sum of weights, from the best token on, that the drawn number lies below.
uint64_t drawn_of(uint64_t total, double drawn) {
  return static_cast<uint64_t>(drawn * static_cast<double>(total)) + 1;
}

// A threshold above which the weights add up to need(of all), which are *total. Only the best few candidates are looked at one
// by one then, and not the whole vocabulary.
template <typename Need>
float threshold_for(Need need, float temperature, float largest, const Buffers& buffers, uint64_t* total) {
  std::array<float, kWeightLimits> limits = {3, 6, 12};
  for (float& limit : limits) limit = largest - limit * temperature;
  const auto sums = sum_weights(buffers.scores, sampling_scale(temperature), largest, limits);
  *total = sums.back();
  for (size_t i = 0; i < limits.size(); ++i)
    if (sums[i] >= need(*total)) return limits[i];
  return kForbidden;
}

// Into buffers.weights, in the candidates' order; returns their sum. The scores are not needed any more.
uint64_t weigh_candidates(std::span<const Candidate> candidates, float temperature, float largest,
                          const Buffers& buffers) {
  for (size_t i = 0; i < candidates.size(); ++i) buffers.scores[i] = candidates[i].value;
  weigh(buffers.scores.first(candidates.size()), sampling_scale(temperature), largest, buffers.weights);
  uint64_t sum = 0;
  for (const uint64_t weight : buffers.weights.first(candidates.size())) sum += weight;
  return sum;
}

// How many of the weights, from the first on, add up to `need`; all if they do not.
size_t count_to(uint64_t need, std::span<const uint64_t> weights) {
  uint64_t sum = 0;
  size_t count = 0;
  while (count < weights.size() && sum < need) sum += weights[count++];
  return count;
}

// Keeps the tokens whose information is nearest to the entropy, until their probabilities reach typical_p.
std::span<Candidate> keep_typical(float typical_p, std::span<Candidate> candidates, const Buffers& buffers) {
  if (typical_p >= 1 || candidates.size() < 2) return candidates;
  const double largest = candidates[0].value;
  const uint64_t total = weigh_candidates(candidates, 1, candidates[0].value, buffers);
  double moment = 0;
  for (size_t i = 0; i < candidates.size(); ++i)
    moment += static_cast<double>(buffers.weights[i]) * (candidates[i].value - largest);
  // The information less the entropy: the mean of the logits less the logit, without a logarithm.
  const double mean = moment / static_cast<double>(total);
  const auto surprise = [&](const Candidate& c) { return std::abs(c.value - largest - mean); };
  std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    return surprise(a) != surprise(b) ? surprise(a) < surprise(b) : a.place < b.place;
  });
  weigh_candidates(candidates, 1, static_cast<float>(largest), buffers);
  const size_t kept = count_to(share_of(total, typical_p), buffers.weights.first(candidates.size()));
  std::sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(kept), ranks_before);
  return candidates.first(kept);
}

// total: of the weights of all tokens, where `candidates` are only the best of them; 0: they are all.
std::span<Candidate> keep_top_p(float top_p, std::span<Candidate> candidates, uint64_t total,
                                const Buffers& buffers) {
  if (top_p >= 1) return candidates;
  const uint64_t sum = weigh_candidates(candidates, 1, candidates[0].value, buffers);
  const uint64_t need = share_of(total > 0 ? total : sum, top_p);
  return candidates.first(count_to(need, buffers.weights.first(candidates.size())));
}

std::span<Candidate> keep_min_p(float min_p, std::span<Candidate> candidates) {
  if (min_p <= 0) return candidates;
  const double least = candidates[0].value + std::log(double{min_p});
  size_t kept = 1;
  while (kept < candidates.size() && candidates[kept].value >= least) ++kept;
  return candidates.first(kept);
}

// total: as for keep_top_p(), at the temperature.
int32_t draw(const SamplingParameters& p, double drawn, std::span<const Candidate> candidates, uint64_t total,
             const Buffers& buffers) {
  const uint64_t sum = weigh_candidates(candidates, p.temperature, candidates[0].value, buffers);
  uint64_t need = drawn_of(total > 0 ? total : sum, drawn);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (buffers.weights[i] >= need) return candidates[i].place;
    need -= buffers.weights[i];
  }
  return candidates[0].place;  // the product was rounded up to all weights
}

// Without top-k: candidates that can still be drawn, best first, and where these are not all that are possible, the sum of
// all weights that top-p, or else the draw, compares with.
struct Beginning {
  std::span<Candidate> candidates;
  uint64_t top_p_total = 0, draw_total = 0;
};
Beginning gather_beginning(const SamplingParameters& p, double drawn, const Buffers& buffers) {
  Beginning result;
  Candidate best = {kForbidden, -1};
  top_k(buffers.scores, {&best, 1});
  const float largest = best.value;
  float threshold = kForbidden;
  if (std::isinf(largest)) {
    threshold = largest;  // nothing is possible, or infinity alone is
  } else if (p.typical_p >= 1) {
    // A little lower than keep_min_p()'s, which decides in double.
    if (p.min_p > 0)
      threshold = std::nextafter(static_cast<float>(largest + std::log(double{p.min_p})), kForbidden);
    if (p.top_p < 1) {
      const auto need = [&](uint64_t total) { return share_of(total, p.top_p); };
      threshold = std::max(threshold, threshold_for(need, 1, largest, buffers, &result.top_p_total));
    } else if (p.min_p <= 0) {
      const auto need = [&](uint64_t total) { return drawn_of(total, drawn); };
      threshold = threshold_for(need, p.temperature, largest, buffers, &result.draw_total);
    }
  }
  result.candidates = gather_at_least(threshold, buffers);
  return result;
}

// Greedy choice among logits that nothing changes; -1 if none is possible.
int32_t likeliest(std::span<const float> logits) {
  Candidate best = {kForbidden, -1};
  top_k(logits, {&best, 1});
  return best.value > kForbidden ? best.place : -1;
}

bool changes_logits(const SamplingParameters& p, const SamplingInput& input) {
  return !input.allowed.empty() || !p.logit_bias.empty() || p.repeat_penalty != 1 ||
         p.presence_penalty != 0 || p.frequency_penalty != 0 || p.dry_multiplier != 0;
}

Status refuse(const char* name, const char* range, double got) {
  return Status(StatusCode::kInvalidArgument, std::string(name) + " is out of range")
      .expected(range)
      .got(std::to_string(got));
}

}  // namespace

double drawn_number(uint64_t seed, uint64_t step) {
  const PhiloxWords words = philox(seed, step, 0);
  const uint64_t bits = uint64_t{words.word[0]} << 32 | words.word[1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

float sampling_scale(float temperature) {
  return std::min(1 / temperature, std::numeric_limits<float>::max());
}

Status check(const SamplingParameters& p, int64_t vocabulary) {
  const auto within = [](float x, float low, float high) { return x >= low && x <= high; };
  constexpr float kMost = std::numeric_limits<float>::max();
  if (!within(p.temperature, 0, kMost)) return refuse("temperature", "0 or more", p.temperature);
  if (!within(p.top_p, 0, 1)) return refuse("top_p", "0 to 1", p.top_p);
  if (!within(p.min_p, 0, 1)) return refuse("min_p", "0 to 1", p.min_p);
  if (!within(p.typical_p, 0, 1)) return refuse("typical_p", "0 to 1", p.typical_p);
  if (p.penalty_last_n < -1) return refuse("penalty_last_n", "-1 (all), 0 (none) or more", p.penalty_last_n);
  if (!(p.repeat_penalty > 0 && p.repeat_penalty <= kMost))
    return refuse("repeat_penalty", "above 0", p.repeat_penalty);
  if (!within(p.presence_penalty, -kMost, kMost))
    return refuse("presence_penalty", "a finite number", p.presence_penalty);
  if (!within(p.frequency_penalty, -kMost, kMost))
    return refuse("frequency_penalty", "a finite number", p.frequency_penalty);
  if (!within(p.dry_multiplier, 0, kMost)) return refuse("dry_multiplier", "0 or more", p.dry_multiplier);
  if (!within(p.dry_base, 1, kMost)) return refuse("dry_base", "1 or more", p.dry_base);
  if (p.dry_allowed_length < 0) return refuse("dry_allowed_length", "0 or more", p.dry_allowed_length);
  if (p.dry_penalty_last_n < -1)
    return refuse("dry_penalty_last_n", "-1 (all), 0 (none) or more", p.dry_penalty_last_n);
  if (!std::is_sorted(p.dry_breakers.begin(), p.dry_breakers.end()))
    return Status(StatusCode::kInvalidArgument, "dry_breakers must ascend");
  for (const LogitBias& bias : p.logit_bias) {
    if (bias.token < 0 || bias.token >= vocabulary)
      return Status(StatusCode::kInvalidArgument, "logit_bias names a token that the model does not have")
          .expected("0 to " + std::to_string(vocabulary - 1))
          .got(std::to_string(bias.token));
    if (std::isnan(bias.bias)) return refuse("logit_bias", "a number", bias.bias);
  }
  return Status();
}

int64_t sampling_workspace_bytes(int64_t vocabulary, int64_t history_length) {
  Buffers buffers;
  return buffers.place(nullptr, static_cast<size_t>(vocabulary), static_cast<size_t>(history_length));
}

bool takes_largest(const SamplingParameters& p, const SamplingInput& input) {
  return p.temperature == 0 && !changes_logits(p, input);
}

Result<int32_t> sample(const SamplingParameters& p, const SamplingInput& input,
                       std::span<std::byte> workspace) {
  const auto impossible = [] {
    return Status(StatusCode::kInvalidArgument, "no token can be chosen")
        .expected("at least one allowed token with a logit above -infinity");
  };
  if (takes_largest(p, input)) {
    const int32_t token = likeliest(input.logits);
    if (token < 0) return impossible();
    return token;
  }
  Buffers buffers;
  buffers.place(workspace.data(), input.logits.size(), input.history.size());
  copy_allowed(input, buffers.scores);
  for (const LogitBias& bias : p.logit_bias) buffers.scores[static_cast<size_t>(bias.token)] += bias.bias;
  const auto vocabulary = static_cast<int64_t>(buffers.scores.size());
  for (const LogitChange& change : logit_changes(p, input.history, vocabulary, buffers.changes)) {
    float& score = buffers.scores[static_cast<size_t>(change.token)];
    score = changed(score, change);
  }
  const double drawn = drawn_number(p.seed, input.step);
  const int32_t most = p.temperature == 0 ? 1 : p.top_k;
  const bool is_cut = most > 0 && static_cast<size_t>(most) < buffers.scores.size();
  const Beginning beginning =
      is_cut ? Beginning{gather(static_cast<size_t>(most), buffers)} : gather_beginning(p, drawn, buffers);
  std::span<Candidate> candidates = beginning.candidates;
  if (candidates.empty()) return impossible();
  // Infinite logits leave nothing to weigh.
  if (p.temperature == 0 || std::isinf(candidates[0].value)) return candidates[0].place;
  candidates = keep_typical(p.typical_p, candidates, buffers);
  candidates = keep_top_p(p.top_p, candidates, beginning.top_p_total, buffers);
  candidates = keep_min_p(p.min_p, candidates);
  return draw(p, drawn, candidates, beginning.draw_total, buffers);
}

size_t top_logprobs(std::span<const float> logits, double log_sum, std::span<TokenLogprob> top) {
  std::vector<Candidate> best(top.size());
  const size_t count = top_k(logits, best);
  for (size_t i = 0; i < count; ++i)
    top[i] = {best[i].place, static_cast<float>(double{best[i].value} - log_sum)};
  return count;
}

}  // namespace weft
