/// What arrives at a port of onnx.run, as the tensor that the model's input takes.
///
/// A tensor must have the model's element type, and is used where it lies if it has no gaps. An int, float or bool, or a list of
/// them, becomes the numbers of an input of any number type. A picture becomes the pixels of an input of four dimensions, of which
/// the second (NCHW) or the last (NHWC) is 1 or 3: channels converted, not resized. Shapes are checked last, all inputs together,
/// since an extent that the model names must be the same wherever it stands.
/// Ownership: an InputTensor holds the value, or the buffer, that its view points into. Thread safety: values.
#ifndef WEFT_PLUGINS_ONNX_INPUT_TENSOR_H
#define WEFT_PLUGINS_ONNX_INPUT_TENSOR_H

#include <weft/sdk/plugin.h>

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "plugins/onnx/network.h"

namespace weft::onnx {

/// What the values of pictures become: (value * white - mean) / deviation, by channel.
struct PictureValues {
  double white = 1;                                               // what the largest value of a picture is
  std::array<double, 3> mean = {0, 0, 0}, deviation = {1, 1, 1};  // in channel order of the model
  bool is_bgr = false;
};

/// How an input holds pictures.
struct PictureLayout {
  bool is_nchw = false;
  int64_t channels = 3;
};
/// Nothing where an input cannot take pictures.
std::optional<PictureLayout> picture_layout(const NetworkPort& port);

struct InputTensor {
  weft_tensor view{};
  sdk::Value value;
  sdk::Buffer buffer;
};

/// Errors, which name the port: kInvalidArgument (another kind of value, another element type), kUnsupported, kOutOfRange (a number
/// that the element type cannot hold; an i64 that OpenVINO, which computes those in 32 bits, cannot), kOutOfMemory.
Result<InputTensor> make_input(const sdk::Host& host, const sdk::Value& value, const NetworkPort& port,
                               const PictureValues& values, weft_stream* stream);

/// ports and tensors: by input. Errors: kInvalidShape, with the port, the model's shape and the given one.
Status check_shapes(std::span<const NetworkPort> ports, std::span<const weft_tensor> tensors);

/// "f32 [1, 3, 224, 224]".
std::string to_string(const weft_tensor& tensor);

}  // namespace weft::onnx
#endif
