// Profiles made here with Little CMS: what colours become, in which files they are found, and what is refused.
#include "modalities/image/files/color_transform.h"

#ifdef WEFT_HAS_AVIF
#include <avif/avif.h>
#endif
#include <gmock/gmock.h>
#include <lcms2.h>
#include <webp/mux.h>
#include <weft/sdk/owned.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "modalities/image/files/image_file.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using Pixels = ColorTransform::Pixels;
using Profile = Owned<void, cmsCloseProfile>;

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string saved(cmsHPROFILE owned) {
  const Profile profile(owned);
  cmsUInt32Number size = 0;
  EXPECT_TRUE(profile && cmsSaveProfileToMem(profile.get(), nullptr, &size));
  std::string out(size, '\0');
  EXPECT_TRUE(cmsSaveProfileToMem(profile.get(), out.data(), &size));
  return out;
}

cmsToneCurve* gamma(double exponent) {
  static std::vector<Owned<cmsToneCurve, cmsFreeToneCurve>> kept;
  return kept.emplace_back(cmsBuildGamma(nullptr, exponent)).get();
}

// Adobe RGB (1998): its primaries, the white of sRGB, a power of 563 / 256.
std::string adobe_rgb() {
  const cmsCIExyY white = {0.3127, 0.3290, 1};
  const cmsCIExyYTRIPLE primaries = {{0.64, 0.33, 1}, {0.21, 0.71, 1}, {0.15, 0.06, 1}};
  cmsToneCurve* curves[3] = {gamma(563.0 / 256), gamma(563.0 / 256), gamma(563.0 / 256)};
  return saved(cmsCreateRGBProfile(&white, &primaries, curves));
}

std::string gray_of_power(double exponent) {
  return saved(cmsCreateGrayProfile(cmsD50_xyY(), gamma(exponent)));
}

// Inks that only darken: neutral, with the lightness that their mean and black leave.
std::string cmyk() {
  cmsHPROFILE profile = cmsCreateProfilePlaceholder(nullptr);
  cmsSetProfileVersion(profile, 2.1);
  cmsSetDeviceClass(profile, cmsSigOutputClass);
  cmsSetColorSpace(profile, cmsSigCmykData);
  cmsSetPCS(profile, cmsSigLabData);
  cmsPipeline* pipeline = cmsPipelineAlloc(nullptr, 4, 3);
  cmsStage* table = cmsStageAllocCLut16bit(nullptr, 9, 4, 3, nullptr);
  const cmsSAMPLER16 sample = [](const cmsUInt16Number in[], cmsUInt16Number out[], void*) -> cmsInt32Number {
    const double mean = (in[0] + in[1] + in[2]) / 3.0 / 65535, black = in[3] / 65535.0;
    const cmsCIELab lab = {100 * (1 - mean) * (1 - black), 0, 0};
    cmsFloat2LabEncodedV2(out, &lab);
    return 1;
  };
  EXPECT_TRUE(cmsStageSampleCLut16bit(table, sample, nullptr, 0));
  cmsPipelineInsertStage(pipeline, cmsAT_END, table);
  EXPECT_TRUE(cmsWriteTag(profile, cmsSigAToB0Tag, pipeline));
  cmsPipelineFree(pipeline);
  return saved(profile);
}

// Of a colour of Adobe RGB in 0..1, by the matrices of the two standards.
std::array<double, 3> srgb_of_adobe(std::array<double, 3> color) {
  for (double& c : color) c = std::pow(c, 563.0 / 256);
  const auto [r, g, b] = color;
  const double x = 0.57667 * r + 0.18556 * g + 0.18823 * b, y = 0.29734 * r + 0.62736 * g + 0.07529 * b,
               z = 0.02703 * r + 0.07069 * g + 0.99134 * b;
  std::array<double, 3> linear = {3.2406 * x - 1.5372 * y - 0.4986 * z, -0.9689 * x + 1.8758 * y + 0.0415 * z,
                                  0.0557 * x - 0.2040 * y + 1.0570 * z};
  for (double& c : linear)
    c = c <= 0.0031308 ? std::max(12.92 * c, 0.0) : std::min(1.055 * std::pow(c, 1 / 2.4) - 0.055, 1.0);
  return linear;
}

std::string error_of(const std::string& profile, Pixels pixels = Pixels::kGrayOrRgb) {
  const auto transform = ColorTransform::from_profile(bytes(profile), pixels);
  return transform.ok() ? "no error" : to_string(transform.error());
}

constexpr ImageShape kShape{1, 4, 5, 3};

