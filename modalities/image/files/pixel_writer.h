/// Puts the rows of a file, as they are stored, to their places in an upright picture. Internal to files/.
///
/// Thread safety: const calls from any thread; rows do not overlap.
#ifndef WEFT_MODALITIES_IMAGE_FILES_PIXEL_WRITER_H
#define WEFT_MODALITIES_IMAGE_FILES_PIXEL_WRITER_H

#include <cstdint>
#include <span>
#include <type_traits>

#include "modalities/image/image.h"

namespace weft::files {

class PixelWriter {
 public:
  /// target: the upright picture; orientation: 1 to 8, as EXIF counts.
  PixelWriter(const ImageView& target, uint8_t orientation);

  /// As stored, before the picture is turned.
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }
  int64_t channels() const { return target_.shape.channels; }

  /// Row y as stored. pixels: [width() * channels()], uint8_t, or uint16_t with 65535 as the largest.
  template <typename T>
  void write(int64_t y, const T* pixels) const {
    if (target_.dtype == WEFT_DTYPE_U8) write_as<uint8_t>(y, pixels);
    else write_as<float>(y, pixels);
  }

 private:
  template <typename To, typename From>
  static To convert(From value) {
    if constexpr (std::is_same_v<To, From>) return value;
    else if constexpr (std::is_same_v<To, uint8_t>)  // to the nearest: 65535 = 255 * 257
      return static_cast<uint8_t>((static_cast<uint32_t>(value) + 128) / 257);
    else return static_cast<float>(value) / (sizeof(From) == 1 ? 255.0f : 65535.0f);
  }
  template <typename To, typename From>
  void write_as(int64_t y, const From* pixels) const {
    const int64_t n_channels = channels();
    std::byte* to = target_.data + first_ + y * y_step_;
    for (int64_t x = 0; x < width_; ++x, to += x_step_, pixels += n_channels) {
      for (int64_t c = 0; c < n_channels; ++c) reinterpret_cast<To*>(to)[c] = convert<To>(pixels[c]);
    }
  }

  ImageView target_;
  int64_t width_, height_;
  int64_t first_ = 0, x_step_ = 0, y_step_ = 0;  // bytes: of the stored picture's first pixel, column and row
};

/// Whether an orientation swaps width and height.
constexpr bool swaps_sides(uint8_t orientation) { return orientation >= 5; }

/// The orientation that EXIF data says (TIFF, from its byte order mark on, with or without "Exif\0\0" in front); 1 if it
/// says none or makes no sense.
uint8_t exif_orientation(std::span<const std::byte> exif);

}  // namespace weft::files
#endif
