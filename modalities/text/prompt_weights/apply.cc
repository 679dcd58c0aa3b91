#include "modalities/text/prompt_weights/apply.h"

#include <cstddef>

namespace weft {
namespace {

double mean_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

}  // namespace

void apply_weights(WeightInterpretation interpretation, std::span<float> hidden,
                   std::span<const float> weights, std::span<const float> empty, int64_t width) {
  const auto columns = static_cast<size_t>(width);
  if (interpretation == WeightInterpretation::kFromEmpty) {
    for (size_t i = 0; i < hidden.size(); ++i) {
      const float weight = weights[i / columns];
      if (weight == 1) continue;
      const float base = empty[i % empty.size()];
      hidden[i] = (hidden[i] - base) * weight + base;
    }
    return;
  }
  const double before = mean_of(hidden);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] *= weights[i / columns];
  const double after = mean_of(hidden);
  if (after == 0) return;
  const auto scale = static_cast<float>(before / after);
  for (float& value : hidden) value *= scale;
}

}  // namespace weft
