#include "modalities/image/files/pixel_writer.h"

#include <cstring>

namespace weft::files {

PixelWriter::PixelWriter(const ImageView& target, uint8_t orientation)
    : target_(target), width_(target.shape.width), height_(target.shape.height) {
  const int64_t pixel = target.shape.channels * (target.dtype == WEFT_DTYPE_U8 ? 1 : 4);
  const int64_t row = target.row_bytes;
  const int64_t last_x = (target.shape.width - 1) * pixel, last_y = (target.shape.height - 1) * row;
  if (swaps_sides(orientation)) std::swap(width_, height_);
  // What the stored picture's first row and first column are in the upright one, as EXIF 2.3 lists them.
  switch (orientation) {
    case 2: first_ = last_x, x_step_ = -pixel, y_step_ = row; break;            // top, right
    case 3: first_ = last_x + last_y, x_step_ = -pixel, y_step_ = -row; break;  // bottom, right
    case 4: first_ = last_y, x_step_ = pixel, y_step_ = -row; break;            // bottom, left
    case 5: first_ = 0, x_step_ = row, y_step_ = pixel; break;                  // left, top
    case 6: first_ = last_x, x_step_ = row, y_step_ = -pixel; break;            // right, top
    case 7: first_ = last_x + last_y, x_step_ = -row, y_step_ = -pixel; break;  // right, bottom
    case 8: first_ = last_y, x_step_ = -row, y_step_ = pixel; break;            // left, bottom
    default: x_step_ = pixel, y_step_ = row; break;                             // top, left
  }
}

uint8_t exif_orientation(std::span<const std::byte> exif) {
  constexpr uint16_t kOrientationTag = 0x0112, kShort = 3;
  if (exif.size() >= 6 && std::memcmp(exif.data(), "Exif\0\0", 6) == 0) exif = exif.subspan(6);
  if (exif.size() < 8) return 1;
  const bool big = std::memcmp(exif.data(), "MM\0\x2a", 4) == 0;
  if (!big && std::memcmp(exif.data(), "II\x2a\0", 4) != 0) return 1;
  const auto number = [&](size_t offset, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const auto byte = static_cast<uint32_t>(exif[offset + (big ? i : size - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  };
  const size_t folder = number(4, 4);  // of tags
  if (folder > exif.size() || exif.size() - folder < 2) return 1;
  const size_t count = number(folder, 2);
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = folder + 2 + 12 * i;
    if (entry + 12 > exif.size()) return 1;
    if (number(entry, 2) != kOrientationTag) continue;
    const uint32_t value = number(entry + 8, 2);
    return number(entry + 2, 2) == kShort && value >= 1 && value <= 8 ? static_cast<uint8_t>(value) : 1;
  }
  return 1;
}

}  // namespace weft::files