std::vector<uint8_t> some_colors(int64_t count) {
  std::vector<uint8_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<uint8_t>(37 * i + 11));
  return values;
}

std::string encoded(ImageFormat format, std::vector<uint8_t> pixels) {
  ImageEncodeOptions options;
  options.format = format;
  options.lossless = true;
  const auto file = encode_image(packed_image_view(pixels.data(), WEFT_DTYPE_U8, kShape), 0, options, {});
  EXPECT_TRUE(file.ok());
  return *file;
}

std::string big_endian(size_t value, int bytes) {
  std::string out;
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes) & 255);
  return out;
}

std::string png_with(const std::string& profile, const std::string& file) {
  std::string chunk = std::string("iCCPname\0\0", 10);
  uLongf size = compressBound(profile.size());
  std::string stream(size, '\0');
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(stream.data()), &size,
                     reinterpret_cast<const Bytef*>(profile.data()), profile.size()),
            Z_OK);
  chunk.append(stream, 0, size);
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
  constexpr size_t kAfterHeader = 33;
  return file.substr(0, kAfterHeader) + big_endian(chunk.size() - 4, 4) + chunk + big_endian(sum, 4) +
         file.substr(kAfterHeader);
}

// In place of the one that says sRGB.
std::string jpeg_with(const std::string& profile, std::string file) {
  const size_t name = file.find("ICC_PROFILE");
  EXPECT_NE(name, std::string::npos);
  const size_t old = static_cast<uint8_t>(file[name - 2]) * 256u + static_cast<uint8_t>(file[name - 1]);
  const std::string segment =
      big_endian(profile.size() + 16, 2) + std::string("ICC_PROFILE\0\1\1", 14) + profile;
  return file.replace(name - 2, old, segment);
}

std::string webp_with(const std::string& profile, const std::string& file) {
  const WebPData plain{reinterpret_cast<const uint8_t*>(file.data()), file.size()};
  const WebPData icc{reinterpret_cast<const uint8_t*>(profile.data()), profile.size()};
  const Owned<WebPMux, WebPMuxDelete> mux(WebPMuxCreate(&plain, 1));
  WebPData whole{};
  EXPECT_EQ(WebPMuxSetChunk(mux.get(), "ICCP", &icc, 1), WEBP_MUX_OK);
  EXPECT_EQ(WebPMuxAssemble(mux.get(), &whole), WEBP_MUX_OK);
  std::string out(reinterpret_cast<const char*>(whole.bytes), whole.size);
  WebPDataClear(&whole);
  return out;
}

#ifdef WEFT_HAS_AVIF
std::string avif_with(const std::string& profile, const std::string& file) {
  const Owned<avifImage, avifImageDestroy> image(avifImageCreateEmpty());
  const Owned<avifDecoder, avifDecoderDestroy> decoder(avifDecoderCreate());
  EXPECT_EQ(avifDecoderReadMemory(decoder.get(), image.get(), reinterpret_cast<const uint8_t*>(file.data()),
                                  file.size()),
            AVIF_RESULT_OK);
  avifImageSetProfileICC(image.get(), reinterpret_cast<const uint8_t*>(profile.data()), profile.size());
  const Owned<avifEncoder, avifEncoderDestroy> encoder(avifEncoderCreate());
  encoder->minQuantizer = encoder->maxQuantizer = AVIF_QUANTIZER_LOSSLESS;
  avifRWData whole = AVIF_DATA_EMPTY;
  EXPECT_EQ(avifEncoderWrite(encoder.get(), image.get(), &whole), AVIF_RESULT_OK);
  std::string out(reinterpret_cast<const char*>(whole.data), whole.size);
  avifRWDataFree(&whole);
  return out;
}
#endif

std::string file_with(const std::string& profile, ImageFormat format, const std::string& file) {
  switch (format) {
    case ImageFormat::kPng: return png_with(profile, file);
    case ImageFormat::kJpeg: return jpeg_with(profile, file);
    case ImageFormat::kWebp: return webp_with(profile, file);
#ifdef WEFT_HAS_AVIF
    case ImageFormat::kAvif: return avif_with(profile, file);
#endif
    default: ADD_FAILURE() << "a format without profiles"; return {};
  }
}

