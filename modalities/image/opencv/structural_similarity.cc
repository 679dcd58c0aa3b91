#include "modalities/image/opencv/structural_similarity.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "modalities/image/opencv/one_thread.h"
#include "modalities/image/rows.h"

namespace weft {
namespace {

constexpr int kWindow = 11, kReach = kWindow / 2;
constexpr double kDeviation = 1.5;
constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;
constexpr int64_t kStripValues = 1 << 16;  // of the index, between two looks at cancelled()
constexpr int kPlanes = 12;                // of f64, alive at once in add_strip and what it calls

int64_t strip_rows(int64_t width) { return std::max<int64_t>(1, kStripValues / width); }

struct Sum {
  double similarity = 0;
  int64_t places = 0;
};

cv::Mat channel_of(const ImageView& image, int64_t index, int64_t channel, int64_t begin, int64_t end,
                   std::vector<float>& row) {
  const int64_t channels = image.shape.channels;
  cv::Mat plane(static_cast<int>(end - begin), static_cast<int>(image.shape.width), CV_64F);
  for (int64_t y = begin; y < end; ++y) {
    read_row(image, index, y, row.data());
    auto* to = plane.ptr<double>(static_cast<int>(y - begin));
    for (int64_t x = 0; x < image.shape.width; ++x)
      to[x] = static_cast<double>(row[static_cast<size_t>(x * channels + channel)]);
  }
  return plane;
}

cv::Mat windowed(const cv::Mat& plane) {
  cv::Mat mean;
  cv::GaussianBlur(plane, mean, {kWindow, kWindow}, kDeviation, kDeviation, cv::BORDER_REFLECT_101);
  return mean;
}

// The index over rows [begin, end) and columns [left, right) of two planes, whose first row is row `first`.
void add_strip(const cv::Mat& a, const cv::Mat& b, int64_t first, int64_t begin, int64_t end, int64_t left,
               int64_t right, Sum& sum) {
  const cv::Mat mean_a = windowed(a), mean_b = windowed(b);
  const cv::Mat square_a = windowed(a.mul(a)), square_b = windowed(b.mul(b)), product = windowed(a.mul(b));
  for (int64_t y = begin; y < end; ++y) {
    const int row = static_cast<int>(y - first);
    for (int x = static_cast<int>(left); x < static_cast<int>(right); ++x) {
      const double ma = mean_a.at<double>(row, x), mb = mean_b.at<double>(row, x);
      const double va = square_a.at<double>(row, x) - ma * ma, vb = square_b.at<double>(row, x) - mb * mb;
      const double covariance = product.at<double>(row, x) - ma * mb;
      sum.similarity +=
          (2 * ma * mb + kC1) * (2 * covariance + kC2) / ((ma * ma + mb * mb + kC1) * (va + vb + kC2));
    }
  }
  sum.places += (end - begin) * (right - left);
}

}  // namespace

uint64_t structural_similarity_bytes(int64_t width) {
  return static_cast<uint64_t>((strip_rows(width) + 2 * kReach) * width) * sizeof(double) * kPlanes;
}

Result<double> structural_similarity(const ImageView& a, const ImageView& b,
                                     const std::function<bool()>& cancelled) {
  keep_opencv_to_one_thread();
  const ImageShape& shape = a.shape;
  const bool small = shape.width < kWindow || shape.height < kWindow;
  const int64_t border = small ? 0 : kReach;
  const int64_t step = strip_rows(shape.width);
  std::vector<float> row(static_cast<size_t>(shape.width * shape.channels));
  Sum sum;
  try {
    for (int64_t image = 0; image < shape.count; ++image) {
      for (int64_t channel = 0; channel < shape.channels; ++channel) {
        for (int64_t begin = border; begin < shape.height - border; begin += step) {
          if (cancelled()) return Status(StatusCode::kCancelled, "cancelled");
          const int64_t end = std::min(shape.height - border, begin + step);
          const int64_t first = std::max<int64_t>(0, begin - kReach),
                        last = std::min(shape.height, end + kReach);
          add_strip(channel_of(a, image, channel, first, last, row),
                    channel_of(b, image, channel, first, last, row), first, begin, end, border,
                    shape.width - border, sum);
        }
      }
    }
  } catch (const cv::Exception& exception) {
    const bool memory = exception.code == cv::Error::StsNoMem;
    return Status(memory ? StatusCode::kOutOfMemory : StatusCode::kInternal, "OpenCV: " + exception.err);
  }
  return sum.similarity / static_cast<double>(sum.places);
}

}  // namespace weft
