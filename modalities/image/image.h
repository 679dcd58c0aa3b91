/// What a tensor of port type "image" means, and a typed view of it.
///
/// A picture is a batch of `count` pictures of one size: NHWC, u8 with 0..255 or f32 with 0..1 nominally (values beyond
/// are kept until something must be written as bytes). One channel is gray, three are red, green, blue, four have alpha
/// behind them, straight (not multiplied in). The attributes name the colour space: "srgb" (the values are encoded as on
/// a screen; what is meant where nothing is said) or "linear" (proportional to light).
/// Ownership: views do not own; the value or buffer that they were made from outlives them. Thread safety: no shared
/// state.
///
///   Result<ImageView> image = image_view(request.input(0).as_tensor());
///   if (!image.ok()) return image.status().at("port 'image'");
///   const uint8_t* row = image->row<uint8_t>(0, y);
#ifndef WEFT_MODALITIES_IMAGE_IMAGE_H
#define WEFT_MODALITIES_IMAGE_IMAGE_H

#include <weft/abi/types.h>
#include <weft/sdk/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// The longest side of any picture here, in pixels: the most that JPEG can hold.
inline constexpr int64_t kMaxImageSide = 65535;

struct ImageShape {
  int64_t count = 1, height = 0, width = 0, channels = 3;

  std::array<int64_t, 4> extents() const { return {count, height, width, channels}; }
  int64_t elements() const { return count * height * width * channels; }
  bool has_alpha() const { return channels == 4; }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};
/// "2 x 480 x 640 x 3".
std::string to_string(const ImageShape& shape);

/// Pixels of a picture that somebody else owns. The pixels of a row lie without gaps; rows and pictures may not.
struct ImageView {
  weft_dtype dtype = WEFT_DTYPE_U8;  // or WEFT_DTYPE_F32
  ImageShape shape;
  std::byte* data = nullptr;
  int64_t row_bytes = 0, image_bytes = 0;  // from one row, or picture, to the next

  /// T: uint8_t or float, as dtype says. An input's pixels are not to be written.
  template <typename T>
  T* row(int64_t image, int64_t y) const {
    return reinterpret_cast<T*>(data + image * image_bytes + y * row_bytes);
  }
};

/// Errors: kInvalidShape (rank, channels, no pixels, a side beyond kMaxImageSide), kUnsupported (dtype, a device that is
/// not the CPU, gaps between pixels).
Result<ImageView> image_view(const weft_tensor& tensor);
/// The same for memory without gaps.
ImageView packed_image_view(void* data, weft_dtype dtype, const ImageShape& shape);

enum class ColorSpace : uint8_t { kSrgb, kLinear };
/// From a value's attributes; kSrgb where they say nothing. Errors: kUnsupported for a colour space with another name.
Result<ColorSpace> color_space_of(std::string_view attributes);
/// {"color_space":"srgb"}: what a value made from such pixels carries.
const char* image_attributes(ColorSpace space);

/// What is proportional to light, encoded as on a screen.
float encode_srgb(float linear);

/// A colour given as text: "#rgb", "#rrggbb", "#rrggbbaa", or one of a few names (black, white, gray, red, green, blue,
/// yellow, cyan, magenta, transparent). Components in 0..1, alpha last. Errors: kInvalidArgument.
using Rgba = std::array<float, 4>;
Result<Rgba> parse_color(std::string_view text);
/// Its component for channel `channel` of a picture with `channels` channels; gray is the luma of Rec. 601.
float color_component(const Rgba& color, int64_t channels, int64_t channel);

/// Rounds to the nearest byte, from 0..1.
inline uint8_t to_byte(float value) {
  const float scaled = value * 255.0f + 0.5f;
  return static_cast<uint8_t>(!(scaled > 0.0f) ? 0.0f : scaled > 255.0f ? 255.0f : scaled);  // NaN is 0
}

}  // namespace weft
#endif
