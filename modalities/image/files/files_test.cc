// Files of every kind against the pixels that Pillow reads from them (assets/golden/images, made by
// scripts/make_golden/images.py), files written here read again, and files that are broken.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "modalities/image/files/image_file.h"
#include "modalities/image/files/record.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr char kFolder[] = "assets/golden/images/";

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

Result<std::vector<uint8_t>> decode(const std::string& file, ImageHeader* header_out = nullptr) {
  Result<ImageHeader> header = read_image_header(bytes(file), {});
  if (!header.ok()) return header.status();
  if (header_out != nullptr) *header_out = *header;
  std::vector<uint8_t> pixels(static_cast<size_t>(header->shape().elements()));
  Status status = decode_image(bytes(file), *header,
                               packed_image_view(pixels.data(), WEFT_DTYPE_U8, header->shape()), {});
  if (!status.ok()) return status;
  return pixels;
}

struct Golden {
  const char* name;
  int64_t width, height, channels;
  int bits;
  int tolerance;  // of a byte; 0: lossless. Lossy decoders may round colour conversion either way.
};

class GoldenFiles : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenFiles, HaveThePixelsThatPillowReads) {
  const Golden& golden = GetParam();
  const std::string file = read(kFolder + std::string("files/") + golden.name);
  if (!is_supported(*image_format_of(bytes(file)))) GTEST_SKIP() << "skipped: built without libavif";
  ImageHeader header;
  const Result<std::vector<uint8_t>> pixels = decode(file, &header);
  ASSERT_TRUE(pixels.ok()) << to_string(pixels.error());
  EXPECT_EQ(header.shape(), (ImageShape{1, golden.height, golden.width, golden.channels}));
  EXPECT_EQ(header.bits, golden.bits);
  const std::string expected = read(kFolder + std::string("pixels/") + golden.name + ".raw");
  ASSERT_EQ(pixels->size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_LE(std::abs(int{(*pixels)[i]} - int{static_cast<uint8_t>(expected[i])}), golden.tolerance)
        << "at " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GoldenFiles,
    ::testing::Values(Golden{"gray.png", 20, 12, 1, 8, 0}, Golden{"rgb.png", 20, 12, 3, 8, 0},
                      Golden{"rgba.png", 20, 12, 4, 8, 0}, Golden{"gray_alpha.png", 20, 12, 4, 8, 0},
                      Golden{"bits_1.png", 20, 12, 1, 1, 0}, Golden{"bits_16.png", 20, 12, 4, 16, 0},
                      Golden{"palette.png", 20, 12, 3, 4, 0}, Golden{"palette_alpha.png", 20, 12, 4, 4, 0},
                      Golden{"turned.png", 12, 20, 3, 8, 0}, Golden{"rgb.jpg", 20, 12, 3, 8, 1},
                      Golden{"gray.jpg", 20, 12, 1, 8, 0}, Golden{"progressive.jpg", 20, 12, 3, 8, 1},
                      Golden{"cmyk.jpg", 20, 12, 3, 8, 1}, Golden{"rgb.webp", 20, 12, 3, 8, 1},
                      Golden{"rgba.webp", 20, 12, 4, 8, 0}, Golden{"turned.webp", 12, 20, 3, 8, 0},
                      Golden{"rgb.avif", 20, 12, 3, 8, 2}, Golden{"rgba.avif", 20, 12, 4, 8, 2},
                      Golden{"turned_1.jpg", 20, 12, 3, 8, 1}, Golden{"turned_2.jpg", 20, 12, 3, 8, 1},
                      Golden{"turned_3.jpg", 20, 12, 3, 8, 1}, Golden{"turned_4.jpg", 20, 12, 3, 8, 1},
                      Golden{"turned_5.jpg", 12, 20, 3, 8, 1}, Golden{"turned_6.jpg", 12, 20, 3, 8, 1},
                      Golden{"turned_7.jpg", 12, 20, 3, 8, 1}, Golden{"turned_8.jpg", 12, 20, 3, 8, 1}),
    [](const auto& test) {
      std::string name = test.param.name;
      for (char& c : name) c = c == '.' ? '_' : c;
      return name;
    });

TEST(DecodeImage, KeepsSixteenBitsInFloats) {
  const std::string file = read(std::string(kFolder) + "files/bits_16.png");
  const Result<ImageHeader> header = read_image_header(bytes(file), {});
  ASSERT_TRUE(header.ok());
  std::vector<float> pixels(static_cast<size_t>(header->shape().elements()));
  const ImageView view = packed_image_view(pixels.data(), WEFT_DTYPE_F32, header->shape());
  ASSERT_TRUE(decode_image(bytes(file), *header, view, {}).ok());
  EXPECT_EQ(pixels[4], 12 * 257 / 65535.0f);              // the second pixel's red
  EXPECT_EQ(pixels[4 * 10], (120 * 257 - 1) / 65535.0f);  // the eleventh's: no multiple of 257
}

// ---- writing ---------------------------------------------------------------------------------------------------------

std::vector<uint8_t> gradient(const ImageShape& shape) {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < shape.height; ++y) {
    for (int64_t x = 0; x < shape.width; ++x) {
      for (int64_t c = 0; c < shape.channels; ++c)
        pixels.push_back(static_cast<uint8_t>(x * 7 + y * 3 + c * 40));
    }
  }
  return pixels;
}

