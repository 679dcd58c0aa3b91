#include "plugins/onnx/input_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "kernels/quant/half.h"
#include "modalities/image/picture_value.h"
#include "modalities/image/rows.h"

namespace weft::onnx {
namespace {

std::string shape_text(std::span<const int64_t> extents) {
  std::string text = "[";
  for (size_t i = 0; i < extents.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(extents[i]);
  return text + "]";
}

std::string place(const NetworkPort& port) { return "input '" + port.name + "'"; }

/// Copies a tensor with gaps, element by element of the last dimension.
void copy_strided(const weft_tensor& from, std::byte* to, int64_t element_bytes) {
  const int64_t count = sdk::element_count(from);
  std::array<int64_t, WEFT_MAX_RANK> index{};
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = 0;
    for (int32_t axis = 0; axis < from.rank; ++axis)
      offset += index[static_cast<size_t>(axis)] * from.strides[axis];
    std::memcpy(to + i * element_bytes, static_cast<const std::byte*>(from.data) + offset * element_bytes,
                static_cast<size_t>(element_bytes));
    for (int32_t axis = from.rank - 1; axis >= 0; --axis) {
      if (++index[static_cast<size_t>(axis)] < from.shape[axis]) break;
      index[static_cast<size_t>(axis)] = 0;
    }
  }
}

/// Writes numbers as elements of a dtype. False: the number does not fit.
class NumberWriter {
 public:
  NumberWriter(weft_dtype dtype, void* data) : dtype_(dtype), data_(static_cast<std::byte*>(data)) {}

  bool write(double number) {
    switch (dtype_) {
      case WEFT_DTYPE_BOOL: return number == 0 || number == 1 ? put(static_cast<uint8_t>(number)) : false;
      case WEFT_DTYPE_U8: return integer<uint8_t>(number);
      case WEFT_DTYPE_I8: return integer<int8_t>(number);
      case WEFT_DTYPE_I16: return integer<int16_t>(number);
      case WEFT_DTYPE_I32: return integer<int32_t>(number);
      case WEFT_DTYPE_I64: return integer<int64_t>(number);
      case WEFT_DTYPE_F16: return put(f16_bits(static_cast<float>(number)));
      case WEFT_DTYPE_BF16: return put(bf16_bits(static_cast<float>(number)));
      case WEFT_DTYPE_F32: return put(static_cast<float>(number));
      case WEFT_DTYPE_F64: return put(number);
      default: return false;
    }
  }
  bool write(int64_t number) {
    if (dtype_ == WEFT_DTYPE_I64) return put(number);  // without passing through a double
    return write(static_cast<double>(number));
  }

 private:
  template <typename T>
  bool integer(double number) {
    if (number != std::floor(number) || number < static_cast<double>(std::numeric_limits<T>::min()) ||
        number > static_cast<double>(std::numeric_limits<T>::max()))
      return false;
    return put(static_cast<T>(number));
  }
  template <typename T>
  bool put(T number) {
    std::memcpy(data_, &number, sizeof number);
    data_ += sizeof number;
    return true;
  }

