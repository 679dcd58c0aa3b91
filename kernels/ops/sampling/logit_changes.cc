#include "kernels/ops/sampling/logit_changes.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

std::span<const int32_t> last(std::span<const int32_t> history, int32_t n) {
  const size_t count = n < 0 ? history.size() : std::min(history.size(), static_cast<size_t>(n));
  return history.last(count);
}

bool in_vocabulary(int32_t token, int64_t vocabulary) { return token >= 0 && token < vocabulary; }

bool is_breaker(const SamplingParameters& p, int32_t token) {
  return std::binary_search(p.dry_breakers.begin(), p.dry_breakers.end(), token);
}

// Returns how many changes there are.
size_t changes_of_seen(const SamplingParameters& p, std::span<const int32_t> history, int64_t vocabulary,
                       const LogitChangeBuffers& buffers, std::span<LogitChange> changes) {
  if (p.repeat_penalty == 1 && p.presence_penalty == 0 && p.frequency_penalty == 0) return 0;
  const std::span<const int32_t> window = last(history, p.penalty_last_n);
  const std::span<int32_t> sorted = buffers.recent.first(window.size());
  std::copy(window.begin(), window.end(), sorted.begin());
  std::sort(sorted.begin(), sorted.end());
  size_t count = 0;
  for (size_t begin = 0, end; begin < sorted.size(); begin = end) {
    end = begin + 1;
    while (end < sorted.size() && sorted[end] == sorted[begin]) ++end;
    if (!in_vocabulary(sorted[begin], vocabulary)) continue;
    const float lowered_by = static_cast<float>(end - begin) * p.frequency_penalty + p.presence_penalty;
    changes[count++] = {sorted[begin], p.repeat_penalty, lowered_by};
  }
  return count;
}

// For each place in the window whose preceding tokens repeat the window's end, the token that followed it there would
// extend the repetition: it is penalised by the length of the longest such match. Match lengths by the Z-algorithm
// on the reversed window, in linear time.
size_t changes_of_repetitions(const SamplingParameters& p, std::span<const int32_t> history,
                              int64_t vocabulary, const LogitChangeBuffers& buffers,
                              std::span<LogitChange> changes) {
  if (p.dry_multiplier == 0) return 0;
  const std::span<const int32_t> window = last(history, p.dry_penalty_last_n);
  const int64_t n = static_cast<int64_t>(window.size());
  const auto reversed = [&](int64_t i) { return window[static_cast<size_t>(n - 1 - i)]; };
  int64_t limit = 0;  // no repetition extends over a breaker
  while (limit < n && !is_breaker(p, reversed(limit))) ++limit;
  const std::span<int32_t> match = buffers.recent.first(window.size());
  size_t found = 0;
  int64_t left = 0, right = 0;
  for (int64_t i = 1; i < n; ++i) {
    int64_t length = i < right ? std::min<int64_t>(right - i, match[static_cast<size_t>(i - left)]) : 0;
    while (i + length < n && reversed(length) == reversed(i + length)) ++length;
    match[static_cast<size_t>(i)] = static_cast<int32_t>(length);
    if (i + length > right) {
      left = i;
      right = i + length;
    }
    const int32_t repeated = static_cast<int32_t>(std::min(length, limit));
    const int32_t next = reversed(i - 1);
    if (repeated >= p.dry_allowed_length && repeated > 0 && !is_breaker(p, next) &&
        in_vocabulary(next, vocabulary))
      buffers.repetitions[found++] = {next, repeated};
  }
  const std::span<Repetition> repetitions = buffers.repetitions.first(found);
  std::sort(repetitions.begin(), repetitions.end(), [](const Repetition& a, const Repetition& b) {
    return a.token != b.token ? a.token < b.token : a.length > b.length;
  });
  size_t count = 0;
  for (size_t i = 0; i < found; ++i) {
    if (i > 0 && repetitions[i].token == repetitions[i - 1].token) continue;
    const double over = repetitions[i].length - p.dry_allowed_length;
    const double penalty = p.dry_multiplier * std::pow(double{p.dry_base}, over);
    // Finite: the token stays possible.
    changes[count++] = {repetitions[i].token, 1, static_cast<float>(std::min(penalty, 1e30))};
  }
  return count;
}

}  // namespace

std::span<const LogitChange> logit_changes(const SamplingParameters& p, std::span<const int32_t> history,
                                           int64_t vocabulary, const LogitChangeBuffers& buffers) {
  const size_t seen = changes_of_seen(p, history, vocabulary, buffers, buffers.changes);
  return buffers.changes.first(
      seen + changes_of_repetitions(p, history, vocabulary, buffers, buffers.changes.subspan(seen)));
}

}  // namespace weft
