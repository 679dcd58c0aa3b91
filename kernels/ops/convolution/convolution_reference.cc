#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/gemm/dense_pack.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

/// u at a pixel that may lie in the padding.
float input_at(const Convolution& c, int64_t image, int64_t row, int64_t col, int64_t channel) {
  const int64_t factor = c.upsample == Upsample::kNone ? 1 : 2;
  if (row < 0 || col < 0 || row >= factor * c.x.shape[1] || col >= factor * c.x.shape[2]) return 0;
  const bool second = channel >= c.x.shape[3];
  const TensorView& v = second ? c.skip : c.x;
  const int64_t at = image * v.strides[0] + row / factor * v.strides[1] + col / factor * v.strides[2];
  float value = load_element(v.data, v.dtype, at + (second ? channel - c.x.shape[3] : channel));
  if (c.in_scale != nullptr) {
    const int64_t i = image * c.w.shape.in_channels + channel;
    value = static_cast<float>(double{value} * c.in_scale[i] + c.in_shift[i]);
  }
  if (c.in_activation) activation_reference(*c.in_activation, &value, nullptr, 1);
  return rounded_to(c.w.shape.compute, value);
}

double sum_at(const Convolution& c, WeightFormat format, const void* weights, int64_t image, int64_t oy,
              int64_t ox, int64_t o) {
  const ConvolutionShape& s = c.w.shape;
  double sum = 0;
  int64_t index = o * s.in_channels * s.kernel_h * s.kernel_w;
  for (int64_t channel = 0; channel < s.in_channels; ++channel) {
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx, ++index) {
        const float w = dense::read_weight(format, weights, index);
        sum += double{input_at(c, image, oy * c.stride - c.pad_top + ky, ox * c.stride - c.pad_left + kx,
                               channel)} *
               rounded_to(s.compute, w);
      }
    }
  }
  return sum;
}

}  // namespace

void convolution_reference(const Convolution& c, WeightFormat format, const void* weights) {
  const TensorView& y = c.y;
  for (int64_t image = 0; image < y.shape[0]; ++image) {
    for (int64_t oy = 0; oy < y.shape[1]; ++oy) {
      for (int64_t ox = 0; ox < y.shape[2]; ++ox) {
        for (int64_t o = 0; o < y.shape[3]; ++o) {
          double sum = sum_at(c, format, weights, image, oy, ox, o);
          if (c.bias != nullptr) sum += c.bias[o];
          if (c.image_bias != nullptr) sum += c.image_bias[image * y.shape[3] + o];
          float value = static_cast<float>(sum);
          if (c.activation) activation_reference(*c.activation, &value, nullptr, 1);
          if (c.residual.rank != 0) {
            const TensorView& r = c.residual;
            value += load_element(r.data, r.dtype,
                                  image * r.strides[0] + oy * r.strides[1] + ox * r.strides[2] + o);
          }
          store_element(y.data, y.dtype, image * y.strides[0] + oy * y.strides[1] + ox * y.strides[2] + o,
                        value);
        }
      }
    }
  }
}

}  // namespace weft
