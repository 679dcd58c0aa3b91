#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "kernels/ops/sampling/sampling.h"

namespace weft {
namespace {

struct Token {
  int32_t id;
  double score;
  double probability;
};
using Tokens = std::vector<Token>;

std::vector<int32_t> last(std::span<const int32_t> history, int32_t n) {
  const size_t count = n < 0 ? history.size() : std::min(history.size(), static_cast<size_t>(n));
  return {history.end() - static_cast<ptrdiff_t>(count), history.end()};
}

void penalize_seen(const SamplingParameters& p, std::span<const int32_t> history,
                   std::vector<float>& scores) {
  std::map<int32_t, int> seen;
  for (const int32_t token : last(history, p.penalty_last_n)) ++seen[token];
  for (const auto& [token, count] : seen) {
    if (token < 0 || token >= static_cast<int32_t>(scores.size())) continue;
    float& score = scores[static_cast<size_t>(token)];
    score = score > 0 ? score / p.repeat_penalty : score * p.repeat_penalty;
    score -= static_cast<float>(count) * p.frequency_penalty + p.presence_penalty;
  }
}

// The longest match of the tokens before each place with the end of the window, by comparing them all.
void penalize_repetitions(const SamplingParameters& p, std::span<const int32_t> history,
                          std::vector<float>& scores) {
  if (p.dry_multiplier == 0) return;
  const std::vector<int32_t> window = last(history, p.dry_penalty_last_n);
  const auto breaks = [&](int32_t token) { return std::ranges::count(p.dry_breakers, token) > 0; };
  const size_t n = window.size();
  std::map<int32_t, int32_t> longest;
  for (size_t place = 1; place < n; ++place) {
    size_t length = 0;
    while (length < place && window[place - 1 - length] == window[n - 1 - length] &&
           !breaks(window[n - 1 - length]))
      ++length;
    int32_t& most = longest[window[place]];
    most = std::max(most, static_cast<int32_t>(length));
  }
  for (const auto& [token, length] : longest) {
    if (length == 0 || length < p.dry_allowed_length || breaks(token)) continue;
    if (token < 0 || token >= static_cast<int32_t>(scores.size())) continue;
    const double penalty = p.dry_multiplier * std::pow(double{p.dry_base}, length - p.dry_allowed_length);
    scores[static_cast<size_t>(token)] -= static_cast<float>(std::min(penalty, 1e30));
  }
}

void sort_by_score(Tokens& tokens) {
  std::ranges::sort(tokens, [](const Token& a, const Token& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });
}

// Sets the probabilities: softmax(scores / temperature).
void soften(double temperature, Tokens& tokens) {
  double sum = 0;
  for (Token& t : tokens) sum += t.probability = std::exp((t.score - tokens[0].score) / temperature);
  for (Token& t : tokens) t.probability /= sum;
}

// Keeps tokens from the front until their probabilities reach `least`.
void keep_until(double least, Tokens& tokens) {
  double sum = 0;
  size_t kept = 0;
  while (kept < tokens.size() && (kept == 0 || sum < least)) sum += tokens[kept++].probability;
  tokens.resize(kept);
}

void keep_typical(double typical_p, Tokens& tokens) {
  if (typical_p >= 1) return;
  soften(1, tokens);
  double entropy = 0;
  for (const Token& t : tokens)
    if (t.probability > 0) entropy -= t.probability * std::log(t.probability);
  const double log_sum = tokens[0].score - std::log(tokens[0].probability);
  const auto surprise = [&](const Token& t) { return std::abs(log_sum - t.score - entropy); };
  std::ranges::sort(tokens, [&](const Token& a, const Token& b) {
    return surprise(a) != surprise(b) ? surprise(a) < surprise(b) : a.id < b.id;
  });
  keep_until(typical_p, tokens);
  sort_by_score(tokens);
}

void keep_min_p(double min_p, Tokens& tokens) {
  if (min_p <= 0) return;
  const double least = tokens[0].score + std::log(min_p);
  std::erase_if(tokens, [&](const Token& t) { return &t != tokens.data() && t.score < least; });
}

int32_t draw(const SamplingParameters& p, uint64_t step, Tokens& tokens) {
  soften(p.temperature, tokens);
  const PhiloxWords words = philox(p.seed, step, 0);
  const uint64_t bits = uint64_t{words.word[0]} << 32 | words.word[1];
  double left = static_cast<double>(bits >> 11) * 0x1p-53;
  for (const Token& t : tokens) {
    left -= t.probability;
    if (left < 0) return t.id;
  }
  return tokens[0].id;
}

}  // namespace

Result<int32_t> sample_reference(const SamplingParameters& p, const SamplingInput& input) {
  std::vector<float> scores(input.logits.begin(), input.logits.end());
  constexpr float kForbidden = -std::numeric_limits<float>::infinity();
  for (size_t t = 0; t < scores.size(); ++t)
    if (!input.allowed.empty() && (input.allowed[t / 64] >> (t % 64) & 1) == 0) scores[t] = kForbidden;
  for (const LogitBias& bias : p.logit_bias) scores[static_cast<size_t>(bias.token)] += bias.bias;
  penalize_seen(p, input.history, scores);
  penalize_repetitions(p, input.history, scores);

  Tokens tokens;
  for (size_t t = 0; t < scores.size(); ++t)
    if (scores[t] > kForbidden) tokens.push_back({static_cast<int32_t>(t), scores[t], 0});
  if (tokens.empty()) return Status(StatusCode::kInvalidArgument, "no token can be chosen");
  sort_by_score(tokens);
  if (p.temperature == 0 || std::isinf(tokens[0].score)) return tokens[0].id;
  if (p.top_k > 0 && static_cast<size_t>(p.top_k) < tokens.size())
    tokens.resize(static_cast<size_t>(p.top_k));
  keep_typical(p.typical_p, tokens);
  soften(1, tokens);
  if (p.top_p < 1) keep_until(p.top_p, tokens);
  keep_min_p(p.min_p, tokens);
  return draw(p, input.step, tokens);
}

}  // namespace weft
