#include "kernels/ops/convolution/convolution_tile.h"

#include <algorithm>
#include <cstring>

#include "kernels/ops/convolution/convolution_layout.h"
#include "kernels/ops/gemm/dense_pack.h"

namespace weft::dense {
namespace {

constexpr int64_t kMostRuns = 512;  // rows of pixels in a tile
constexpr int64_t kBlockGroups = 6;

int64_t offset(const TensorView& v, int64_t image, int64_t row, int64_t col) {
  return image * v.strides[0] + row * v.strides[1] + col * v.strides[2];
}

uint8_t* address(const TensorView& v, int64_t element) {
  return v.as<uint8_t>() + element * size_bytes(v.dtype);
}

}  // namespace

TileConvolution::TileConvolution(const Convolution& c, const Kernels& kernels, const ConvolutionPlan& plan,
                                 const Scratch& scratch, const PixelTile& tile)
    : c_(c), kernels_(kernels), plan_(plan), scratch_(scratch), tile_(tile) {}

void TileConvolution::compute(int64_t first_group, int64_t last_group) {
  int64_t step = kBlockGroups;
  if (plan_.one_panel()) {
    fill_panel(0, 0);
  } else {
    // The panel is prepared again for every block of groups: as few blocks as the sums' room allows.
    step = std::max(step, kSumsBytes / (tile_.pixels() * kGroup * 4) / kBlockGroups * kBlockGroups);
  }
  for (int64_t group = first_group; group < last_group; group += step) {
    const int64_t n_groups = std::min(step, last_group - group);
    PanelStart start = PanelStart::kZero;
    for (int64_t band = 0; band < plan_.bands.n; ++band) {
      for (int64_t chunk = 0; chunk < plan_.chunks.n; ++chunk) {
        if (!plan_.one_panel() && chunk % plan_.panel_chunks == 0) fill_panel(band, chunk);
        multiply(band, chunk, group, n_groups, start);
        start = PanelStart::kContinue;
      }
    }
    if (c_.activation) finish(group, n_groups);
  }
}

TileConvolution::Part TileConvolution::part(int64_t band, int64_t chunk) const {
  Part p;
  p.first_channel = plan_.chunks.begin(chunk);
  p.channels = plan_.chunks.end(chunk) - p.first_channel;
  p.first_tap = plan_.bands.begin(band);
  p.taps = plan_.bands.end(band) - p.first_tap;
  return p;
}

/// Rows of the panel become the pixels of u that the tile reads with a band of the kernel, some chunks of their channels.
void TileConvolution::fill_panel(int64_t band, int64_t first_chunk) {
  if (plan_.in_place) return;
  if (plan_.joined) return fill_patches();
  const Part p = part(band, first_chunk);
  const int64_t end_channel =
      plan_.chunks.end(std::min(first_chunk + plan_.panel_chunks, plan_.chunks.n) - 1);
  const int64_t channels = end_channel - p.first_channel;
  const int64_t n_rows = plan_.vertical.lines(tile_.n_rows, p.taps);
  const int64_t n_cols = plan_.horizontal.lines(tile_.n_cols, plan_.horizontal.kernel);
  const int64_t line_bytes = n_cols * plan_.row_stride;
  uint8_t* to = scratch_.panel;
  for (int64_t image = tile_.first_image; image < tile_.first_image + tile_.n_images; ++image) {
    int64_t last_row = -1;  // of x, that the line before holds
    for (int64_t i = 0; i < n_rows; ++i, to += line_bytes) {
      const int64_t row = plan_.vertical.source(tile_.first_row, p.first_tap, i);
      const bool inside = row >= 0 && row < factor() * c_.x.shape[1];
      if (inside && row / factor() == last_row) {
        std::memcpy(to, to - line_bytes, static_cast<size_t>(line_bytes));
        continue;
      }
      last_row = inside ? row / factor() : -1;
      int64_t last_col = -1;
      for (int64_t j = 0; j < n_cols; ++j) {
        const int64_t col = plan_.horizontal.source(tile_.first_col, 0, j);
        uint8_t* pixel = to + j * plan_.row_stride;
        if (!inside || col < 0 || col >= factor() * c_.x.shape[2]) {
          std::memset(pixel, 0, static_cast<size_t>(round_up(channels, kPadding) * kernels_.element_bytes()));
        } else if (col / factor() == last_col) {
          std::memcpy(pixel, pixel - plan_.row_stride, static_cast<size_t>(plan_.row_stride));
        } else {
          last_col = col / factor();
          put_pixel(image, last_row, last_col, p.first_channel, channels, pixel);
        }
      }
    }
  }
}

/// Rows of the panel become what each output of the tile reads: all taps' channels.
void TileConvolution::fill_patches() {
  const ConvolutionShape& s = c_.w.shape;
  const int64_t bytes = kernels_.element_bytes(), row_bytes = s.kernel_w * s.in_channels * bytes;
  const int64_t k = convolution_k(s);
  uint8_t* to = scratch_.panel;
  for (int64_t image = tile_.first_image; image < tile_.first_image + tile_.n_images; ++image) {
    for (int64_t i = 0; i < tile_.n_rows; ++i) {
      for (int64_t j = 0; j < tile_.n_cols; ++j, to += plan_.row_stride) {
        const int64_t first_row = plan_.vertical.source(tile_.first_row + i, 0, 0);
        const int64_t first_col = plan_.horizontal.source(tile_.first_col + j, 0, 0);
        for (int64_t tap = 0; tap < s.kernel_h; ++tap)
          put_patch_row(image, first_row + tap, first_col, to + tap * row_bytes);
        std::memset(to + k * bytes, 0, static_cast<size_t>((round_up(k, kPadding) - k) * bytes));
      }
    }
  }
}

/// One row of the kernel's taps: kernel_w pixels of u from (row, first_col) on, some of which may lie in the padding.
void TileConvolution::put_patch_row(int64_t image, int64_t row, int64_t first_col, uint8_t* to) {
  const ConvolutionShape& s = c_.w.shape;
  const int64_t bytes = s.in_channels * kernels_.element_bytes(), width = factor() * c_.x.shape[2];
  const bool row_inside = row >= 0 && row < factor() * c_.x.shape[1];
  const bool adjacent =
      c_.skip.rank == 0 && factor() == 1 && c_.x.strides[2] == s.in_channels && !changes_input();
  if (row_inside && adjacent && first_col >= 0 && first_col + s.kernel_w <= width) {
    const int64_t count = s.kernel_w * s.in_channels;
    return put_panel_row(kernels_, address(c_.x, offset(c_.x, image, row, first_col)), c_.x.dtype, count,
                         count, to);
  }
  for (int64_t tap = 0; tap < s.kernel_w; ++tap, to += bytes) {
    const int64_t col = first_col + tap;
    if (!row_inside || col < 0 || col >= width) std::memset(to, 0, static_cast<size_t>(bytes));
    else put_channels(image, row / factor(), col / factor(), 0, s.in_channels, to);
  }
}

/// One pixel of x and skip as it is in u, with zeros up to a multiple of kPadding.
void TileConvolution::put_pixel(int64_t image, int64_t row, int64_t col, int64_t first_channel,
                                int64_t channels, uint8_t* to) {
  const int64_t bytes = kernels_.element_bytes();
  for (int64_t at = 0; at < channels; at += plan_.chunks.size) {
    put_channels(image, row, col, first_channel + at, std::min(plan_.chunks.size, channels - at),
                 to + at * bytes);
  }
  std::memset(to + channels * bytes, 0,
              static_cast<size_t>((round_up(channels, kPadding) - channels) * bytes));
}

void TileConvolution::put_channels(int64_t image, int64_t row, int64_t col, int64_t first_channel,
                                   int64_t channels, uint8_t* to) {
  const int64_t from_x = std::clamp<int64_t>(c_.x.shape[3] - first_channel, 0, channels);
  const uint8_t* x = address(c_.x, offset(c_.x, image, row, col) + first_channel);
  const uint8_t* skip = nullptr;
  if (from_x < channels)
    skip = address(c_.skip, offset(c_.skip, image, row, col) + first_channel + from_x - c_.x.shape[3]);
  put_source(x, c_.x.dtype, image, first_channel, from_x, to);
  if (skip != nullptr) {
    put_source(skip, c_.skip.dtype, image, first_channel + from_x, channels - from_x,
               to + from_x * kernels_.element_bytes());
  }
}

/// Channels [first_channel, + count) of u, all of which are those at `from`.
void TileConvolution::put_source(const uint8_t* from, DType type, int64_t image, int64_t first_channel,
                                 int64_t count, uint8_t* to) {
  if (!changes_input()) return put_panel_row(kernels_, from, type, count, count, to);
  const int64_t at = image * c_.w.shape.in_channels + first_channel;
  const bool rounds_twice = kernels_.compute != DType::kF32 && kernels_.element == PanelElement::kF32;
  if (c_.in_scale != nullptr && c_.in_activation.value_or(Activation::kSilu) == Activation::kSilu &&
      !rounds_twice) {
    const auto one_pass = c_.in_activation ? kernels_.rows.scale_shift_silu : kernels_.rows.scale_shift_only;
    return one_pass(from, panel_element(type), c_.in_scale + at, c_.in_shift + at, to, kernels_.element,
                    count);
  }
  to_f32(kernels_.rows, from, type, count, scratch_.row);
  if (c_.in_scale != nullptr)
    kernels_.rows.scale_shift(scratch_.row, c_.in_scale + at, c_.in_shift + at, count);
  if (c_.in_activation) activate(*c_.in_activation, scratch_.row, count, kernels_.level);
  put_panel_row(kernels_, scratch_.row, DType::kF32, count, count, to);
}

void TileConvolution::multiply(int64_t band, int64_t chunk, int64_t group, int64_t n_groups,
                               PanelStart start) {
  const ConvolutionShape& s = c_.w.shape;
  const Part p = part(band, chunk);
  const int64_t n_cols =
      plan_.joined ? tile_.n_cols : plan_.horizontal.lines(tile_.n_cols, plan_.horizontal.kernel);
  const int64_t n_rows = plan_.joined ? tile_.n_rows : plan_.vertical.lines(tile_.n_rows, p.taps);
  const int64_t step_row = plan_.joined ? 1 : plan_.vertical.step,
                step_col = plan_.joined ? 1 : plan_.horizontal.step;
  int64_t run_offsets[kMostRuns];
  for (int64_t run = 0; run < tile_.n_images * tile_.n_rows; ++run) {
    const int64_t line = run / tile_.n_rows * n_rows + run % tile_.n_rows * step_row;
    run_offsets[run] = line * n_cols * plan_.row_stride;
    if (plan_.in_place) {
      const int64_t image = tile_.first_image + run / tile_.n_rows,
                    row = tile_.first_row + run % tile_.n_rows;
      run_offsets[run] =
          offset(c_.x, image, row * c_.stride, tile_.first_col * c_.stride) * kernels_.element_bytes();
    }
  }
  int64_t* tap_offsets = reinterpret_cast<int64_t*>(scratch_.row);
  const int64_t n_taps = plan_.joined ? 1 : p.taps * s.kernel_w;
  for (int64_t tap = 0; tap < n_taps; ++tap)
    tap_offsets[tap] = (tap / s.kernel_w * n_cols + tap % s.kernel_w) * plan_.row_stride;

  PanelTask task;
  task.a = plan_.in_place ? c_.x.as<const uint8_t>() : scratch_.panel;
  task.a += chunk % plan_.panel_chunks * plan_.chunks.size * kernels_.element_bytes();
  task.row_stride = step_col * plan_.row_stride;
  task.run_offsets = run_offsets;
  task.n_runs = tile_.n_images * tile_.n_rows;
  task.run_rows = tile_.n_cols;
  task.tap_offsets = tap_offsets;
  task.n_taps = n_taps;
  task.k = p.channels;
  const int64_t k_bytes = kGroup * size_bytes(s.compute);
  task.tap_bytes = tap_k(s) * k_bytes;
  task.group_bytes = group_bytes(s.compute, convolution_k(s));
  task.w = static_cast<const uint8_t*>(c_.w.data) + group * task.group_bytes +
           p.first_tap * s.kernel_w * task.tap_bytes + p.first_channel * k_bytes;
  task.n_groups = n_groups;
  task.sums = scratch_.sums;
  task.sums_stride = n_groups * kGroup;
  task.start = start;
  int64_t y_offsets[kMostRuns], residual_offsets[kMostRuns];
  const bool last = band + 1 == plan_.bands.n && chunk + 1 == plan_.chunks.n;
  if (last && !c_.activation) task.output = output(group * kGroup, y_offsets, residual_offsets);
  if (c_.image_bias == nullptr || !last || c_.activation) return kernels_.multiply(task);
  // Each image has a bias of its own.
  for (int64_t image = 0; image < tile_.n_images; ++image) {
    task.output.more_bias = c_.image_bias + (tile_.first_image + image) * s.out_channels + group * kGroup;
    task.n_runs = tile_.n_rows;
    kernels_.multiply(task);
    task.run_offsets += tile_.n_rows;
    task.output.run_offsets += tile_.n_rows;
    task.output.residual_run_offsets += tile_.n_rows;
    task.sums += tile_.n_rows * tile_.n_cols * task.sums_stride;
  }
}

/// The way out of sums without an activation, from channel `first` on.
PanelOutput TileConvolution::output(int64_t first, int64_t* y_offsets, int64_t* residual_offsets) const {
  const bool adds = c_.residual.rank != 0;
  for (int64_t run = 0; run < tile_.n_images * tile_.n_rows; ++run) {
    const int64_t image = tile_.first_image + run / tile_.n_rows, row = tile_.first_row + run % tile_.n_rows;
    y_offsets[run] = offset(c_.y, image, row, tile_.first_col) + first;
    residual_offsets[run] = adds ? offset(c_.residual, image, row, tile_.first_col) + first : 0;
  }
  PanelOutput o;
  o.out = c_.y.data;
  o.type = panel_element(c_.y.dtype);
  o.row_stride = c_.y.strides[2];
  o.run_offsets = y_offsets;
  o.columns = c_.w.shape.out_channels - first;
  if (c_.bias != nullptr) o.bias = c_.bias + first;
  o.residual_run_offsets = residual_offsets;
  if (!adds) return o;
  o.residual = c_.residual.data;
  o.residual_type = panel_element(c_.residual.dtype);
  o.residual_row_stride = c_.residual.strides[2];
  return o;
}

void TileConvolution::finish(int64_t group, int64_t n_groups) {
  const int64_t outputs = c_.w.shape.out_channels, first = group * kGroup;
  const int64_t count = std::min(n_groups * kGroup, outputs - first);
  RowsOutput rows = {};
  rows.n_rows = tile_.n_cols;
  rows.count = count;
  rows.sums = scratch_.sums;
  rows.sums_stride = n_groups * kGroup;
  if (c_.bias != nullptr) rows.bias = c_.bias + first;
  rows.residual_stride = c_.residual.strides[2];
  rows.out_stride = c_.y.strides[2];
  rows.residual_type = panel_element(c_.residual.dtype);
  rows.out_type = panel_element(c_.y.dtype);
  rows.activation = activation_number(c_.activation);
  for (int64_t image = tile_.first_image; image < tile_.first_image + tile_.n_images; ++image) {
    if (c_.image_bias != nullptr) rows.more_bias = c_.image_bias + image * outputs + first;
    for (int64_t i = tile_.first_row; i < tile_.first_row + tile_.n_rows; ++i) {
      if (c_.residual.rank != 0)
        rows.residual = address(c_.residual, offset(c_.residual, image, i, tile_.first_col) + first);
      rows.out = address(c_.y, offset(c_.y, image, i, tile_.first_col) + first);
      kernels_.rows.finish(rows);
      rows.sums += rows.n_rows * rows.sums_stride;
    }
  }
}

}  // namespace weft::dense
