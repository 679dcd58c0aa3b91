#include "modalities/image/opencv/structural_similarity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace weft {
namespace {

const std::function<bool()> kNever = [] { return false; };

std::vector<float> waves(const ImageShape& shape, double phase) {
  std::vector<float> values;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    values.push_back(static_cast<float>(0.5 + 0.4 * std::sin(0.37 * static_cast<double>(i % 97) + phase)));
  }
  return values;
}

// The definition, place by place.
double naive(const std::vector<float>& a, const std::vector<float>& b, const ImageShape& shape) {
  double window[11][11], total = 0;
  for (int y = 0; y < 11; ++y) {
    for (int x = 0; x < 11; ++x) {
      window[y][x] = std::exp(-((x - 5) * (x - 5) + (y - 5) * (y - 5)) / (2 * 1.5 * 1.5));
      total += window[y][x];
    }
  }
  double sum = 0;
  int64_t places = 0;
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t top = 0; top + 11 <= shape.height; ++top) {
      for (int64_t left = 0; left + 11 <= shape.width; ++left, ++places) {
        double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
        for (int64_t y = 0; y < 11; ++y) {
          for (int64_t x = 0; x < 11; ++x) {
            const auto at = static_cast<size_t>(((top + y) * shape.width + left + x) * shape.channels + c);
            const double w = window[y][x] / total, va = a[at], vb = b[at];
            ma += w * va, mb += w * vb, aa += w * va * va, bb += w * vb * vb, ab += w * va * vb;
          }
        }
        sum += (2 * ma * mb + 1e-4) * (2 * (ab - ma * mb) + 9e-4) /
               ((ma * ma + mb * mb + 1e-4) * (aa - ma * ma + bb - mb * mb + 9e-4));
      }
    }
  }
  return sum / static_cast<double>(places);
}

TEST(StructuralSimilarity, IsWhatItsDefinitionSays) {
  const ImageShape shape{1, 37, 29, 3};
  std::vector<float> a = waves(shape, 0), b = waves(shape, 0.8);
  const ImageView view_a = packed_image_view(a.data(), WEFT_DTYPE_F32, shape);
  const ImageView view_b = packed_image_view(b.data(), WEFT_DTYPE_F32, shape);
  EXPECT_NEAR(*structural_similarity(view_a, view_b, kNever), naive(a, b, shape), 1e-9);
}

TEST(StructuralSimilarity, IsOneForEqualPicturesOfAnySize) {
  for (const ImageShape& shape :
       {ImageShape{1, 1, 1, 1}, ImageShape{2, 5, 40, 3}, ImageShape{1, 700, 300, 4}}) {
    std::vector<float> a = waves(shape, 1);
    const ImageView view = packed_image_view(a.data(), WEFT_DTYPE_F32, shape);
    EXPECT_NEAR(*structural_similarity(view, view, kNever), 1, 1e-12);
  }
}

TEST(StructuralSimilarity, DoesNotDependOnHowThePictureIsCutIntoStrips) {
  const ImageShape wide{1, 60, 3000, 1};  // strips of 21 rows
  std::vector<float> a = waves(wide, 0), b = waves(wide, 0.3);
  const ImageView view_a = packed_image_view(a.data(), WEFT_DTYPE_F32, wide);
  const ImageView view_b = packed_image_view(b.data(), WEFT_DTYPE_F32, wide);
  EXPECT_NEAR(*structural_similarity(view_a, view_b, kNever), naive(a, b, wide), 1e-9);
}

TEST(StructuralSimilarity, StopsWhenCancelled) {
  std::vector<float> a(64 * 64);
  const ImageView view = packed_image_view(a.data(), WEFT_DTYPE_F32, {1, 64, 64, 1});
  EXPECT_EQ(structural_similarity(view, view, [] { return true; }).code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace weft
