/// From the colours of a picture file's embedded ICC profile to sRGB, with Little CMS.
///
/// A profile is data from outside: it has at most kMaxProfileBytes, Little CMS gets at most 64 MiB at once for it, and one of
/// another class or colour model than the picture's is refused. A profile that gives sRGB to within one of 255 steps counts
/// as sRGB, so that pixels of most files stay bit for bit what they are.
/// Ownership: owns what it needs of the profile. Thread safety: const calls from any thread.
///
///   Result<ColorTransform> colors = read_color_transform(bytes, *header);
///   if (!colors.ok()) return colors.status().at(path);
///   Status status = decode_image(bytes, *header, view, cancelled, *colors);
#ifndef WEFT_MODALITIES_IMAGE_FILES_COLOR_TRANSFORM_H
#define WEFT_MODALITIES_IMAGE_FILES_COLOR_TRANSFORM_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "modalities/image/image.h"

namespace weft {

inline constexpr size_t kMaxProfileBytes = 4 << 20;  // those of printers have up to 3 MB

class ColorTransform {
 public:
  enum class Pixels : uint8_t { kGrayOrRgb, kInks };  ///< kInks: cyan, magenta, yellow, black

  /// Leaves colours as they are.
  ColorTransform();
  /// profile: empty for none. Errors: kCorruptData (no profile, a damaged one, one for another kind of pixels), kUnsupported
  /// (a class or colour model that says nothing about pixels of a screen), kOutOfRange (too large).
  static Result<ColorTransform> from_profile(std::span<const std::byte> profile, Pixels pixels);
  ColorTransform(ColorTransform&&) noexcept;
  ColorTransform& operator=(ColorTransform&&) noexcept;
  ~ColorTransform();

  bool is_identity() const { return !state_; }
  /// In place; alpha stays. A gray picture stays gray. cancelled: asked once a row. Errors: kCancelled.
  Status apply(const ImageView& picture, const std::function<bool()>& cancelled) const;
  /// A row of inks, 255 for none, to RGB. Precondition: made for kInks.
  void inks_to_rgb(const uint8_t* inks, uint8_t* rgb, size_t width) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A profile that says sRGB, for gray or coloured pixels: what is written into files. Equal bytes whenever it is made.
std::string srgb_profile(int64_t channels);

}  // namespace weft
#endif
