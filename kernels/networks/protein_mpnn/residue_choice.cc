#include "kernels/networks/protein_mpnn/residue_choice.h"

#include <algorithm>
#include <cmath>

#include "kernels/networks/protein_mpnn/protein_mpnn.h"
#include "kernels/ops/sampling/sampling.h"

namespace weft {

void log_softmax(const float* x, int64_t n, float* y) {
  const float largest = *std::max_element(x, x + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i] - largest));
  const auto log_sum = static_cast<float>(std::log(sum));
  for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - largest) - log_sum;
}

int32_t choose_residue(const float* logits, const float* bias, float temperature, uint64_t seed,
                       uint64_t position, float* probabilities) {
  float biased[kProteinTokens];
  for (int32_t t = 0; t < kProteinTokens; ++t) biased[t] = logits[t] + bias[t];
  const auto likeliest = static_cast<int32_t>(std::max_element(biased, biased + kProteinTokens) - biased);
  if (temperature == 0) {
    std::fill_n(probabilities, kProteinTokens, 0.0F);
    probabilities[likeliest] = 1;
    return likeliest;
  }
  double sum = 0, weights[kProteinTokens];
  for (int32_t t = 0; t < kProteinTokens; ++t) {
    weights[t] =
        std::exp(static_cast<double>(biased[t] - biased[likeliest]) / static_cast<double>(temperature));
    sum += weights[t];
  }
  const PhiloxWords words = philox(seed, position, 0);
  const double drawn = (static_cast<double>(words.word[0]) + 0.5) / 4294967296.0 * sum;
  int32_t chosen = likeliest;
  double reached = 0;
  bool found = false;
  for (int32_t t = 0; t < kProteinTokens; ++t) {
    probabilities[t] = static_cast<float>(weights[t] / sum);
    reached += weights[t];
    if (!found && reached > drawn && weights[t] > 0) {
      chosen = t;
      found = true;
    }
  }
  return chosen;
}

}  // namespace weft
