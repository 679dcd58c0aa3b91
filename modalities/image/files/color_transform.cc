#include "modalities/image/files/color_transform.h"

#include <lcms2_plugin.h>
#include <weft/sdk/owned.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace weft {
namespace {

constexpr cmsUInt32Number kLargestBlock = 64 << 20;  // of memory, for a profile that asks for much

void* allocate(cmsContext, cmsUInt32Number size) {
  return size > kLargestBlock ? nullptr : std::malloc(size);
}
void* reallocate(cmsContext, void* block, cmsUInt32Number size) {
  return size > kLargestBlock ? nullptr : std::realloc(block, size);
}

/// What Little CMS works in, with the first error that it reported.
class Context {
 public:
  Context() {
    cmsPluginMemHandler memory{};
    memory.base = {cmsPluginMagicNumber, LCMS_VERSION, cmsPluginMemHandlerSig, nullptr};
    memory.MallocPtr = allocate;
    memory.FreePtr = [](cmsContext, void* block) { std::free(block); };
    memory.ReallocPtr = reallocate;
    context_ = cmsCreateContext(&memory, message_);
    if (context_ != nullptr) cmsSetLogErrorHandlerTHR(context_, note);
  }
  ~Context() {
    if (context_ != nullptr) cmsDeleteContext(context_);
  }
  Context(const Context&) = delete;

  cmsContext get() const { return context_; }
  std::string message() const { return message_[0] != '\0' ? message_ : "no reason given"; }

 private:
  static void note(cmsContext context, cmsUInt32Number, const char* text) {
    auto* message = static_cast<char*>(cmsGetContextUserData(context));
    if (message[0] == '\0') std::snprintf(message, sizeof message_, "%s", text);
  }

  char message_[200] = "";
  cmsContext context_ = nullptr;
};

using Profile = Owned<void, cmsCloseProfile>;
using Transform = Owned<void, cmsDeleteTransform>;

Status damaged(const Context& context) {
  return Status(StatusCode::kCorruptData, "the colour profile is damaged").got(context.message());
}

/// Gray whose values are encoded as sRGB's.
Profile srgb_gray(cmsContext context) {
  const cmsFloat64Number curve[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
  cmsToneCurve* tone = cmsBuildParametricToneCurve(context, 4, curve);
  if (tone == nullptr) return nullptr;
  Profile profile(cmsCreateGrayProfileTHR(context, cmsD50_xyY(), tone));
  cmsFreeToneCurve(tone);
  return profile;
}

Profile srgb(cmsContext context, bool gray) {
  return gray ? srgb_gray(context) : Profile(cmsCreate_sRGBProfileTHR(context));
}

Status check_class(cmsHPROFILE profile) {
  switch (cmsGetDeviceClass(profile)) {
    case cmsSigInputClass:
    case cmsSigDisplayClass:
    case cmsSigOutputClass:
    case cmsSigColorSpaceClass: return {};
    default:
      return Status(StatusCode::kUnsupported, "the colour profile does not describe pixels")
          .expected("the profile of a camera, scanner, screen, printer or colour space");
  }
}

const char* name_of(cmsColorSpaceSignature space) {
  switch (space) {
    case cmsSigGrayData: return "gray";
    case cmsSigRgbData: return "RGB";
    case cmsSigCmykData: return "CMYK";
    default: return "another colour model";
  }
}

}  // namespace

struct ColorTransform::State {
  Context context;
  Transform bytes, floats;  // gray to gray, RGB to RGB; of inks only bytes, to RGB
  bool gray = false;        // the profile's model

