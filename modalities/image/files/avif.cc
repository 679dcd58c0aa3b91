// AVIF through libavif 0.11 or later.
#include <avif/avif.h>
#include <weft/sdk/owned.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "modalities/image/files/codecs.h"
#include "modalities/image/files/record.h"

namespace weft::files {
namespace {

using Decoder = Owned<avifDecoder, avifDecoderDestroy>;
struct Output {
  avifRWData data = AVIF_DATA_EMPTY;
  ~Output() { avifRWDataFree(&data); }
};

Status decode_error(const avifDecoder& decoder, avifResult code) {
  const std::string why = decoder.diag.error[0] != '\0' ? decoder.diag.error : avifResultToString(code);
  switch (code) {
    case AVIF_RESULT_OUT_OF_MEMORY: return {StatusCode::kOutOfMemory, "out of memory"};
    case AVIF_RESULT_NO_CODEC_AVAILABLE:
    case AVIF_RESULT_NOT_IMPLEMENTED:
    case AVIF_RESULT_UNSUPPORTED_DEPTH:
      return {StatusCode::kUnsupported, "the AVIF file has a part that is not read: " + why};
    default: return corrupt("the AVIF file is damaged: " + why);
  }
}

// Turning (anticlockwise, in quarters) and then mirroring, as one EXIF orientation.
uint8_t orientation_of(const avifImage& image) {
  const int turns = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle & 3 : 0;
  if ((image.transformFlags & AVIF_TRANSFORM_IMIR) == 0) {
    constexpr uint8_t kTurned[] = {1, 8, 3, 6};
    return kTurned[turns];
  }
  constexpr uint8_t kUpsideDown[] = {4, 5, 2, 7}, kLeftRight[] = {2, 7, 4, 5};
  return image.imir.mode == 0 ? kUpsideDown[turns] : kLeftRight[turns];
}

Result<Decoder> parse(Bytes file, int64_t max_side) {
  Decoder decoder(avifDecoderCreate());
  if (!decoder) return Status(StatusCode::kOutOfMemory, "out of memory");
  decoder->maxThreads = 1;
  decoder->ignoreExif = AVIF_TRUE;  // its orientation does not count in AVIF
  decoder->ignoreXMP = AVIF_TRUE;
  decoder->imageDimensionLimit = static_cast<uint32_t>(kMaxImageSide);
  decoder->imageSizeLimit =
      static_cast<uint32_t>(std::min<int64_t>(max_side * max_side, AVIF_DEFAULT_IMAGE_SIZE_LIMIT));
  decoder->imageCountLimit = 1;
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  if (avifResult code = avifDecoderSetIOMemory(decoder.get(), data, file.size()); code != AVIF_RESULT_OK) {
    return decode_error(*decoder, code);
  }
  if (avifResult code = avifDecoderParse(decoder.get()); code != AVIF_RESULT_OK) {
    return decode_error(*decoder, code);
  }
  return decoder;
}

}  // namespace

Result<ImageHeader> read_avif_header(Bytes file, const ImageLimits& limits) {
  const Result<Decoder> decoder = parse(file, limits.max_side);
  if (!decoder.ok()) return decoder.status();
  const avifImage& image = *(*decoder)->image;
  if ((*decoder)->imageCount != 1) {
    return Status(StatusCode::kUnsupported, "animated AVIF files are not read")
        .hint("save one frame as a still picture");
  }
  ImageHeader header;
  header.format = ImageFormat::kAvif;
  header.width = image.width;
  header.height = image.height;
  header.bits = static_cast<int>(image.depth);
  header.channels = (*decoder)->alphaPresent != AVIF_FALSE        ? 4
                    : image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? 1
                                                                  : 3;
  header.orientation = orientation_of(image);
  return header;
}

Result<std::vector<std::byte>> read_avif_profile(Bytes file) {
  const Result<Decoder> decoder = parse(file, kMaxImageSide);
  if (!decoder.ok()) return decoder.status();
  const avifRWData& icc = (*decoder)->image->icc;
  return copy_of(icc.data, icc.size);
}

Status decode_avif(Bytes file, const PixelWriter& writer, const ImageCancelled& cancelled) {
  const Result<Decoder> decoder = parse(file, kMaxImageSide);
  if (!decoder.ok()) return decoder.status();
  if (cancelled && cancelled()) return cancelled_status();
  if (avifResult code = avifDecoderNextImage(decoder->get()); code != AVIF_RESULT_OK) {
    return decode_error(**decoder, code);
  }
  const avifImage* image = (*decoder)->image;
  if (image->width != writer.width() || image->height != writer.height()) {
    return corrupt("the AVIF file's pixels have another size than its header says");
  }
  if (cancelled && cancelled()) return cancelled_status();
  const bool wide = image->depth > 8;
  const int64_t channels = writer.channels() == 4 ? 4 : 3;  // libavif makes no gray
  std::vector<uint8_t> pixels(static_cast<size_t>(writer.width() * writer.height() * channels) *
                              (wide ? 2 : 1));
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, image);
  rgb.format = channels == 4 ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.depth = wide ? 16 : 8;
  rgb.pixels = pixels.data();
  rgb.rowBytes = static_cast<uint32_t>(writer.width() * channels * (wide ? 2 : 1));
  if (avifResult code = avifImageYUVToRGB(image, &rgb); code != AVIF_RESULT_OK)
    return decode_error(**decoder, code);
  for (int64_t y = 0; y < writer.height(); ++y) {
    uint8_t* row = pixels.data() + y * static_cast<int64_t>(rgb.rowBytes);
    auto* wide_row = reinterpret_cast<uint16_t*>(row);
    if (writer.channels() == 1) {
      for (int64_t x = 0; x < writer.width(); ++x) {
        if (wide) wide_row[x] = wide_row[3 * x];
        else row[x] = row[3 * x];
      }
    }
    if (wide) writer.write(y, wide_row);
    else writer.write(y, row);
  }
  return {};
}

