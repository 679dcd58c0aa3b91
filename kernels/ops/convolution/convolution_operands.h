/// A convolution's operands with random values, as a device takes them, and what the definition gives; for tests.
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_OPERANDS_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_OPERANDS_H

#include <optional>
#include <string>
#include <vector>

#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/convolution/convolution_cuda.h"
#include "kernels/simt/device.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"

namespace weft::testing {

struct ConvolutionCase {
  DType dtype, y_dtype;
  int64_t images, h, w, channels, skip, out, kernel, stride, pad_before, pad_after;
  bool upsample, image_bias, residual;
  std::optional<Activation> activation;

  Upsample repeats() const { return upsample ? Upsample::kNearest2x : Upsample::kNone; }
  int64_t out_h() const { return convolution_extent(h, repeats(), kernel, stride, pad_before, pad_after); }
  int64_t out_w() const { return convolution_extent(w, repeats(), kernel, stride, pad_before, pad_after); }
  int64_t outputs() const { return images * out_h() * out_w() * out; }
  std::string name() const {
    return std::to_string(h) + "x" + std::to_string(w) + "x" + std::to_string(channels) + "And" +
           std::to_string(skip) + "To" + std::to_string(out) + "Bytes" + std::to_string(size_bytes(dtype));
  }
};

struct ConvolutionOperands {
  explicit ConvolutionOperands(const ConvolutionCase& which)
      : c(which),
        x(encoded(c.dtype, random_normal(c.images * c.h * c.w * c.channels, 1))),
        skip(encoded(c.dtype, random_normal(c.images * c.h * c.w * c.skip, 2))),
        residual(encoded(c.y_dtype, random_normal(c.outputs(), 3))),
        weights(encoded(c.dtype, random_normal(c.out * taps() * (c.channels + c.skip), 4))),
        bias(random_normal(c.out, 5)),
        image_bias(random_normal(c.images * c.out, 6)) {}

  const ConvolutionCase c;
  const std::vector<uint8_t> x, skip, residual;  // residual: what y begins as
  const std::vector<uint8_t> weights;            // [out][taps][channels]
  const std::vector<float> bias, image_bias;

  /// Without pointers. how: tiling and engine are taken from it.
  ConvolutionCuda call(const ConvolutionCuda& how) const {
    return {.dtype = c.dtype,
            .images = c.images,
            .h = c.h,
            .w = c.w,
            .channels = c.channels,
            .skip_channels = c.skip,
            .repeated_h = c.upsample ? 2 * c.h : 0,
            .repeated_w = c.upsample ? 2 * c.w : 0,
            .out_channels = c.out,
            .kernel_h = c.kernel,
            .kernel_w = c.kernel,
            .stride = c.stride,
            .pad_top = c.pad_before,
            .pad_left = c.pad_before,
            .out_h = c.out_h(),
            .out_w = c.out_w(),
            .activation = c.activation,
            .y_dtype = c.y_dtype,
            .tiling = how.tiling,
            .engine = how.engine};
  }

  std::vector<float> reference() const {
    const std::vector<float> in = decoded(c.dtype, x), more = decoded(c.dtype, skip),
                             added = decoded(c.y_dtype, residual), by_channels = weights_by_channels();
    std::vector<float> want(static_cast<size_t>(c.outputs()));
    const auto outputs = [&](const float* values) {
      return TensorView::contiguous(values, DType::kF32, {c.images, c.out_h(), c.out_w(), c.out});
    };
    Convolution host;
    host.x = TensorView::contiguous(in.data(), DType::kF32, {c.images, c.h, c.w, c.channels});
    if (c.skip > 0)
      host.skip = TensorView::contiguous(more.data(), DType::kF32, {c.images, c.h, c.w, c.skip});
    host.upsample = c.repeats();
    host.w.shape = {.out_channels = c.out,
                    .in_channels = c.channels + c.skip,
                    .kernel_h = c.kernel,
                    .kernel_w = c.kernel};
    host.stride = c.stride;
    host.pad_top = host.pad_left = c.pad_before;
    host.pad_bottom = host.pad_right = c.pad_after;
    host.bias = bias.data();
    host.image_bias = c.image_bias ? image_bias.data() : nullptr;
    host.activation = c.activation;
    if (c.residual) host.residual = outputs(added.data());
    host.y = outputs(want.data());
    convolution_reference(host, WeightFormat::kF32, by_channels.data());
    return want;
  }

 private:
  int64_t taps() const { return c.kernel * c.kernel; }
  /// [out][channels][taps], as the definition has them.
  std::vector<float> weights_by_channels() const {
    const std::vector<float> by_taps = decoded(c.dtype, weights);
    const int64_t all = c.channels + c.skip;
    std::vector<float> turned;
    for (int64_t o = 0; o < c.out; ++o)
      for (int64_t channel = 0; channel < all; ++channel)
        for (int64_t tap = 0; tap < taps(); ++tap)
          turned.push_back(by_taps[static_cast<size_t>((o * taps() + tap) * all + channel)]);
    return turned;
  }
};

/// The operands on the device that runs kernels on the CPU; y begins as the residual.
struct SimtConvolution {
  SimtConvolution(const ConvolutionOperands& o, simt::Device& device, const ConvolutionCuda& how)
      : x(device, "x", o.x),
        skip(device, "skip", o.skip),
        weights(device, "w", o.weights),
        y(device, "y", o.residual),
        bias(device, "bias", o.bias),
        image_bias(device, "image_bias", o.image_bias),
        workspace(device, "workspace",
                  std::vector<float>(static_cast<size_t>(convolution_cuda_workspace(o.call(how))))),
        call(o.call(how)) {
    call.x = x.data(), call.skip = o.c.skip > 0 ? skip.data() : nullptr;
    call.weights = weights.data(), call.bias = bias.data();
    call.image_bias = o.c.image_bias ? image_bias.data() : nullptr;
    call.residual = o.c.residual ? y.data() : nullptr;
    call.y = y.data(), call.workspace = workspace.data();
  }
  simt::Buffer<uint8_t> x, skip, weights, y;
  simt::Buffer<float> bias, image_bias, workspace;
  ConvolutionCuda call;
};

}  // namespace weft::testing
#endif