  weft_dtype dtype_;
  std::byte* data_;
};

/// The shape that `count` numbers have for an input: ones, but for the last extent.
Result<std::vector<int64_t>> shape_of_numbers(const NetworkPort& port, int64_t count, bool is_list) {
  std::vector<int64_t> shape(port.has_rank ? port.dimensions.size() : is_list ? 1 : 0, 1);
  if (is_list && shape.empty())
    return Status(StatusCode::kInvalidShape, "a list cannot be a scalar")
        .at(place(port))
        .expected(to_string(port))
        .got("a list");
  if (!shape.empty()) shape.back() = count;
  return shape;
}

Result<InputTensor> from_numbers(const sdk::Host& host, const sdk::Value& value, const NetworkPort& port,
                                 weft_stream* stream) {
  const bool is_list = value.kind() == WEFT_KIND_LIST;
  const auto count = static_cast<int64_t>(is_list ? value.size() : 1);
  const Result<std::vector<int64_t>> shape = shape_of_numbers(port, count, is_list);
  if (!shape.ok()) return shape.status();
  Result<sdk::NewTensor> made = host.allocate_tensor(port.dtype, *shape, stream, "onnx input");
  if (!made.ok()) return made.status();
  NumberWriter writer(port.dtype, made->view.data);
  for (int64_t i = 0; i < count; ++i) {
    const sdk::Value one = is_list ? value.item(static_cast<size_t>(i)) : value;
    const bool fits = one.kind() == WEFT_KIND_BOOL  ? writer.write(int64_t{one.as_bool()})
                      : one.kind() == WEFT_KIND_INT ? writer.write(one.as_int())
                                                    : writer.write(one.as_float());
    if (!fits)
      return Status(StatusCode::kOutOfRange, "a number that the model's input cannot hold")
          .at(place(port))
          .expected(onnx_type_name_of(port.dtype))
          .got(one.kind() == WEFT_KIND_FLOAT ? std::to_string(one.as_float()) : std::to_string(one.as_int()));
  }
  return InputTensor{made->view, {}, std::move(made->buffer)};
}

Result<InputTensor> from_picture(const sdk::Host& host, const sdk::Value& value, const NetworkPort& port,
                                 const PictureValues& values, weft_stream* stream) {
  const std::optional<PictureLayout> layout = picture_layout(port);
  if (!layout)
    return Status(StatusCode::kInvalidArgument, "this input of the model takes no pictures")
        .at(place(port))
        .expected(to_string(port))
        .got("an image");
  Result<Picture> picture = picture_of(value);
  if (!picture.ok()) return picture.status().at(place(port));
  const ImageShape& source = picture->shape();
  const int64_t channels = layout->channels;
  const std::array<int64_t, 4> shape =
      layout->is_nchw ? std::array<int64_t, 4>{source.count, channels, source.height, source.width}
                      : std::array<int64_t, 4>{source.count, source.height, source.width, channels};
  Result<sdk::NewTensor> made = host.allocate_tensor(port.dtype, shape, stream, "onnx input");
  if (!made.ok()) return made.status();
  std::vector<float> row(static_cast<size_t>(source.width * source.channels)),
      colors(static_cast<size_t>(source.width * channels));
  const int64_t element = sdk::element_size_bytes(port.dtype), plane = source.height * source.width;
  for (int64_t i = 0; i < source.count; ++i) {
    for (int64_t y = 0; y < source.height; ++y) {
      read_row(picture->view, i, y, row.data());
      convert_channels(row.data(), source.channels, colors.data(), channels, source.width);
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t from = values.is_bgr ? channels - 1 - c : c;
        const double mean = values.mean[static_cast<size_t>(c)],
                     deviation = values.deviation[static_cast<size_t>(c)];
        for (int64_t x = 0; x < source.width; ++x) {
          const int64_t at = layout->is_nchw ? (i * channels + c) * plane + y * source.width + x
                                             : ((i * source.height + y) * source.width + x) * channels + c;
          const double number =
              (double{colors[static_cast<size_t>(x * channels + from)]} * values.white - mean) / deviation;
          const bool is_byte = port.dtype == WEFT_DTYPE_U8;
          NumberWriter(port.dtype, static_cast<std::byte*>(made->view.data) + at * element)
              .write(is_byte ? std::clamp(std::round(number), 0.0, 255.0) : number);
        }
      }
    }
  }
  return InputTensor{made->view, {}, std::move(made->buffer)};
}

Result<InputTensor> from_tensor(const sdk::Host& host, const sdk::Value& value, const NetworkPort& port,
                                weft_stream* stream) {
  const weft_tensor view = value.as_tensor();
  if (view.device.kind != WEFT_DEVICE_CPU)
    return Status(StatusCode::kUnsupported, "this model runs on the CPU, and the tensor is on another device")
        .at(place(port));
  if (view.dtype != port.dtype)
    return Status(StatusCode::kInvalidArgument,
                  "the elements of the tensor are of another type than the model's input")
        .at(place(port))
        .expected(to_string(port))
        .got(to_string(view));
  if (sdk::is_contiguous(view)) return InputTensor{view, value, {}};
  Result<sdk::NewTensor> made =
      host.allocate_tensor(port.dtype, {view.shape, static_cast<size_t>(view.rank)}, stream, "onnx input");
  if (!made.ok()) return made.status();
  copy_strided(view, static_cast<std::byte*>(made->view.data), sdk::element_size_bytes(port.dtype));
  return InputTensor{made->view, {}, std::move(made->buffer)};
}

bool is_number(const sdk::Value& value) {
  return value.kind() == WEFT_KIND_BOOL || value.kind() == WEFT_KIND_INT || value.kind() == WEFT_KIND_FLOAT;
}

Result<InputTensor> convert(const sdk::Host& host, const sdk::Value& value, const NetworkPort& port,
                            const PictureValues& values, weft_stream* stream) {
  if (value.kind() == WEFT_KIND_TENSOR)
    return value.type() == "image" ? from_picture(host, value, port, values, stream)
                                   : from_tensor(host, value, port, stream);
  const bool is_list = value.kind() == WEFT_KIND_LIST;
  if (is_number(value) || (is_list && (value.size() == 0 || is_number(value.item(0)))))
    return from_numbers(host, value, port, stream);
  return Status(StatusCode::kInvalidArgument,
                "a model takes tensors, numbers, lists of numbers, and pictures")
      .at(place(port))
      .expected(to_string(port))
      .got(std::string(value.type()));
}

/// What a tensor that does not fit could be made with.
std::string hint_for(const NetworkPort& port) {
  return picture_layout(port) ? "image.resize and image.crop give pictures a size" : std::string();
}

}  // namespace

