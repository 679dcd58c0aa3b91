#include "modalities/image/image.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace weft {

std::string to_string(const ImageShape& shape) {
  return std::to_string(shape.count) + " x " + std::to_string(shape.height) + " x " +
         std::to_string(shape.width) + " x " + std::to_string(shape.channels);
}

Result<ImageView> image_view(const weft_tensor& tensor) {
  const auto wrong_shape = [&](std::string got) {
    return Status(StatusCode::kInvalidShape, "this is no picture")
        .expected("count x height x width x channels, with 1, 3 or 4 channels and sides of 1 to " +
                  std::to_string(kMaxImageSide))
        .got(std::move(got));
  };
  if (tensor.rank != 4) return wrong_shape("rank " + std::to_string(tensor.rank));
  const ImageShape shape{tensor.shape[0], tensor.shape[1], tensor.shape[2], tensor.shape[3]};
  const auto is_side = [](int64_t extent) { return extent >= 1 && extent <= kMaxImageSide; };
  const bool channels = shape.channels == 1 || shape.channels == 3 || shape.channels == 4;
  if (shape.count < 1 || !is_side(shape.height) || !is_side(shape.width) || !channels) {
    return wrong_shape(to_string(shape));
  }
  if (tensor.dtype != WEFT_DTYPE_U8 && tensor.dtype != WEFT_DTYPE_F32) {
    return Status(StatusCode::kUnsupported, "pictures are u8 or f32")
        .got("dtype " + std::to_string(tensor.dtype));
  }
  if (tensor.device.kind != WEFT_DEVICE_CPU) {
    return Status(StatusCode::kUnsupported, "the picture is not in the memory of the CPU");
  }
  if (tensor.strides[3] != 1 || (shape.width > 1 && tensor.strides[2] != shape.channels)) {
    return Status(StatusCode::kUnsupported, "the pixels of a row have gaps between them or another order")
        .expected("strides " + std::to_string(shape.channels) + " and 1 in the last two dimensions")
        .got(std::to_string(tensor.strides[2]) + " and " + std::to_string(tensor.strides[3]));
  }
  const int64_t element_bytes = tensor.dtype == WEFT_DTYPE_U8 ? 1 : 4;
  return ImageView{tensor.dtype, shape, static_cast<std::byte*>(tensor.data),
                   tensor.strides[1] * element_bytes, tensor.strides[0] * element_bytes};
}

ImageView packed_image_view(void* data, weft_dtype dtype, const ImageShape& shape) {
  const int64_t row_bytes = shape.width * shape.channels * (dtype == WEFT_DTYPE_U8 ? 1 : 4);
  return {dtype, shape, static_cast<std::byte*>(data), row_bytes, row_bytes * shape.height};
}

Result<ColorSpace> color_space_of(std::string_view attributes) {
  // Attributes are a small JSON object; one key matters here, and its value is a plain name.
  constexpr std::string_view kKey = "\"color_space\"";
  const size_t key = attributes.find(kKey);
  if (key == std::string_view::npos) return ColorSpace::kSrgb;
  std::string_view rest = attributes.substr(key + kKey.size());
  const size_t begin = rest.find('"');
  const size_t end = begin == std::string_view::npos ? begin : rest.find('"', begin + 1);
  const std::string_view name =
      end == std::string_view::npos ? std::string_view() : rest.substr(begin + 1, end - begin - 1);
  if (name == "srgb") return ColorSpace::kSrgb;
  if (name == "linear") return ColorSpace::kLinear;
  return Status(StatusCode::kUnsupported, "the picture has a colour space that is not known here")
      .expected("srgb or linear")
      .got(std::string(name));
}

float encode_srgb(float linear) {
  return linear <= 0.0031308f ? 12.92f * linear : 1.055f * std::pow(linear, 1 / 2.4f) - 0.055f;
}

const char* image_attributes(ColorSpace space) {
  return space == ColorSpace::kSrgb ? "{\"color_space\":\"srgb\"}" : "{\"color_space\":\"linear\"}";
}

namespace {

constexpr std::pair<std::string_view, std::string_view> kColorNames[] = {
    {"black", "#000000"},   {"white", "#ffffff"},  {"gray", "#808080"},         {"red", "#ff0000"},
    {"green", "#008000"},   {"blue", "#0000ff"},   {"yellow", "#ffff00"},       {"cyan", "#00ffff"},
    {"magenta", "#ff00ff"}, {"orange", "#ffa500"}, {"transparent", "#00000000"}};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<Rgba> parse_color(std::string_view text) {
  std::string_view digits = text;
  for (const auto& [name, code] : kColorNames) {
    if (name == text) digits = code;
  }
  const bool known_form =
      !digits.empty() && digits[0] == '#' &&
      (digits.size() == 4 || digits.size() == 7 || digits.size() == 9) &&
      std::all_of(digits.begin() + 1, digits.end(), [](char c) { return hex_digit(c) >= 0; });
  if (!known_form) {
    return Status(StatusCode::kInvalidArgument, "this is no colour")
        .expected("#rgb, #rrggbb, #rrggbbaa, or a name such as white or transparent")
        .got("'" + std::string(text) + "'");
  }
  digits.remove_prefix(1);
  Rgba color{0, 0, 0, 1};
  const size_t width = digits.size() == 3 ? 1 : 2;
  for (size_t i = 0; i * width < digits.size(); ++i) {
    const int high = hex_digit(digits[i * width]), low = hex_digit(digits[i * width + width - 1]);
    color[i] = static_cast<float>(high * 16 + low) / 255.0f;
  }
  return color;
}

float color_component(const Rgba& color, int64_t channels, int64_t channel) {
  if (channels == 1) return 0.299f * color[0] + 0.587f * color[1] + 0.114f * color[2];
  return color[static_cast<size_t>(channel)];
}

}  // namespace weft