TEST(EncodeImage, GivesBackWhatWasWritten) {
  for (const ImageFormat format :
       {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp, ImageFormat::kAvif}) {
    if (!is_supported(format)) continue;
    for (const int64_t channels : {1, 3, 4}) {
      if (format == ImageFormat::kJpeg && channels == 4) continue;
      const ImageShape shape{1, 9, 17, channels};
      std::vector<uint8_t> pixels = gradient(shape);
      ImageEncodeOptions options;
      options.format = format;
      options.quality = 95;
      options.lossless = true;
      const Result<std::string> file =
          encode_image(packed_image_view(pixels.data(), WEFT_DTYPE_U8, shape), 0, options, {});
      ASSERT_TRUE(file.ok()) << to_string(file.error());
      EXPECT_EQ(image_format_of(bytes(*file)), format);
      ImageHeader header;
      const Result<std::vector<uint8_t>> again = decode(*file, &header);
      ASSERT_TRUE(again.ok()) << to_string(again.error());
      ASSERT_EQ(header.width, 17);
      ASSERT_EQ(header.height, 9);
      const int tolerance = format == ImageFormat::kJpeg ? 6 : 0;
      for (size_t pixel = 0; pixel < 9 * 17; ++pixel) {
        for (int64_t c = 0; c < channels; ++c) {  // WebP has no gray: all three are equal
          const int got = (*again)[pixel * static_cast<size_t>(header.channels) + static_cast<size_t>(c)];
          ASSERT_LE(std::abs(got - pixels[pixel * static_cast<size_t>(channels) + static_cast<size_t>(c)]),
                    tolerance)
              << to_string(format) << ", " << channels << " channels, pixel " << pixel;
        }
      }
    }
  }
}

TEST(EncodeImage, RoundsFloatsAndEncodesLinearLight) {
  std::vector<float> pixels = {0.5f, -1, 2, 0.2145f};
  ImageEncodeOptions options;
  const ImageView view = packed_image_view(pixels.data(), WEFT_DTYPE_F32, {1, 1, 4, 1});
  EXPECT_EQ(*decode(*encode_image(view, 0, options, {})), (std::vector<uint8_t>{128, 0, 255, 55}));
  options.color_space = ColorSpace::kLinear;
  EXPECT_EQ((*decode(*encode_image(view, 0, options, {})))[3], 128);
}

