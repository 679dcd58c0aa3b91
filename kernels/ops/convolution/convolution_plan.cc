#include "kernels/ops/convolution/convolution_plan.h"

#include <algorithm>

#include "kernels/ops/convolution/convolution_layout.h"

namespace weft::dense {
namespace {

constexpr int64_t kMostPixels = 512;  // of a tile
constexpr int64_t kLeastPixels =
    96;  // if a panel with all channels had fewer, weights would be read too often
constexpr int64_t kMostTaps = kRowBytes / static_cast<int64_t>(sizeof(int64_t));

/// Products that one sum should have at most: short sums round less. Part of what fixes the bits.
int64_t most_products(DType compute) { return compute == DType::kBF16 ? 4096 : 1536; }

int64_t chunk_channels(const ConvolutionShape& s) {
  const int64_t most = most_products(s.compute) / (s.kernel_h * s.kernel_w);
  return std::max<int64_t>(kPadding, most / kPadding * kPadding);
}

/// Rows of the kernel that one sum has: all but of huge kernels, which a panel could not hold, and whose sums would be four
/// times as long as they should be. Depends on the weights only, as bits do.
int64_t band_rows(const ConvolutionShape& s, int64_t chunk, int64_t row_stride) {
  const int64_t fit = std::min(kPanelBytes / row_stride, kMostTaps) / s.kernel_w;
  return std::max<int64_t>(
      1, std::min(fit, 4 * most_products(s.compute) / (s.kernel_w * std::min(chunk, s.in_channels))));
}

/// Whether pixels of x serve as they are: one tap, nothing to change, to join or to fill up, and not so far apart that they
/// would compete for the same sets of a cache.
bool reads_in_place(const Convolution& c, const Kernels& kernels) {
  const ConvolutionShape& s = c.w.shape;
  const bool changes = c.in_scale != nullptr || c.in_activation.has_value() || c.upsample != Upsample::kNone;
  const bool rounds = rounds_input(s.compute, c.x.dtype);
  const bool pads = c.pad_top + c.pad_bottom + c.pad_left + c.pad_right != 0;
  return s.kernel_h == 1 && s.kernel_w == 1 && c.skip.rank == 0 && !changes && !rounds && !pads &&
         !joins_taps(s) && panel_element(c.x.dtype) == kernels.element && s.in_channels % kPadding == 0 &&
         !kernels.compete(c.x.strides[2] * c.stride * kernels.element_bytes());
}

}  // namespace

ConvolutionPlan::ConvolutionPlan(const Convolution& c, const Kernels& kernels)
    : groups((c.w.shape.out_channels - 1) / kGroup + 1),
      unit(3),
      units((groups + unit - 1) / unit),
      joined(joins_taps(c.w.shape)),
      in_place(reads_in_place(c, kernels)),
      vertical(c.w.shape.kernel_h, c.stride, c.pad_top),
      horizontal(c.w.shape.kernel_w, c.stride, c.pad_left),
      bands(1, 1, 1),
      chunks(joined ? convolution_k(c.w.shape) : c.w.shape.in_channels,
             joined ? kMostJoinedK : chunk_channels(c.w.shape), kPadding),
      panel_chunks(chunks.n),
      row_stride(kernels.row_stride(chunks.n * chunks.size)),
      image_parts(0, 1, 1),
      row_parts(0, 1, 1),
      col_parts(0, 1, 1) {
  if (!joined)
    bands = Parts(c.w.shape.kernel_h, band_rows(c.w.shape, chunks.size, kernels.row_stride(chunks.size)), 1);
  if (in_place) row_stride = c.x.strides[2] * c.stride * kernels.element_bytes();
  if (bands.n > 1) {
    panel_chunks = 1;
    row_stride = kernels.row_stride(chunks.size);
  }
  choose_tile(c);
  while (!in_place && panel_chunks > 1 &&
         row_parts.size * col_parts.size < std::min(kLeastPixels, c.y.shape[1] * c.y.shape[2])) {
    panel_chunks = (panel_chunks + 1) / 2;
    row_stride = kernels.row_stride(panel_chunks * chunks.size);
    choose_tile(c);
  }
}

int64_t ConvolutionPlan::panel_rows(int64_t rows, int64_t cols) const {
  if (joined) return rows * cols;
  return vertical.lines(rows, bands.size) * horizontal.lines(cols, horizontal.kernel);
}

/// The rectangle with the best product of its size and the share of a panel's pixels that are not repeated in the next one.
void ConvolutionPlan::choose_tile(const Convolution& c) {
  const int64_t images = c.y.shape[0], rows = c.y.shape[1], cols = c.y.shape[2];
  const int64_t most_rows = in_place ? kMostPixels : kPanelBytes / row_stride;
  double best = -1;
  for (const int64_t wanted : {int64_t{128}, int64_t{64}, int64_t{32}, int64_t{16}, int64_t{8}, int64_t{1}}) {
    const Parts by_col(cols, wanted, wanted < 8 ? 1 : 8);
    const int64_t width = std::min(by_col.size, cols);
    int64_t height = 0;
    while (height < rows && (height + 1) * width <= kMostPixels && panel_rows(height + 1, width) <= most_rows)
      ++height;
    if (height == 0) continue;
    const Parts by_row(rows, height, 1);
    const double pixels = static_cast<double>(by_row.size * width);
    const double score = pixels * pixels / static_cast<double>(panel_rows(by_row.size, width));
    if (score <= best) continue;
    best = score;
    row_parts = by_row;
    col_parts = by_col;
  }
  int64_t most_images = 1;
  if (row_parts.n == 1 && col_parts.n == 1)
    most_images =
        std::max<int64_t>(1, std::min(kMostPixels / (rows * cols), most_rows / panel_rows(rows, cols)));
  image_parts = Parts(images, most_images, 1);
}

PixelTile ConvolutionPlan::tile(int64_t i) const {
  const int64_t col = i % col_parts.n, row = i / col_parts.n % row_parts.n,
                image = i / (col_parts.n * row_parts.n);
  PixelTile t;
  t.first_image = image_parts.begin(image);
  t.n_images = image_parts.end(image) - t.first_image;
  t.first_row = row_parts.begin(row);
  t.n_rows = row_parts.end(row) - t.first_row;
  t.first_col = col_parts.begin(col);
  t.n_cols = col_parts.end(col) - t.first_col;
  return t;
}

}  // namespace weft::dense
