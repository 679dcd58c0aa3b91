// WebP through libwebp; the container of files with a record through libwebpmux.
#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>
#include <weft/sdk/owned.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "modalities/image/files/codecs.h"
#include "modalities/image/files/record.h"

namespace weft::files {
namespace {

constexpr size_t kFeedBytes = 1 << 16;  // between two looks at cancelled()

const uint8_t* data_of(Bytes file) { return reinterpret_cast<const uint8_t*>(file.data()); }

uint32_t little_endian(Bytes file, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint32_t>(file[offset + i]);
  return value;
}

// The first chunk of that name; empty if there is none.
Bytes find_chunk(Bytes file, const char* name) {
  for (size_t offset = 12; offset + 8 <= file.size();) {
    const size_t size = little_endian(file, offset + 4);
    if (size > file.size() - offset - 8) break;
    if (std::memcmp(file.data() + offset, name, 4) == 0) return file.subspan(offset + 8, size);
    offset += 8 + size + (size & 1);
  }
  return {};
}

Status decode_error(VP8StatusCode code, size_t offset) {
  switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return {StatusCode::kOutOfMemory, "out of memory"};
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return {StatusCode::kUnsupported, "the WebP file has a part that is not read"};
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA: return at_offset(corrupt("the WebP file ends early"), offset);
    default: return at_offset(corrupt("the WebP file is damaged"), offset);
  }
}

/// A WebPPicture and the memory that it is written to.
struct Writer {
  WebPPicture picture{};
  WebPMemoryWriter memory{};
  const ImageCancelled* cancelled = nullptr;
  Writer() { WebPMemoryWriterInit(&memory); }
  ~Writer() {
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&memory);
  }
  Writer(const Writer&) = delete;

  static int keep_on(int, const WebPPicture* picture) {
    const auto* self = static_cast<const Writer*>(picture->user_data);
    return *self->cancelled && (*self->cancelled)() ? 0 : 1;
  }
};

Status fill_picture(Writer& writer, const ImageView& image, int64_t index,
                    const ImageEncodeOptions& options) {
  const ImageShape& shape = image.shape;
  const auto size = static_cast<size_t>(shape.width * shape.channels);
  std::vector<float> values(size);
  std::vector<uint8_t> row(size);
  WebPPicture& picture = writer.picture;
  picture.use_argb = 1;
  picture.width = static_cast<int>(shape.width);
  picture.height = static_cast<int>(shape.height);
  if (WebPPictureAlloc(&picture) == 0) return {StatusCode::kOutOfMemory, "out of memory"};
  for (int64_t y = 0; y < shape.height; ++y) {
    encode_row(image, index, y, options.color_space, values.data(), row.data());
    uint32_t* to = picture.argb + y * picture.argb_stride;
    const uint8_t* pixel = row.data();
    for (int64_t x = 0; x < shape.width; ++x, pixel += shape.channels) {
      const uint32_t r = pixel[0], g = shape.channels == 1 ? r : pixel[1],
                     b = shape.channels == 1 ? r : pixel[2];
      const uint32_t alpha = shape.has_alpha() ? pixel[3] : 255;
      to[x] = alpha << 24 | r << 16 | g << 8 | b;
    }
  }
  return {};
}

Result<std::string> with_record(const WebPMemoryWriter& memory, const std::string& record) {
  const WebPData plain{memory.mem, memory.size};
  if (record.empty()) return std::string(reinterpret_cast<const char*>(plain.bytes), plain.size);
  const Owned<WebPMux, WebPMuxDelete> mux(WebPMuxCreate(&plain, 0));
  const std::string packet = record_packet(record);
  const WebPData chunk{reinterpret_cast<const uint8_t*>(packet.data()), packet.size()};
  WebPData whole{};
  if (!mux || WebPMuxSetChunk(mux.get(), "XMP ", &chunk, 0) != WEBP_MUX_OK ||
      WebPMuxAssemble(mux.get(), &whole) != WEBP_MUX_OK) {
    return Status(StatusCode::kInternal, "libwebpmux could not add the record");
  }
  std::string file(reinterpret_cast<const char*>(whole.bytes), whole.size);
  WebPDataClear(&whole);
  return file;
}

}  // namespace