TEST(EncodeImage, KeepsTheRecordInEveryFormat) {
  std::vector<uint8_t> pixels = gradient({1, 8, 8, 3});
  const ImageView view = packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, 8, 8, 3});
  const std::string record = "{\"text\":\"a <b> & \\\"c\\\" 'd' ]]> 你好 &lt;\"}";
  for (const ImageFormat format :
       {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp, ImageFormat::kAvif}) {
    if (!is_supported(format)) continue;
    ImageEncodeOptions options;
    options.format = format;
    EXPECT_EQ(*read_image_record(bytes(*encode_image(view, 0, options, {}))), std::nullopt);
    options.record = record;
    const Result<std::string> file = encode_image(view, 0, options, {});
    ASSERT_TRUE(file.ok()) << to_string(file.error());
    const Result<std::optional<std::string>> found = read_image_record(bytes(*file));
    ASSERT_TRUE(found.ok() && found->has_value()) << to_string(format);
    EXPECT_EQ(**found, record) << to_string(format);
    EXPECT_TRUE(decode(*file).ok());
    EXPECT_EQ(*encode_image(view, 0, options, {}), *file);  // equal input, equal bytes
  }
}

TEST(EncodeImage, RefusesWhatAFormatCannotHold) {
  std::vector<uint8_t> pixels = gradient({1, 1, 20000, 4});
  ImageEncodeOptions options;
  options.format = ImageFormat::kWebp;
  EXPECT_EQ(
      encode_image(packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, 1, 20000, 4}), 0, options, {}).code(),
      StatusCode::kOutOfRange);
  options.format = ImageFormat::kJpeg;
  EXPECT_EQ(
      encode_image(packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, 1, 8, 4}), 0, options, {}).code(),
      StatusCode::kUnsupported);
  options.record = std::string(70'000, 'x');
  const Result<std::string> file =
      encode_image(packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, 1, 8, 3}), 0, options, {});
  ASSERT_EQ(file.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(file.error().hint, HasSubstr("PNG"));
}

TEST(EncodeImage, StopsWhenCancelled) {
  std::vector<uint8_t> pixels = gradient({1, 64, 64, 3});
  for (const ImageFormat format :
       {ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp, ImageFormat::kAvif}) {
    if (!is_supported(format)) continue;
    ImageEncodeOptions options;
    options.format = format;
    const ImageView view = packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, 64, 64, 3});
    EXPECT_EQ(encode_image(view, 0, options, [] { return true; }).code(), StatusCode::kCancelled)
        << to_string(format);
    const std::string file = *encode_image(view, 0, options, {});
    const Result<ImageHeader> header = read_image_header(bytes(file), {});
    EXPECT_EQ(decode_image(bytes(file), *header, view, [] { return true; }).code(), StatusCode::kCancelled);
  }
}

// ---- files that cannot be trusted ------------------------------------------------------------------------------------

TEST(ImageFiles, AreKnownByTheirFirstBytesOnly) {
  for (const std::string& file :
       {std::string("BM6"), std::string("GIF89a"), std::string("<svg/>"), std::string()}) {
    const Result<ImageHeader> header = read_image_header(bytes(file), {});
    ASSERT_FALSE(header.ok());
    EXPECT_EQ(header.code(), StatusCode::kUnsupported);
    EXPECT_THAT(header.error().expected, HasSubstr("PNG, JPEG"));
  }
  EXPECT_EQ(image_format_of_name("a.b.JPeg"), ImageFormat::kJpeg);
  EXPECT_EQ(image_format_of_name("png"), std::nullopt);
  EXPECT_EQ(image_format_of_name("a.gif"), std::nullopt);
}

std::string png_of_size(uint32_t width, uint32_t height) {
  std::string file = read(std::string(kFolder) + "files/rgb.png");
  for (int i = 0; i < 4; ++i) {
    file[16 + i] = static_cast<char>(width >> (24 - 8 * i));
    file[20 + i] = static_cast<char>(height >> (24 - 8 * i));
  }
  return file;
}

