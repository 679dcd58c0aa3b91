#include <cmath>

#include "kernels/ops/group_norm/group_norm.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

/// Channel c of x and skip together.
float element(const GroupNorm& g, int64_t image, int64_t i, int64_t j, int64_t c) {
  const bool second = c >= g.x.shape[3];
  const TensorView& v = second ? g.skip : g.x;
  const int64_t at =
      image * v.strides[0] + i * v.strides[1] + j * v.strides[2] + (second ? c - g.x.shape[3] : c);
  return load_element(v.data, v.dtype, at);
}

/// Calls visit(i, j, c) for every element of a group of an image.
template <typename Visit>
void for_group(const GroupNorm& g, int64_t first, int64_t last, const Visit& visit) {
  for (int64_t i = 0; i < g.x.shape[1]; ++i) {
    for (int64_t j = 0; j < g.x.shape[2]; ++j) {
      for (int64_t c = first; c < last; ++c) visit(i, j, c);
    }
  }
}

}  // namespace

void group_norm_reference(const GroupNorm& g, std::optional<Activation> f, const TensorView& y) {
  const int64_t channels = g.x.shape[3] + (g.skip.rank ? g.skip.shape[3] : 0),
                per_group = channels / g.groups;
  for (int64_t image = 0; image < g.x.shape[0]; ++image) {
    for (int64_t first = 0; first < channels; first += per_group) {
      const double count = static_cast<double>(g.x.shape[1] * g.x.shape[2] * per_group);
      double sum = 0, squares = 0;
      for_group(g, first, first + per_group,
                [&](int64_t i, int64_t j, int64_t c) { sum += element(g, image, i, j, c); });
      const double mean = sum / count;
      for_group(g, first, first + per_group, [&](int64_t i, int64_t j, int64_t c) {
        const double d = element(g, image, i, j, c) - mean;
        squares += d * d;
      });
      const double inverse = 1 / std::sqrt(squares / count + g.epsilon);
      for (int64_t c = first; c < first + per_group; ++c) {
        const double scale = inverse * (g.weight ? g.weight[c] : 1);
        g.scale[image * channels + c] = static_cast<float>(scale);
        g.shift[image * channels + c] = static_cast<float>((g.bias ? g.bias[c] : 0) - mean * scale);
      }
      if (y.rank == 0) continue;
      for_group(g, first, first + per_group, [&](int64_t i, int64_t j, int64_t c) {
        float value =
            static_cast<float>((element(g, image, i, j, c) - mean) * inverse * (g.weight ? g.weight[c] : 1) +
                               (g.bias ? g.bias[c] : 0));
        if (f) activation_reference(*f, &value, nullptr, 1);
        store_element(y.data, y.dtype, image * y.strides[0] + i * y.strides[1] + j * y.strides[2] + c, value);
      });
    }
  }
}

}  // namespace weft