std::string to_string(const weft_tensor& tensor) {
  return onnx_type_name_of(tensor.dtype) + " " + shape_text({tensor.shape, static_cast<size_t>(tensor.rank)});
}

std::optional<PictureLayout> picture_layout(const NetworkPort& port) {
  const bool takes_numbers = port.dtype == WEFT_DTYPE_U8 || port.dtype == WEFT_DTYPE_F16 ||
                             port.dtype == WEFT_DTYPE_BF16 || port.dtype == WEFT_DTYPE_F32 ||
                             port.dtype == WEFT_DTYPE_F64;
  if (!takes_numbers || port.dimensions.size() != 4) return std::nullopt;
  for (const int64_t channels : {3, 1}) {
    const bool is_nchw = port.dimensions[1].extent == channels,
               is_nhwc = port.dimensions[3].extent == channels;
    if (is_nchw != is_nhwc) return PictureLayout{is_nchw, channels};
    if (is_nchw) break;  // which of the two, nobody can tell
  }
  return std::nullopt;
}

Result<InputTensor> make_input(const sdk::Host& host, const sdk::Value& value, const NetworkPort& port,
                               const PictureValues& values, weft_stream* stream) {
  Result<InputTensor> made = convert(host, value, port, values, stream);
  if (!made.ok() || port.dtype != WEFT_DTYPE_I64) return made;
  const auto* numbers = static_cast<const int64_t*>(made->view.data);
  const int64_t count = sdk::element_count(made->view);
  const auto* wrong =
      std::find_if(numbers, numbers + count, [](int64_t n) { return n != static_cast<int32_t>(n); });
  if (wrong == numbers + count) return made;
  return Status(StatusCode::kOutOfRange, "OpenVINO computes i64 in 32 bits, which cannot hold a number")
      .at(place(port) + ", element " + std::to_string(wrong - numbers))
      .expected("-2147483648 to 2147483647")
      .got(std::to_string(*wrong));
}

Status check_shapes(std::span<const NetworkPort> ports, std::span<const weft_tensor> tensors) {
  std::map<std::string, std::pair<int64_t, const NetworkPort*>>
      named;  // extents by symbol, and where they were seen first
  for (size_t i = 0; i < ports.size(); ++i) {
    const NetworkPort& port = ports[i];
    const weft_tensor& tensor = tensors[i];
    const auto refused = [&](const std::string& what) {
      return Status(StatusCode::kInvalidShape, what)
          .at(place(port))
          .expected(to_string(port))
          .got(to_string(tensor))
          .hint(hint_for(port));
    };
    if (!port.has_rank) continue;
    if (static_cast<size_t>(tensor.rank) != port.dimensions.size())
      return refused("a tensor has another number of dimensions than the model's input");
    for (size_t axis = 0; axis < port.dimensions.size(); ++axis) {
      const OnnxDimension& dimension = port.dimensions[axis];
      const int64_t extent = tensor.shape[axis];
      if (dimension.extent >= 0 && dimension.extent != extent)
        return refused("a tensor has another shape than the model's input");
      if (dimension.extent >= 0 || dimension.symbol.empty()) continue;
      const auto [seen, is_new] = named.emplace(dimension.symbol, std::pair(extent, &port));
      if (!is_new && seen->second.first != extent)
        return refused("'" + dimension.symbol + "' is " + std::to_string(extent) + " here, and " +
                       std::to_string(seen->second.first) + " at input '" + seen->second.second->name + "'");
    }
  }
  return {};
}

}  // namespace weft::onnx