Result<std::string> encode_avif(const ImageView& image, int64_t index, const ImageEncodeOptions& options,
                                const ImageCancelled& cancelled) {
  if (Status status = check_record_size(options.record, ImageFormat::kAvif); !status.ok()) return status;
  const ImageShape& shape = image.shape;
  const int64_t channels = shape.has_alpha() ? 4 : 3;
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.width * shape.height * channels));
  std::vector<float> values(static_cast<size_t>(shape.width * shape.channels));
  for (int64_t y = 0; y < shape.height; ++y) {
    uint8_t* row = pixels.data() + y * shape.width * channels;
    encode_row(image, index, y, options.color_space, values.data(), row);
    for (int64_t x = shape.width; shape.channels == 1 && x-- > 0;)
      row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = row[x];
  }
  if (cancelled && cancelled()) return cancelled_status();

  const bool full_colour = options.lossless || options.quality >= 90;
  const avifPixelFormat format = shape.channels == 1 ? AVIF_PIXEL_FORMAT_YUV400
                                 : full_colour       ? AVIF_PIXEL_FORMAT_YUV444
                                                     : AVIF_PIXEL_FORMAT_YUV420;
  const Owned<avifImage, avifImageDestroy> picture(
      avifImageCreate(static_cast<uint32_t>(shape.width), static_cast<uint32_t>(shape.height), 8, format));
  const Owned<avifEncoder, avifEncoderDestroy> encoder(avifEncoderCreate());
  if (!picture || !encoder) return Status(StatusCode::kOutOfMemory, "out of memory");
  picture->colorPrimaries = AVIF_COLOR_PRIMARIES_BT709;
  picture->transferCharacteristics = AVIF_TRANSFER_CHARACTERISTICS_SRGB;
  // Only RGB itself survives without loss.
  picture->matrixCoefficients = options.lossless && shape.channels != 1 ? AVIF_MATRIX_COEFFICIENTS_IDENTITY
                                                                        : AVIF_MATRIX_COEFFICIENTS_BT601;
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, picture.get());
  rgb.format = channels == 4 ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.depth = 8;
  rgb.pixels = pixels.data();
  rgb.rowBytes = static_cast<uint32_t>(shape.width * channels);
  avifResult code = avifImageRGBToYUV(picture.get(), &rgb);
  if (code == AVIF_RESULT_OK && !options.record.empty()) {
    const std::string packet = record_packet(options.record);
    avifImageSetMetadataXMP(picture.get(), reinterpret_cast<const uint8_t*>(packet.data()), packet.size());
  }
  constexpr int kSpeed = 8;  // of 0 to 10: a second for a megapixel on one core
  encoder->maxThreads = 1;   // the file must not depend on it
  encoder->speed = kSpeed;
  const int loss = options.lossless ? 0 : ((100 - options.quality) * AVIF_QUANTIZER_WORST_QUALITY + 50) / 100;
  encoder->minQuantizer = encoder->maxQuantizer = loss;
  encoder->minQuantizerAlpha = encoder->maxQuantizerAlpha = loss;
  Output output;
  if (code == AVIF_RESULT_OK) code = avifEncoderWrite(encoder.get(), picture.get(), &output.data);
  if (code == AVIF_RESULT_OK)
    return std::string(reinterpret_cast<const char*>(output.data.data), output.data.size);
  if (code == AVIF_RESULT_NO_CODEC_AVAILABLE) {
    return Status(StatusCode::kUnsupported, "this libavif has no encoder").hint("save as PNG or WebP");
  }
  return Status(StatusCode::kInternal, std::string("libavif: ") + avifResultToString(code));
}

}  // namespace weft::files
