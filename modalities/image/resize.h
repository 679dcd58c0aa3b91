/// Resampling: any part of a picture to any size.
///
/// Each target pixel is a weighted mean of the source pixels around its place: centres lie at half pixels, and when a
/// picture shrinks the filter widens with it, so that nothing is skipped (what Pillow does, and torch's interpolate with
/// antialias). Columns are done before rows, in f32, in one order of additions: results do not depend on how the rows are
/// divided among threads. Colours are weighted by alpha, so that what is transparent does not bleed. Values are taken as
/// they are stored; f32 results of bicubic and lanczos may leave the range of the source. With ResizeSteps::kBytes
/// weights are rounded to 22 bits, columns to bytes before the rows are made, and sums are exact, as Pillow before 13 does it with
/// pictures of bytes without alpha: then both agree to the bit.
/// Ownership: a Resizer owns its weights only. Thread safety: const; rows may be made by any number of threads, each with
/// its own scratch.
///
///   const Resizer resizer(source.shape, whole_of(source.shape), 512, 512, ResizeFilter::kLanczos);
///   std::vector<float> scratch(resizer.scratch_values());
///   resizer.run(source, target, 0, 0, 512, scratch.data(), [] { return false; });
///
/// Source: Turkowski 1990, "Filters for common resampling tasks"; bicubic is Keys 1981 with a = -0.5.
#ifndef WEFT_MODALITIES_IMAGE_RESIZE_H
#define WEFT_MODALITIES_IMAGE_RESIZE_H

#include <cstdint>
#include <functional>
#include <vector>

#include "modalities/image/image.h"

namespace weft {

enum class ResizeFilter : uint8_t {
  kNearest,   // the source pixel under the centre
  kBilinear,  // triangle, 2 pixels wide
  kBicubic,   // 4 pixels wide
  kLanczos,   // 3 lobes, 6 pixels wide
  kArea       // the mean of what the target pixel covers
};

/// What lies between columns and rows: kBytes takes all values for bytes, which also limits them to 0..1.
enum class ResizeSteps : uint8_t { kExact, kBytes };

/// A part of a picture, in pixels; edges need not lie between two of them.
struct ImageRegion {
  double left = 0, top = 0, width = 0, height = 0;
};
inline ImageRegion whole_of(const ImageShape& shape) {
  return {0, 0, static_cast<double>(shape.width), static_cast<double>(shape.height)};
}

class Resizer {
 public:
  /// region: within the source, not empty. width, height: of the target, at least 1.
  Resizer(const ImageShape& source, const ImageRegion& region, int64_t width, int64_t height,
          ResizeFilter filter, ResizeSteps steps = ResizeSteps::kExact);

  /// Floats of scratch memory that one call of run needs.
  size_t scratch_values() const;

  /// Makes rows [begin, end) of picture `index`. target: width x height with the source's count and channels, of any
  /// dtype. cancelled: asked at each source row; true ends the call early, the rest is then undefined.
  void run(const ImageView& source, const ImageView& target, int64_t index, int64_t begin, int64_t end,
           float* scratch, const std::function<bool()>& cancelled) const;

 private:
  /// For each target row or column the source ones that count, from `first` on.
  struct Axis {
    std::vector<int64_t> first, count;
    std::vector<float> weights;  // [target, most]
    int64_t most = 0;
  };
  static Axis make_axis(int64_t extent, double begin, double size, int64_t target, ResizeFilter filter,
                        ResizeSteps steps);
  /// The sum of values by weights, each `channels` behind the one before.
  template <typename Sum>
  Sum weighted(const float* weights, const float* values, int64_t count) const;
  /// What a target row is the sum of; sums: [width * channels].
  template <typename Sum>
  void sum_rows(int64_t y, const float* ring, Sum* sums) const;
  void load_row(const ImageView& source, int64_t index, int64_t y, float* values, float* columns) const;

  Axis x_, y_;
  int64_t source_width_, width_, channels_;
  bool weigh_alpha_;
  ResizeSteps steps_;
};

}  // namespace weft
#endif
