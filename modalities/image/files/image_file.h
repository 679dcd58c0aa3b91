/// Picture files: PNG, JPEG, WebP and (where libavif was there at build time) AVIF, from and to memory.
///
/// A file's kind is found from its first bytes alone; names do not count. A header is read, and checked against limits,
/// before anything is allocated for pixels. What cannot be trusted is checked: sizes, offsets, check sums, data that ends
/// early. Embedded colour profiles are read (color_transform.h); without one values are sRGB, and PNG's gamma chunks do not
/// change that. Of animations only PNG's still picture is read; animated WebP and AVIF are refused.
/// Ownership: nothing is kept of the bytes given. Thread safety: no shared state; no threads are started.
///
///   Result<ImageHeader> header = read_image_header(bytes, {});
///   if (!header.ok()) return header.status().at(path);
///   std::vector<uint8_t> pixels(header->width * header->height * header->channels);
///   Status status = decode_image(bytes, *header, packed_image_view(pixels.data(), WEFT_DTYPE_U8, header->shape()), {});
#ifndef WEFT_MODALITIES_IMAGE_FILES_IMAGE_FILE_H
#define WEFT_MODALITIES_IMAGE_FILES_IMAGE_FILE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "modalities/image/files/color_transform.h"
#include "modalities/image/image.h"

namespace weft {

enum class ImageFormat : uint8_t { kPng, kJpeg, kWebp, kAvif };
const char* to_string(ImageFormat format);  // "PNG"
/// From a file's first bytes.
std::optional<ImageFormat> image_format_of(std::span<const std::byte> file);
/// From a file name's ending (.png .jpg .jpeg .webp .avif, any case), for a file that is to be written.
std::optional<ImageFormat> image_format_of_name(std::string_view name);
/// Whether this build reads and writes it.
bool is_supported(ImageFormat format);

struct ImageLimits {
  int64_t max_side = 8192;  // pixels, of width and of height
};

struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  int64_t width = 0, height = 0;  // upright: after the file's orientation was applied
  int64_t channels = 3;           // 1, 3 or 4; what a palette, CMYK, or gray with alpha is decoded to
  int bits = 8;                   // of a channel, in the file
  uint8_t orientation = 1;        // as EXIF counts them, 1 to 8: how the stored rows are turned
  ColorTransform::Pixels pixels = ColorTransform::Pixels::kGrayOrRgb;  // as stored; inks are decoded to RGB

  ImageShape shape() const { return {1, height, width, channels}; }
};

/// Errors: kUnsupported (not one of the formats, or a part of one that is not read), kCorruptData, kOutOfRange (beyond the
/// limits); with the offset where that is known.
Result<ImageHeader> read_image_header(std::span<const std::byte> file, const ImageLimits& limits);

/// Asked now and then while a file is read or written; true makes the call return kCancelled. May be empty.
using ImageCancelled = std::function<bool()>;

/// What brings the file's colours to sRGB: the identity where it has no colour profile. Errors: kCorruptData, and those of
/// ColorTransform::from_profile.
Result<ColorTransform> read_color_transform(std::span<const std::byte> file, const ImageHeader& header);

/// target: header.shape(), u8 (16-bit files are rounded) or f32. colors: the identity takes values as they are stored.
/// Errors: as above, kCancelled, kOutOfMemory.
Status decode_image(std::span<const std::byte> file, const ImageHeader& header, const ImageView& target,
                    const ImageCancelled& cancelled, const ColorTransform& colors = {});

struct ImageEncodeOptions {
  ImageFormat format = ImageFormat::kPng;
  int quality = 90;       // 1 to 100, of JPEG, WebP and AVIF; JPEG keeps full colour resolution from 90 on
  bool lossless = false;  // WebP and AVIF; PNG always is, JPEG never
  int compression = 6;    // of PNG, 0 (none) to 9 (smallest)
  ColorSpace color_space = ColorSpace::kSrgb;  // of the values; linear ones are encoded as sRGB
  std::string record;                          // text to keep with the picture (record.h); empty: none
};

/// Picture `index` of the batch as a file. Equal pixels and options give equal bytes. Alpha is kept where the format has
/// it. Errors: kUnsupported (JPEG with alpha, a format that this build lacks), kOutOfRange (a side or a record that the
/// format cannot hold), kCancelled, kOutOfMemory.
Result<std::string> encode_image(const ImageView& images, int64_t index, const ImageEncodeOptions& options,
                                 const ImageCancelled& cancelled);

}  // namespace weft
#endif