TEST(ColorTransform, BringsAdobeRgbToSrgb) {
  const auto transform = ColorTransform::from_profile(bytes(adobe_rgb()), Pixels::kGrayOrRgb);
  ASSERT_TRUE(transform.ok()) << to_string(transform.error());
  std::vector<uint8_t> u8 = some_colors(60);
  std::vector<float> f32;
  for (const uint8_t value : u8) f32.push_back(static_cast<float>(value) / 255);
  std::vector<double> wanted;
  for (size_t i = 0; i < u8.size(); i += 3)
    for (const double c : srgb_of_adobe({f32[i], f32[i + 1], f32[i + 2]})) wanted.push_back(c);
  ASSERT_TRUE(transform->apply(packed_image_view(u8.data(), WEFT_DTYPE_U8, kShape), {}).ok());
  ASSERT_TRUE(transform->apply(packed_image_view(f32.data(), WEFT_DTYPE_F32, kShape), {}).ok());
  for (size_t i = 0; i < u8.size(); ++i) {
    EXPECT_NEAR(f32[i], wanted[i], 3e-3) << i;
    EXPECT_NEAR(u8[i], 255 * wanted[i], 1.5) << i;
  }
}

TEST(ColorTransform, TakesWhatGivesSrgbForSrgb) {
  for (const int64_t channels : {1, 3}) {
    const auto transform = ColorTransform::from_profile(bytes(srgb_profile(channels)), Pixels::kGrayOrRgb);
    ASSERT_TRUE(transform.ok());
    EXPECT_TRUE(transform->is_identity()) << channels;
    EXPECT_EQ(srgb_profile(channels), srgb_profile(channels));
    EXPECT_EQ(srgb_profile(channels).substr(24, 4), std::string("\x07\xe4\0\1", 4))
        << "a fixed year and month";
  }
  EXPECT_TRUE(ColorTransform::from_profile({}, Pixels::kGrayOrRgb)->is_identity());
}

TEST(ColorTransform, KeepsGrayGrayAndAlphaAsItIs) {
  const auto gray = ColorTransform::from_profile(bytes(gray_of_power(1.0)), Pixels::kGrayOrRgb);
  ASSERT_TRUE(gray.ok()) << to_string(gray.error());
  std::vector<uint8_t> one = {0, 54, 255};  // 54 / 255 of the light is 127 / 255 in sRGB
  ASSERT_TRUE(gray->apply(packed_image_view(one.data(), WEFT_DTYPE_U8, {1, 1, 3, 1}), {}).ok());
  EXPECT_EQ(one[0], 0);
  EXPECT_NEAR(one[1], 127, 1);
  EXPECT_EQ(one[2], 255);
  std::vector<uint8_t> rgba = {54, 54, 54, 7};
  ASSERT_TRUE(gray->apply(packed_image_view(rgba.data(), WEFT_DTYPE_U8, {1, 1, 1, 4}), {}).ok());
  EXPECT_NEAR(rgba[0], 127, 1);
  EXPECT_TRUE(rgba[0] == rgba[1] && rgba[1] == rgba[2]);
  EXPECT_EQ(rgba[3], 7);
  const auto adobe = ColorTransform::from_profile(bytes(adobe_rgb()), Pixels::kGrayOrRgb);
  std::vector<uint8_t> neutral = {20};
  ASSERT_TRUE(adobe->apply(packed_image_view(neutral.data(), WEFT_DTYPE_U8, {1, 1, 1, 1}), {}).ok());
  EXPECT_NEAR(neutral[0], 255 * srgb_of_adobe({20 / 255.0, 20 / 255.0, 20 / 255.0})[1], 1);
  EXPECT_EQ(adobe->apply(packed_image_view(neutral.data(), WEFT_DTYPE_U8, {1, 1, 1, 1}), [] { return true; })
                .code(),
            StatusCode::kCancelled);
}

TEST(ColorTransform, BringsInksToRgb) {
  const auto transform = ColorTransform::from_profile(bytes(cmyk()), Pixels::kInks);
  ASSERT_TRUE(transform.ok()) << to_string(transform.error());
  const uint8_t inks[] = {255, 255, 255, 255, 255, 255, 255, 0, 128, 128, 128, 255};
  uint8_t rgb[9] = {};
  transform->inks_to_rgb(inks, rgb, 3);
  for (int c = 0; c < 3; ++c) {
    EXPECT_GE(rgb[c], 253);
    EXPECT_LE(rgb[3 + c], 2);
    EXPECT_NEAR(rgb[6 + c], 119, 3) << "half the lightness";
  }
}

class ProfilesInFiles : public ::testing::TestWithParam<ImageFormat> {};

