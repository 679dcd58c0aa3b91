/// Rows of pixels as f32 in 0..1, whatever the picture holds: what operations on pixels are written over.
///
/// Thread safety: no shared state.
#ifndef WEFT_MODALITIES_IMAGE_ROWS_H
#define WEFT_MODALITIES_IMAGE_ROWS_H

#include <algorithm>
#include <cstdint>

#include "modalities/image/image.h"

namespace weft {

/// values: [width * channels].
inline void read_row(const ImageView& image, int64_t index, int64_t y, float* values) {
  const int64_t size = image.shape.width * image.shape.channels;
  if (image.dtype == WEFT_DTYPE_F32) {
    std::copy_n(image.row<float>(index, y), size, values);
    return;
  }
  const uint8_t* bytes = image.row<uint8_t>(index, y);
  for (int64_t i = 0; i < size; ++i) values[i] = static_cast<float>(bytes[i]) / 255.0f;
}

/// The inverse; bytes are rounded to the nearest and limited to 0..255.
inline void write_row(const ImageView& image, int64_t index, int64_t y, const float* values) {
  const int64_t size = image.shape.width * image.shape.channels;
  if (image.dtype == WEFT_DTYPE_F32) {
    std::copy_n(values, size, image.row<float>(index, y));
    return;
  }
  uint8_t* bytes = image.row<uint8_t>(index, y);
  for (int64_t i = 0; i < size; ++i) bytes[i] = to_byte(values[i]);
}

/// Gray, RGB or RGBA to one of these, pixel by pixel: gray is repeated, colours become luma (Rec. 601), a new alpha
/// is 1, an alpha that the target has no place for is dropped. from: [width * from_channels], to: [width * to_channels].
inline void convert_channels(const float* from, int64_t from_channels, float* to, int64_t to_channels,
                             int64_t width) {
  for (int64_t x = 0; x < width; ++x, from += from_channels, to += to_channels) {
    const float r = from[0];
    const float g = from_channels == 1 ? r : from[1];
    const float b = from_channels == 1 ? r : from[2];
    if (to_channels == 1) {
      to[0] = from_channels == 1 ? r : 0.299f * r + 0.587f * g + 0.114f * b;
      continue;
    }
    const float alpha = from_channels == 4 ? from[3] : 1.0f;
    to[0] = r;
    to[1] = g;
    to[2] = b;
    if (to_channels == 4) to[3] = alpha;
  }
}

}  // namespace weft
#endif
