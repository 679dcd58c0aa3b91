#include "kernels/ops/sampling/device_draws.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace weft {
namespace {

int64_t mask_words(int64_t vocabulary) { return (vocabulary + 63) / 64; }

}  // namespace

bool DeviceDraws::add(int32_t row, const SamplingParameters& p, const SamplingInput& input) {
  const bool is_cut = p.top_k > 0 && p.top_k < vocabulary_;
  if (vocabulary_ > kMostSamplingCols) return false;
  if (p.temperature > 0 && p.typical_p < 1 && (is_cut ? p.top_k : vocabulary_) > kMostTypicalCuda)
    return false;
  const size_t n = input.history.size();
  recent_.resize(n), repetitions_.resize(n), of_history_.resize(2 * n);
  of_row_.clear();
  for (const LogitBias& bias : p.logit_bias) of_row_.push_back({bias.token, 1, -bias.bias});
  const auto of_history = logit_changes(p, input.history, vocabulary_, {recent_, repetitions_, of_history_});
  of_row_.insert(of_row_.end(), of_history.begin(), of_history.end());
  if (static_cast<int64_t>(of_row_.size()) > kMostDeviceChanges) return false;
  std::stable_sort(of_row_.begin(), of_row_.end(),
                   [](const LogitChange& a, const LogitChange& b) { return a.token < b.token; });
  SamplingRow& made = rows_.emplace_back();
  made.row = row;
  made.drawn = drawn_number(p.seed, input.step);
  made.least = p.min_p > 0 ? std::log(double{p.min_p}) : -std::numeric_limits<double>::infinity();
  made.temperature = p.temperature;
  made.scale = p.temperature > 0 ? sampling_scale(p.temperature) : 0;
  made.top_k = p.top_k;
  made.top_p = p.top_p;
  made.typical_p = p.typical_p;
  made.first_change = static_cast<int32_t>(changes_.size());
  made.changes = static_cast<int32_t>(of_row_.size());
  changes_.insert(changes_.end(), of_row_.begin(), of_row_.end());
  if (!input.allowed.empty()) {
    const int64_t words = mask_words(vocabulary_);
    made.mask = static_cast<int32_t>(static_cast<int64_t>(masks_.size()) / words);
    masks_.insert(masks_.end(), input.allowed.begin(), input.allowed.end());
    // What a mask that is too short does not name is allowed, as for sample().
    masks_.resize(static_cast<size_t>((made.mask + 1) * words), ~uint64_t{0});
  }
  return true;
}

void DeviceDraws::clear() { rows_.clear(), masks_.clear(), changes_.clear(); }

bool DeviceDraws::draws(int32_t row) const {
  return std::ranges::any_of(rows_, [&](const SamplingRow& r) { return r.row == row; });
}

int64_t DeviceDraws::size_bytes() const {
  return static_cast<int64_t>(rows_.size() * sizeof(SamplingRow) + masks_.size() * sizeof(uint64_t) +
                              changes_.size() * sizeof(LogitChange));
}

int64_t DeviceDraws::most_bytes(int64_t count, int64_t vocabulary) {
  return count * (static_cast<int64_t>(sizeof(SamplingRow)) + mask_words(vocabulary) * 8 +
                  kMostDeviceChanges * static_cast<int64_t>(sizeof(LogitChange)));
}

// Those of 8 bytes first, so that all are aligned.
void DeviceDraws::write(std::byte* to) const {
  const auto put = [&](const auto& values) {
    const size_t size_bytes = values.size() * sizeof(values[0]);
    if (size_bytes > 0) std::memcpy(to, values.data(), size_bytes);
    to += size_bytes;
  };
  put(rows_), put(masks_), put(changes_);
}

SamplingCuda DeviceDraws::at(const std::byte* there, float* logits, int32_t* tokens) const {
  const std::byte* const masks = there + rows_.size() * sizeof(SamplingRow);
  return {.logits = logits,
          .cols = vocabulary_,
          .logits_stride = vocabulary_,
          .rows = reinterpret_cast<const SamplingRow*>(there),
          .changes = reinterpret_cast<const LogitChange*>(masks + masks_.size() * sizeof(uint64_t)),
          .masks = reinterpret_cast<const uint64_t*>(masks),
          .tokens = tokens,
          .count = count()};
}

}  // namespace weft
