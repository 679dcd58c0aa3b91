/// How a convolution is cut into tiles of pixels and parts of k. Private to this folder.
#ifndef WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_PLAN_H
#define WEFT_KERNELS_OPS_CONVOLUTION_CONVOLUTION_PLAN_H

#include <cstdint>

#include "kernels/ops/convolution/convolution.h"
#include "kernels/ops/gemm/dense_steps.h"

namespace weft::dense {

/// A rectangle of y in each of some images.
struct PixelTile {
  int64_t first_image, n_images;
  int64_t first_row, n_rows;
  int64_t first_col, n_cols;
  int64_t pixels() const { return n_images * n_rows * n_cols; }
};

/// One direction of a panel: which lines (rows or columns) of u the tile's outputs read.
struct PanelAxis {
  PanelAxis(int64_t kernel_extent, int64_t stride_of_outputs, int64_t pad)
      : kernel(kernel_extent),
        stride(stride_of_outputs),
        padding(pad),
        step(stride < kernel ? stride : kernel) {}
  /// Lines that `outputs` neighbouring outputs read with `taps` of the kernel: those between are left out.
  int64_t lines(int64_t outputs, int64_t taps) const { return (outputs - 1) * step + taps; }
  /// Where line `i` of a panel lies in u, if its first output is `first` and its first tap `tap`; may be in the padding.
  int64_t source(int64_t first, int64_t tap, int64_t i) const {
    const int64_t line = step == stride ? i : i / step * stride + i % step;
    return first * stride - padding + tap + line;
  }

  int64_t kernel, stride, padding;
  int64_t step;  // lines of a panel from one output to the next
};

struct ConvolutionPlan {
  ConvolutionPlan(const Convolution& c, const Kernels& kernels);

  int64_t n_tiles() const { return image_parts.n * row_parts.n * col_parts.n; }
  PixelTile tile(int64_t i) const;
  /// Whether a panel has all of k, so that it is prepared once.
  bool one_panel() const { return bands.n == 1 && panel_chunks == chunks.n; }

  int64_t groups, unit, units;  // of outputs; a thread takes whole units of groups
  bool joined;                  // all taps are one k: a panel's rows are patches, not pixels
  bool in_place;                // x itself is the panel
  PanelAxis vertical, horizontal;
  // Parts of k, each a sum of its own: bands of the kernel's rows (one, unless a kernel is huge), chunks of channels.
  Parts bands, chunks;
  int64_t panel_chunks;  // that a panel has
  int64_t row_stride;    // bytes of a panel's row
  Parts image_parts, row_parts, col_parts;

 private:
  void choose_tile(const Convolution& c);
  int64_t panel_rows(int64_t rows, int64_t cols) const;
};

}  // namespace weft::dense
#endif