  Status make(std::span<const std::byte> data, Pixels pixels);
  bool keeps_colors() const;
  template <typename T>
  Status apply(const Transform& transform, const ImageView& picture,
               const std::function<bool()>& cancelled) const;
};

Status ColorTransform::State::make(std::span<const std::byte> data, Pixels pixels) {
  if (context.get() == nullptr) return {StatusCode::kOutOfMemory, "out of memory"};
  const Profile profile(
      cmsOpenProfileFromMemTHR(context.get(), data.data(), static_cast<cmsUInt32Number>(data.size())));
  if (!profile) return damaged(context);
  if (Status status = check_class(profile.get()); !status.ok()) return status;
  const cmsColorSpaceSignature space = cmsGetColorSpace(profile.get());
  const bool inks = pixels == Pixels::kInks;
  if (inks ? space != cmsSigCmykData : space != cmsSigGrayData && space != cmsSigRgbData) {
    return Status(StatusCode::kCorruptData, "the colour profile belongs to other pixels")
        .expected(inks ? "a profile of CMYK" : "a profile of gray or RGB")
        .got(std::string("one of ") + name_of(space));
  }
  gray = space == cmsSigGrayData;
  const Profile target = srgb(context.get(), gray);
  if (!target) return {StatusCode::kOutOfMemory, "out of memory"};
  const auto transform = [&](cmsUInt32Number from, cmsUInt32Number to) {
    // Without its cache a transform may be used by several threads.
    return Transform(cmsCreateTransformTHR(context.get(), profile.get(), from, target.get(), to,
                                           INTENT_PERCEPTUAL, cmsFLAGS_NOCACHE));
  };
  bytes = inks   ? transform(TYPE_CMYK_8_REV, TYPE_RGB_8)
          : gray ? transform(TYPE_GRAY_8, TYPE_GRAY_8)
                 : transform(TYPE_RGB_8, TYPE_RGB_8);
  if (!inks) floats = gray ? transform(TYPE_GRAY_FLT, TYPE_GRAY_FLT) : transform(TYPE_RGB_FLT, TYPE_RGB_FLT);
  return bytes && (inks || floats) ? Status() : damaged(context);
}

bool ColorTransform::State::keeps_colors() const {
  constexpr int kLevels = 9;
  constexpr float kStep = 1.0f / 255;
  const int channels = gray ? 1 : 3, points = gray ? kLevels : kLevels * kLevels * kLevels;
  for (int i = 0; i < points; ++i) {
    const auto level = [](int index) { return static_cast<float>(index % kLevels) / (kLevels - 1); };
    const float from[3] = {level(i), level(i / kLevels), level(i / kLevels / kLevels)};
    float to[3] = {};
    cmsDoTransform(floats.get(), from, to, 1);
    for (int c = 0; c < channels; ++c) {
      if (!(std::abs(to[c] - from[c]) <= kStep)) return false;
    }
  }
  return true;
}

// A gray picture with a profile of RGB is taken as equal red, green and blue; the green that comes of it is its gray.
template <typename T>
Status ColorTransform::State::apply(const Transform& transform, const ImageView& picture,
                                    const std::function<bool()>& cancelled) const {
  const auto width = static_cast<size_t>(picture.shape.width),
             channels = static_cast<size_t>(picture.shape.channels);
  const size_t n = gray ? 1 : 3;
  std::vector<T> from(width * n), to(width * n);
  for (int64_t y = 0; y < picture.shape.height; ++y) {
    if (cancelled && cancelled()) return {StatusCode::kCancelled, "cancelled"};
    T* row = picture.row<T>(0, y);
    for (size_t x = 0; x < width; ++x) {
      for (size_t c = 0; c < n; ++c) from[x * n + c] = row[x * channels + (channels == 1 ? 0 : c)];
    }
    cmsDoTransform(transform.get(), from.data(), to.data(), static_cast<cmsUInt32Number>(width));
    for (size_t x = 0; x < width; ++x) {
      for (size_t c = 0; c < (channels == 1 ? 1 : 3); ++c) {
        T value = to[x * n + (gray ? 0 : channels == 1 ? 1 : c)];
        if constexpr (std::is_same_v<T, float>)
          value = value > 0 ? std::fmin(value, 1.0f) : 0.0f;  // NaN is 0
        row[x * channels + c] = value;
      }
    }
  }
  return {};
}

ColorTransform::ColorTransform() = default;
ColorTransform::ColorTransform(ColorTransform&&) noexcept = default;
ColorTransform& ColorTransform::operator=(ColorTransform&&) noexcept = default;
ColorTransform::~ColorTransform() = default;

Result<ColorTransform> ColorTransform::from_profile(std::span<const std::byte> profile, Pixels pixels) {
  ColorTransform transform;
  if (profile.empty()) return transform;
  if (profile.size() > kMaxProfileBytes) {
    return Status(StatusCode::kOutOfRange, "the colour profile is too large")
        .expected("at most " + std::to_string(kMaxProfileBytes) + " bytes")
        .got(std::to_string(profile.size()));
  }
  transform.state_ = std::make_unique<State>();
  if (Status status = transform.state_->make(profile, pixels); !status.ok()) return status;
  if (pixels == Pixels::kGrayOrRgb && transform.state_->keeps_colors()) transform.state_.reset();
  return transform;
}

Status ColorTransform::apply(const ImageView& picture, const std::function<bool()>& cancelled) const {
  if (!state_) return {};
  return picture.dtype == WEFT_DTYPE_U8 ? state_->apply<uint8_t>(state_->bytes, picture, cancelled)
                                        : state_->apply<float>(state_->floats, picture, cancelled);
}

void ColorTransform::inks_to_rgb(const uint8_t* inks, uint8_t* rgb, size_t width) const {
  cmsDoTransform(state_->bytes.get(), inks, rgb, static_cast<cmsUInt32Number>(width));
}

std::string srgb_profile(int64_t channels) {
  const Context context;
  const Profile profile = srgb(context.get(), channels == 1);
  cmsUInt32Number size = 0;
  if (!profile || !cmsSaveProfileToMem(profile.get(), nullptr, &size)) return {};
  std::string bytes(size, '\0');
  if (!cmsSaveProfileToMem(profile.get(), bytes.data(), &size)) return {};
  // Little CMS writes the time; the header has it from byte 24 on, as six numbers of 16 bits.
  constexpr std::array<char, 12> kDate = {2020 >> 8, static_cast<char>(2020 & 255), 0, 1, 0, 1};
  std::memcpy(bytes.data() + 24, kDate.data(), kDate.size());
  return bytes;
}

}  // namespace weft