Result<ImageHeader> read_webp_header(Bytes file) {
  constexpr size_t kRiffHeader = 8;
  if (file.size() < 20) return at_offset(corrupt("the WebP file ends within its header"), file.size());
  const uint64_t whole = uint64_t{little_endian(file, 4)} + kRiffHeader;
  if (whole > file.size()) {
    return at_offset(corrupt("the WebP file ends early")
                         .expected(std::to_string(whole) + " bytes, as its header says")
                         .got(std::to_string(file.size()) + " bytes"),
                     file.size());
  }
  WebPBitstreamFeatures features;
  if (const VP8StatusCode code = WebPGetFeatures(data_of(file), file.size(), &features);
      code != VP8_STATUS_OK) {
    return decode_error(code, 12);
  }
  if (features.has_animation != 0) {
    return Status(StatusCode::kUnsupported, "animated WebP files are not read")
        .hint("save one frame as a still picture");
  }
  ImageHeader header;
  header.format = ImageFormat::kWebp;
  header.width = features.width;
  header.height = features.height;
  header.channels = features.has_alpha != 0 ? 4 : 3;
  header.orientation = exif_orientation(find_chunk(file, "EXIF"));
  return header;
}

Result<std::vector<std::byte>> read_webp_profile(Bytes file) {
  const Bytes profile = find_chunk(file, "ICCP");
  return copy_of(profile.data(), profile.size());
}

Status decode_webp(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled) {
  const int64_t row_bytes = writer.width() * writer.channels();
  std::vector<uint8_t> pixels(static_cast<size_t>(row_bytes * writer.height()));
  const WEBP_CSP_MODE mode = writer.channels() == 4 ? MODE_RGBA : MODE_RGB;
  const Owned<WebPIDecoder, WebPIDelete> decoder(
      WebPINewRGB(mode, pixels.data(), pixels.size(), static_cast<int>(row_bytes)));
  if (!decoder) return {StatusCode::kOutOfMemory, "out of memory"};
  VP8StatusCode code = VP8_STATUS_SUSPENDED;
  size_t fed = 0;
  while (code == VP8_STATUS_SUSPENDED && fed < file.size()) {
    if (cancelled && cancelled()) return cancelled_status();
    fed = std::min(file.size(), fed + kFeedBytes);
    code = WebPIUpdate(decoder.get(), data_of(file), fed);
  }
  if (code != VP8_STATUS_OK) return decode_error(code, fed);
  for (int64_t y = 0; y < writer.height(); ++y) writer.write(y, pixels.data() + y * row_bytes);
  return {};
}

Result<std::string> encode_webp(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                                const ImageCancelled& cancelled) {
  if (image.shape.width > WEBP_MAX_DIMENSION || image.shape.height > WEBP_MAX_DIMENSION) {
    return Status(StatusCode::kOutOfRange, "the picture is too large for WebP")
        .expected("sides of at most " + std::to_string(WEBP_MAX_DIMENSION) + " pixels")
        .got(std::to_string(image.shape.width) + " x " + std::to_string(image.shape.height));
  }
  if (Status status = check_record_size(options.record, ImageFormat::kWebp); !status.ok()) return status;
  WebPConfig config;
  Writer writer;
  if (WebPConfigInit(&config) == 0 || WebPPictureInit(&writer.picture) == 0) {
    return Status(StatusCode::kVersionMismatch, "libwebp is another version than its headers");
  }
  config.quality = static_cast<float>(options.quality);
  config.lossless = options.lossless ? 1 : 0;
  config.exact = options.lossless ? 1 : 0;  // colours behind transparent pixels too
  if (Status status = fill_picture(writer, image, index, options); !status.ok()) return status;
  writer.cancelled = &cancelled;
  writer.picture.writer = WebPMemoryWrite;
  writer.picture.custom_ptr = &writer.memory;
  writer.picture.progress_hook = Writer::keep_on;
  writer.picture.user_data = &writer;
  if (WebPEncode(&config, &writer.picture) == 0) {
    switch (writer.picture.error_code) {
      case VP8_ENC_ERROR_USER_ABORT: return cancelled_status();
      case VP8_ENC_ERROR_OUT_OF_MEMORY: return Status(StatusCode::kOutOfMemory, "out of memory");
      default:
        return Status(StatusCode::kInternal,
                      "libwebp: error " + std::to_string(static_cast<int>(writer.picture.error_code)));
    }
  }
  return with_record(writer.memory, options.record);
}

}  // namespace weft::files