TEST_P(ProfilesInFiles, AreAppliedUnlessTheyAreToBeKept) {
  const std::string plain = encoded(GetParam(), some_colors(kShape.elements()));
  const std::string file = file_with(adobe_rgb(), GetParam(), plain);
  const auto header = read_image_header(bytes(file), {});
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  const auto colors = read_color_transform(bytes(file), *header);
  ASSERT_TRUE(colors.ok()) << to_string(colors.error());
  ASSERT_FALSE(colors->is_identity());
  EXPECT_TRUE(read_color_transform(bytes(plain), *header)->is_identity()) << "what is written says sRGB";
  std::vector<uint8_t> stored(static_cast<size_t>(kShape.elements())), converted(stored.size());
  const auto view_of = [](std::vector<uint8_t>& to) {
    return packed_image_view(to.data(), WEFT_DTYPE_U8, kShape);
  };
  ASSERT_TRUE(decode_image(bytes(file), *header, view_of(stored), {}).ok());
  ASSERT_TRUE(decode_image(bytes(file), *header, view_of(converted), {}, *colors).ok());
  if (GetParam() != ImageFormat::kJpeg) {
    EXPECT_EQ(stored, some_colors(kShape.elements()));
  }
  for (size_t i = 0; i < stored.size(); i += 3) {
    const auto wanted = srgb_of_adobe({stored[i] / 255.0, stored[i + 1] / 255.0, stored[i + 2] / 255.0});
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(converted[i + c], 255 * wanted[c], 1.5) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(All, ProfilesInFiles,
                         ::testing::Values(ImageFormat::kPng, ImageFormat::kJpeg, ImageFormat::kWebp),
                         [](const auto& test) { return std::string(to_string(test.param)); });
#ifdef WEFT_HAS_AVIF
INSTANTIATE_TEST_SUITE_P(Avif, ProfilesInFiles, ::testing::Values(ImageFormat::kAvif));
#endif

TEST(ColorTransform, RefusesWhatDoesNotBelongToThePixels) {
  EXPECT_THAT(error_of(cmyk()), HasSubstr("one of CMYK"));
  EXPECT_THAT(error_of(adobe_rgb(), Pixels::kInks), HasSubstr("one of RGB"));
  EXPECT_THAT(error_of(saved(cmsCreateLab4Profile(nullptr))), HasSubstr("colour profile"));
  EXPECT_THAT(error_of(saved(cmsCreateInkLimitingDeviceLink(cmsSigCmykData, 200))),
              HasSubstr("does not describe"));
  EXPECT_THAT(error_of("no profile at all"), HasSubstr("damaged"));
}

TEST(ColorTransform, RefusesDamagedProfiles) {
  for (const std::string& whole : {adobe_rgb(), gray_of_power(1.8)}) {
    for (size_t size = 1; size < whole.size(); size += 7) {
      const auto cut = ColorTransform::from_profile(bytes(whole.substr(0, size)), Pixels::kGrayOrRgb);
      if (!cut.ok()) {
        EXPECT_FALSE(cut.error().message.empty());
      }
    }
    EXPECT_THAT(error_of(whole.substr(0, whole.size() / 2)), HasSubstr("damaged"));
  }
  // A table of colours that says it has 255 points in each of 4 directions: more memory than is given.
  std::string greedy = cmyk();
  const size_t table = greedy.find("mft2");
  ASSERT_NE(table, std::string::npos);
  greedy[table + 10] = '\xff';
  EXPECT_THAT(error_of(greedy, Pixels::kInks), HasSubstr("damaged"));
}

TEST(ColorTransform, RefusesLargeProfilesBeforeTheyAreInflated) {
  const std::string large(kMaxProfileBytes + 1, '\0');
  EXPECT_THAT(error_of(large), HasSubstr("too large"));
  const std::string plain = encoded(ImageFormat::kPng, some_colors(kShape.elements()));
  const std::string bomb = png_with(std::string(64 << 20, '\0'), plain);
  EXPECT_LT(bomb.size(), 100'000u);
  const auto header = read_image_header(bytes(bomb), {});
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  const auto colors = read_color_transform(bytes(bomb), *header);
  ASSERT_FALSE(colors.ok());
  EXPECT_EQ(colors.code(), StatusCode::kOutOfRange);
}

TEST(ColorTransform, NoticesADamagedChunk) {
  std::string file = png_with(adobe_rgb(), encoded(ImageFormat::kPng, some_colors(kShape.elements())));
  file[60] ^= 1;
  const auto header = read_image_header(bytes(file), {});
  ASSERT_TRUE(header.ok());
  const auto colors = read_color_transform(bytes(file), *header);
  ASSERT_FALSE(colors.ok());
  EXPECT_THAT(to_string(colors.error()), HasSubstr("check sum"));
}

}  // namespace
}  // namespace weft
