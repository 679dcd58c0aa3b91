/// The formats behind image_file.h, one source each. Internal to files/.
///
/// read_*_header leaves limits and orientation to its caller: width and height are as stored. decode_* gives the stored
/// rows, top first, to a PixelWriter. read_*_profile: the ICC profile's bytes, none if there is none; one beyond
/// kMaxProfileBytes may come as far as that was read. Third-party libraries report errors by longjmp or codes; neither leaves its source.
#ifndef WEFT_MODALITIES_IMAGE_FILES_CODECS_H
#define WEFT_MODALITIES_IMAGE_FILES_CODECS_H

#include <vector>

#include "modalities/image/files/image_file.h"
#include "modalities/image/files/pixel_writer.h"

namespace weft::files {

using Bytes = std::span<const std::byte>;

Result<ImageHeader> read_png_header(Bytes file, const ImageLimits& limits);
Result<std::vector<std::byte>> read_png_profile(Bytes file);
Status decode_png(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled);
Result<std::string> encode_png(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                               const ImageCancelled& cancelled);

Result<ImageHeader> read_jpeg_header(Bytes file);
Result<std::vector<std::byte>> read_jpeg_profile(Bytes file);
Status decode_jpeg(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled,
                   const ColorTransform& inks);
Result<std::string> encode_jpeg(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                                const ImageCancelled& cancelled);

Result<ImageHeader> read_webp_header(Bytes file);
Result<std::vector<std::byte>> read_webp_profile(Bytes file);
Status decode_webp(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled);
Result<std::string> encode_webp(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                                const ImageCancelled& cancelled);

#ifdef WEFT_HAS_AVIF
Result<ImageHeader> read_avif_header(Bytes file, const ImageLimits& limits);
Result<std::vector<std::byte>> read_avif_profile(Bytes file);
Status decode_avif(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled);
Result<std::string> encode_avif(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                                const ImageCancelled& cancelled);
#endif

inline std::vector<std::byte> copy_of(const void* bytes, size_t size) {
  const auto* from = static_cast<const std::byte*>(bytes);
  return {from, from + size};
}
inline Status at_offset(Status status, uint64_t offset) {
  return std::move(status).at("offset " + std::to_string(offset));
}
inline Status corrupt(std::string message) { return {StatusCode::kCorruptData, std::move(message)}; }
inline Status cancelled_status() { return {StatusCode::kCancelled, "cancelled"}; }

/// Row y of the picture as sRGB bytes. bytes: [width * channels]; values: as many floats of scratch.
void encode_row(const ImageView& image, int64_t index, int64_t y, ColorSpace space, float* values,
                uint8_t* bytes);

}  // namespace weft::files
#endif
