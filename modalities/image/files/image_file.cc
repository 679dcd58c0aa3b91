#include "modalities/image/files/image_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "modalities/image/files/codecs.h"
#include "modalities/image/rows.h"

namespace weft {
namespace {

#ifdef WEFT_HAS_AVIF
constexpr const char* kFormats = "PNG, JPEG, WebP or AVIF";
#else
constexpr const char* kFormats = "PNG, JPEG or WebP";
#endif

[[maybe_unused]] Status unsupported(ImageFormat format) {
  return Status(StatusCode::kUnsupported, std::string("this build has no ") + to_string(format))
      .expected(kFormats)
      .hint("install libavif-dev and build again");
}

std::string describe_start(std::span<const std::byte> file) {
  if (file.empty()) return "an empty file";
  std::string text = "a file that begins with";
  for (size_t i = 0; i < std::min<size_t>(file.size(), 8); ++i) {
    char byte[4];
    std::snprintf(byte, sizeof byte, " %02x", static_cast<unsigned>(file[i]));
    text += byte;
  }
  return text;
}

Result<ImageHeader> read_header(std::span<const std::byte> file, const ImageLimits& limits) {
  const std::optional<ImageFormat> format = image_format_of(file);
  if (!format) {
    return Status(StatusCode::kUnsupported, "this is no picture of a known format")
        .expected(kFormats)
        .got(describe_start(file));
  }
  switch (*format) {
    case ImageFormat::kPng: return files::read_png_header(file, limits);
    case ImageFormat::kJpeg: return files::read_jpeg_header(file);
    case ImageFormat::kWebp: return files::read_webp_header(file);
    case ImageFormat::kAvif: break;
  }
#ifdef WEFT_HAS_AVIF
  return files::read_avif_header(file, limits);
#else
  return unsupported(*format);
#endif
}

Result<std::vector<std::byte>> read_profile(std::span<const std::byte> file, ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng: return files::read_png_profile(file);
    case ImageFormat::kJpeg: return files::read_jpeg_profile(file);
    case ImageFormat::kWebp: return files::read_webp_profile(file);
    case ImageFormat::kAvif: break;
  }
#ifdef WEFT_HAS_AVIF
  return files::read_avif_profile(file);
#else
  return unsupported(format);
#endif
}

Status decode_pixels(std::span<const std::byte> file, ImageFormat format, const files::PixelWriter& writer,
                     const ImageCancelled& cancelled, const ColorTransform& colors) {
  switch (format) {
    case ImageFormat::kPng: return files::decode_png(file, writer, cancelled);
    case ImageFormat::kJpeg: return files::decode_jpeg(file, writer, cancelled, colors);
    case ImageFormat::kWebp: return files::decode_webp(file, writer, cancelled);
    case ImageFormat::kAvif: break;
  }
#ifdef WEFT_HAS_AVIF
  return files::decode_avif(file, writer, cancelled);
#else
  return unsupported(format);
#endif
}

}  // namespace

bool is_supported(ImageFormat format) {
#ifdef WEFT_HAS_AVIF
  return format <= ImageFormat::kAvif;
#else
  return format < ImageFormat::kAvif;
#endif
}

Result<ImageHeader> read_image_header(std::span<const std::byte> file, const ImageLimits& limits) {
  Result<ImageHeader> header = read_header(file, limits);
  if (!header.ok()) return header;
  const int64_t longest = std::min(limits.max_side, kMaxImageSide);
  if (header->width < 1 || header->height < 1 || header->width > longest || header->height > longest) {
    return Status(StatusCode::kOutOfRange, "the picture is larger than allowed")
        .expected("sides of 1 to " + std::to_string(longest) + " pixels")
        .got(std::to_string(header->width) + " x " + std::to_string(header->height));
  }
  if (files::swaps_sides(header->orientation)) std::swap(header->width, header->height);
  return header;
}

Result<ColorTransform> read_color_transform(std::span<const std::byte> file, const ImageHeader& header) {
  const Result<std::vector<std::byte>> profile = read_profile(file, header.format);
  if (!profile.ok()) return profile.status();
  return ColorTransform::from_profile(*profile, header.pixels);
}

Status decode_image(std::span<const std::byte> file, const ImageHeader& header, const ImageView& target,
                    const ImageCancelled& cancelled, const ColorTransform& colors) {
  const files::PixelWriter writer(target, header.orientation);
  const bool inks = header.pixels == ColorTransform::Pixels::kInks;
  const Status status = decode_pixels(file, header.format, writer, cancelled, colors);
  return status.ok() && !inks ? colors.apply(target, cancelled) : status;
}

Result<std::string> encode_image(const ImageView& images, int64_t index, const ImageEncodeOptions& options,
                                 const ImageCancelled& cancelled) {
  switch (options.format) {
    case ImageFormat::kPng: return files::encode_png(images, index, options, cancelled);
    case ImageFormat::kJpeg: return files::encode_jpeg(images, index, options, cancelled);
    case ImageFormat::kWebp: return files::encode_webp(images, index, options, cancelled);
    case ImageFormat::kAvif: break;
  }
#ifdef WEFT_HAS_AVIF
  return files::encode_avif(images, index, options, cancelled);
#else
  return unsupported(options.format);
#endif
}

namespace files {

void encode_row(const ImageView& image, int64_t index, int64_t y, ColorSpace space, float* values,
                uint8_t* bytes) {
  const int64_t size = image.shape.width * image.shape.channels;
  if (image.dtype == WEFT_DTYPE_U8 && space == ColorSpace::kSrgb) {
    std::memcpy(bytes, image.row<uint8_t>(index, y), static_cast<size_t>(size));
    return;
  }
  read_row(image, index, y, values);
  for (int64_t i = 0; i < size; ++i) {
    const bool is_alpha = image.shape.channels == 4 && i % 4 == 3;
    bytes[i] = to_byte(space == ColorSpace::kLinear && !is_alpha ? encode_srgb(values[i]) : values[i]);
  }
}

}  // namespace files
}  // namespace weft
