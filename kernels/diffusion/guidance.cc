#include "kernels/diffusion/guidance.h"

#include <cmath>
#include <cstddef>

namespace weft::diffusion {
namespace {

template <typename At>
double deviation(size_t count, At&& at) {
  if (count < 2) return 0;
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += at(i);
  const double mean = sum / static_cast<double>(count);
  double squares = 0;
  for (size_t i = 0; i < count; ++i) squares += (at(i) - mean) * (at(i) - mean);
  return std::sqrt(squares / static_cast<double>(count - 1));
}

}  // namespace

void guide(double scale, double rescale, std::span<const float> with, std::span<const float> without,
           std::span<float> output) {
  const auto guided = [&](size_t i) -> double {
    return without[i] + scale * (static_cast<double>(with[i]) - without[i]);
  };
  double factor = 1;
  if (rescale > 0) {
    const double wanted = deviation(with.size(), [&](size_t i) -> double { return with[i]; });
    const double got = deviation(with.size(), guided);
    if (got > 0) factor = rescale * wanted / got + (1 - rescale);
  }
  for (size_t i = 0; i < output.size(); ++i) output[i] = static_cast<float>(factor * guided(i));
}

}  // namespace weft::diffusion
