#include "modalities/image/rgb_bytes.h"

#include "modalities/image/rows.h"

namespace weft {

ImageView rgb_bytes(const Picture& picture, int64_t index, std::vector<uint8_t>& converted) {
  ImageView view = picture.view;
  view.data += index * view.image_bytes;
  view.shape.count = 1;
  const bool is_linear = picture.color_space == ColorSpace::kLinear;
  if (view.dtype == WEFT_DTYPE_U8 && view.shape.channels == 3 && !is_linear) return view;
  const ImageShape shape{1, view.shape.height, view.shape.width, 3};
  converted.resize(static_cast<size_t>(shape.elements()));
  const ImageView bytes = packed_image_view(converted.data(), WEFT_DTYPE_U8, shape);
  std::vector<float> row(static_cast<size_t>(shape.width * view.shape.channels)),
      colors(static_cast<size_t>(shape.width * 3));
  for (int64_t y = 0; y < shape.height; ++y) {
    read_row(view, 0, y, row.data());
    for (int64_t x = 0; view.shape.has_alpha() && x < shape.width; ++x) {
      float* pixel = row.data() + 4 * x;
      for (int c = 0; c < 3; ++c) pixel[c] = pixel[c] * pixel[3] + (1 - pixel[3]);
    }
    convert_channels(row.data(), view.shape.channels, colors.data(), 3, shape.width);
    if (is_linear)
      for (float& value : colors) value = encode_srgb(value);
    write_row(bytes, 0, y, colors.data());
  }
  return bytes;
}

}  // namespace weft