TEST(ImageFiles, OfHugePicturesAreRefusedFromTheHeader) {
  std::string jpeg = read(std::string(kFolder) + "files/rgb.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  for (const size_t side : {frame + 5, frame + 7}) {
    jpeg[side] = static_cast<char>(32000 >> 8);
    jpeg[side + 1] = static_cast<char>(32000 & 0xFF);
  }
  jpeg.resize(jpeg.find("\xff\xda") + 14);  // the pixels are not even there
  for (const std::string& file :
       {png_of_size(65535, 65535).substr(0, 33), png_of_size(0xFFFFFFFF, 1), jpeg}) {
    const Result<ImageHeader> header = read_image_header(bytes(file), {});
    ASSERT_FALSE(header.ok());
    EXPECT_EQ(header.code(), StatusCode::kOutOfRange) << to_string(header.error());
    EXPECT_THAT(header.error().expected, HasSubstr("8192"));
  }
  EXPECT_EQ(read_image_header(bytes(png_of_size(20, 0)), {}).ok(), false);
  ImageLimits small;
  small.max_side = 16;
  EXPECT_EQ(read_image_header(bytes(read(std::string(kFolder) + "files/rgb.webp")), small).code(),
            StatusCode::kOutOfRange);
}

class AllFiles : public ::testing::TestWithParam<const char*> {};

TEST_P(AllFiles, CutShortAnywhereAreRefused) {
  const std::string file = read(std::string(kFolder) + "files/" + GetParam());
  if (!is_supported(*image_format_of(bytes(file)))) GTEST_SKIP() << "skipped: built without libavif";
  // The last two bytes of a JPEG file are a mark that decoders do without.
  for (size_t size = 0; size + 2 < file.size(); ++size) {
    const Result<std::vector<uint8_t>> pixels = decode(file.substr(0, size));
    ASSERT_FALSE(pixels.ok()) << size << " of " << file.size() << " bytes";
    EXPECT_FALSE(pixels.error().message.empty());
  }
}

TEST_P(AllFiles, WithAnyByteChangedAreReadOrRefused) {
  const std::string file = read(std::string(kFolder) + "files/" + GetParam());
  for (size_t i = 0; i < file.size(); ++i) {
    std::string changed = file;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    if (const Result<std::vector<uint8_t>> pixels = decode(changed); !pixels.ok()) {
      EXPECT_FALSE(pixels.error().message.empty());
    }
    (void)read_image_record(bytes(changed));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, AllFiles,
                         ::testing::Values("rgb.png", "palette_alpha.png", "rgb.jpg", "progressive.jpg",
                                           "rgb.webp", "rgba.webp", "rgb.avif", "rgba.avif"),
                         [](const auto& test) {
                           std::string name = test.param;
                           name[name.find('.')] = '_';
                           return name;
                         });

TEST(ImageFiles, SayWhereTheyAreDamaged) {
  std::string png = read(std::string(kFolder) + "files/rgb.png");
  png[png.size() - 30] = static_cast<char>(png[png.size() - 30] ^ 1);
  const Result<std::vector<uint8_t>> damaged = decode(png);
  ASSERT_EQ(damaged.code(), StatusCode::kCorruptData);
  EXPECT_THAT(damaged.error().where, HasSubstr("offset "));
  const std::string jpeg = read(std::string(kFolder) + "files/rgb.jpg");
  const Result<std::vector<uint8_t>> early = decode(jpeg.substr(0, jpeg.size() - 40));
  ASSERT_EQ(early.code(), StatusCode::kCorruptData);
  EXPECT_THAT(early.error().message, HasSubstr("Premature end"));
  EXPECT_THAT(early.error().where, HasSubstr("offset " + std::to_string(jpeg.size() - 40)));
}

}  // namespace
}  // namespace weft
