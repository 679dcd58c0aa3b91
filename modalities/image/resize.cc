#include "modalities/image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "modalities/image/rows.h"

namespace weft {
namespace {

double sinc(double x) { return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

double radius(ResizeFilter filter) {
  switch (filter) {
    case ResizeFilter::kBicubic: return 2;
    case ResizeFilter::kLanczos: return 3;
    default: return 1;
  }
}

// The filter at distance x from its centre, in source pixels of its own scale.
double weight(ResizeFilter filter, double x) {
  x = std::abs(x);
  switch (filter) {
    case ResizeFilter::kBicubic: {
      constexpr double a = -0.5;
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    }
    case ResizeFilter::kLanczos: return x < 3 ? sinc(x) * sinc(x / 3) : 0;
    default: return std::max(0.0, 1 - x);
  }
}

constexpr double kByteWeight = 1 << 22;  // Pillow's weights for bytes are integers of this scale

// A sum of bytes by such weights, to the nearest byte.
float byte_of(double sum) { return static_cast<float>(std::clamp(std::floor(sum + 0.5), 0.0, 255.0)); }

}  // namespace

Resizer::Axis Resizer::make_axis(int64_t extent, double begin, double size, int64_t target,
                                 ResizeFilter filter, ResizeSteps steps) {
  const double scale = size / static_cast<double>(target);
  const double widening = std::max(scale, 1.0);
  const double reach = radius(filter) * widening;
  Axis axis;
  std::vector<std::vector<double>> rows(static_cast<size_t>(target));
  for (int64_t i = 0; i < target; ++i) {
    const double left = begin + static_cast<double>(i) * scale, centre = left + 0.5 * scale;
    int64_t first = 0, last = 0;  // [first, last)
    const auto place = [&](double position) {
      return std::clamp<int64_t>(static_cast<int64_t>(position), 0, extent);
    };
    switch (filter) {
      case ResizeFilter::kNearest: first = std::min(place(centre), extent - 1), last = first + 1; break;
      case ResizeFilter::kArea:
        first = std::min(place(left), extent - 1);
        last = std::max(first + 1, place(std::ceil(left + scale)));
        break;
      default: first = place(centre - reach + 0.5), last = place(centre + reach + 0.5); break;
    }
    std::vector<double>& weights = rows[static_cast<size_t>(i)];
    double sum = 0;
    for (int64_t k = first; k < last; ++k) {
      const auto at = static_cast<double>(k);
      double w = 1;
      if (filter == ResizeFilter::kArea) w = std::min(at + 1, left + scale) - std::max(at, left);
      else if (filter != ResizeFilter::kNearest) w = weight(filter, (at + 0.5 - centre) / widening);
      weights.push_back(w);
      sum += w;
    }
    for (double& w : weights)
      w = steps == ResizeSteps::kBytes ? std::round(w / sum * kByteWeight) / kByteWeight : w / sum;
    axis.first.push_back(first);
    axis.count.push_back(last - first);
    axis.most = std::max(axis.most, last - first);
  }
  axis.weights.resize(static_cast<size_t>(target * axis.most));
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), axis.weights.begin() + static_cast<int64_t>(i) * axis.most);
  }
  return axis;
}

Resizer::Resizer(const ImageShape& source, const ImageRegion& region, int64_t width, int64_t height,
                 ResizeFilter filter, ResizeSteps steps)
    : x_(make_axis(source.width, region.left, region.width, width, filter, steps)),
      y_(make_axis(source.height, region.top, region.height, height, filter, steps)),
      source_width_(source.width),
      width_(width),
      channels_(source.channels),
      weigh_alpha_(source.has_alpha() && filter != ResizeFilter::kNearest),
      steps_(steps) {}

// One source row, one target row, and the rows that a target row is made of.
size_t Resizer::scratch_values() const {
  return static_cast<size_t>((source_width_ + width_ * (1 + y_.most)) * channels_);
}

// Source row y with its columns done; for kBytes all values are bytes. values: [source width * channels] of scratch.
void Resizer::load_row(const ImageView& source, int64_t index, int64_t y, float* values,
                       float* columns) const {
  const bool bytes = steps_ == ResizeSteps::kBytes;
  read_row(source, index, y, values);
  if (weigh_alpha_) {
    for (int64_t x = 0; x < source_width_; ++x) {
      for (int c = 0; c < 3; ++c) values[4 * x + c] *= values[4 * x + 3];
    }
  }
  for (int64_t i = 0; bytes && i < source_width_ * channels_; ++i)
    values[i] = static_cast<float>(to_byte(values[i]));
  for (int64_t x = 0; x < width_; ++x) {
    const float* weights = x_.weights.data() + x * x_.most;
    const float* from = values + x_.first[static_cast<size_t>(x)] * channels_;
    const int64_t count = x_.count[static_cast<size_t>(x)];
    for (int64_t c = 0; c < channels_; ++c)
      columns[x * channels_ + c] = bytes ? byte_of(weighted<double>(weights, from + c, count))
                                         : weighted<float>(weights, from + c, count);
  }
}

template <typename Sum>
Sum Resizer::weighted(const float* weights, const float* values, int64_t count) const {
  Sum sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += Sum{weights[k]} * values[k * channels_];
  return sum;
}

template <typename Sum>
void Resizer::sum_rows(int64_t y, const float* ring, Sum* sums) const {
  const int64_t first = y_.first[static_cast<size_t>(y)], count = y_.count[static_cast<size_t>(y)];
  const int64_t row_values = width_ * channels_;
  std::fill_n(sums, row_values, Sum{0});
  for (int64_t k = 0; k < count; ++k) {
    const Sum w = y_.weights[static_cast<size_t>(y * y_.most + k)];
    const float* row = ring + (first + k) % y_.most * row_values;
    for (int64_t i = 0; i < row_values; ++i) sums[i] += w * row[i];
  }
}

void Resizer::run(const ImageView& source, const ImageView& target, int64_t index, int64_t begin, int64_t end,
                  float* scratch, const std::function<bool()>& cancelled) const {
  const int64_t row_values = width_ * channels_;
  float* values = scratch;
  float* sums = values + source_width_ * channels_;
  float* ring = sums + row_values;  // row r is at r modulo most: no target row needs more
  std::vector<double> exact(steps_ == ResizeSteps::kBytes ? static_cast<size_t>(row_values) : 0);
  int64_t loaded = 0;  // rows before it are there or no longer needed
  for (int64_t y = begin; y < end; ++y) {
    const int64_t first = y_.first[static_cast<size_t>(y)], count = y_.count[static_cast<size_t>(y)];
    for (loaded = std::max(loaded, first); loaded < first + count; ++loaded) {
      if (cancelled()) return;
      load_row(source, index, loaded, values, ring + loaded % y_.most * row_values);
    }
    if (exact.empty()) {
      sum_rows(y, ring, sums);
    } else {
      sum_rows(y, ring, exact.data());
      for (int64_t i = 0; i < row_values; ++i) sums[i] = byte_of(exact[static_cast<size_t>(i)]) / 255.0f;
    }
    if (weigh_alpha_) {
      for (int64_t x = 0; x < width_; ++x) {
        float* pixel = sums + 4 * x;
        pixel[3] = std::clamp(pixel[3], 0.0f, 1.0f);
        for (int c = 0; c < 3; ++c) pixel[c] = pixel[3] > 0 ? pixel[c] / pixel[3] : 0.0f;
      }
    }
    write_row(target, index, y, sums);
  }
}

}  // namespace weft
