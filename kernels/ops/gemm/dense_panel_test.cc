// The tiles of AMX, whose kernel runs here in arrays, against the bodies that compute bf16 otherwise.
#include "kernels/ops/gemm/dense_panel.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/ops/gemm/dense_pack.h"
#include "kernels/ops/gemm/dense_steps.h"
#include "kernels/tensor_checks.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

struct Case {
  int64_t n_runs, run_rows, n_taps, k, n_groups;
};
constexpr Case kCases[] = {{1, 1, 1, 1, 1},
                           {1, 16, 1, 32, 2},
                           {1, 17, 1, 33, 3},
                           {1, 40, 2, 70, 4},
                           {3, 5, 9, 40, 5},
                           {2, 33, 4, 64, 1},
                           {1, 31, 1, 100, 2},
                           // Chunks of k and of taps; tiles of two runs.
                           {3, 16, 2, 1100, 3},
                           {1, 70, 3, 130, 5}};

/// A panel of bf16 with its weights, taps one row apart.
struct Panel {
  explicit Panel(const Case& s)
      : shape(s),
        padded(dense::round_up(s.k, dense::kPadding)),
        row_bytes(2 * padded + 64),
        rows(s.n_runs * (s.run_rows + s.n_taps)),
        a(rows * row_bytes),
        w(s.n_groups * s.n_taps * padded * dense::kGroup * 2),
        sums(static_cast<size_t>(s.n_runs * s.run_rows * stride())) {
    testing::Random random(7);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < s.k; ++i)
        store_element(static_cast<uint8_t*>(a.data()) + row * row_bytes, DType::kBF16, i, random.normal());
    }
    for (int64_t group = 0; group < s.n_groups * s.n_taps; ++group) {
      uint8_t* packed = static_cast<uint8_t*>(w.data()) + group * tap_bytes();
      for (int64_t i = 0; i < dense::kGroup * s.k; ++i) {
        const int64_t at = dense::bf16_index(static_cast<int>(i % dense::kGroup), i / dense::kGroup);
        store_element(packed, DType::kBF16, at, random.normal());
      }
    }
    for (int64_t run = 0; run < s.n_runs; ++run)
      run_offsets.push_back(run * (s.run_rows + s.n_taps) * row_bytes);
    for (int64_t tap = 0; tap < s.n_taps; ++tap) tap_offsets.push_back(tap * row_bytes);
  }

  int64_t stride() const { return shape.n_groups * dense::kGroup + 5; }
  int64_t tap_bytes() const { return padded * dense::kGroup * 2; }

  PanelTask task(PanelStart start) {
    PanelTask t;
    t.a = static_cast<const uint8_t*>(a.data());
    t.row_stride = row_bytes;
    t.run_offsets = run_offsets.data();
    t.n_runs = shape.n_runs;
    t.run_rows = shape.run_rows;
    t.tap_offsets = tap_offsets.data();
    t.n_taps = shape.n_taps;
    t.k = shape.k;
    t.w = static_cast<const uint8_t*>(w.data());
    t.tap_bytes = tap_bytes();
    t.group_bytes = tap_bytes() * shape.n_taps;
    t.n_groups = shape.n_groups;
    t.sums = sums.data();
    t.sums_stride = stride();
    t.start = start;
    return t;
  }

  /// What the task should leave, from zero.
  std::vector<float> products() const {
    std::vector<float> want(sums.size());
    for (int64_t row = 0; row < shape.n_runs * shape.run_rows; ++row) {
      for (int64_t n = 0; n < shape.n_groups * dense::kGroup; ++n) {
        double sum = 0;
        for (int64_t i = 0; i < shape.n_taps * shape.k; ++i) {
          const int64_t tap = i / shape.k, k = i % shape.k;
          const int64_t at =
              row / shape.run_rows * (shape.run_rows + shape.n_taps) + row % shape.run_rows + tap;
          const uint8_t* group = static_cast<const uint8_t*>(const_cast<testing::AlignedBytes&>(w).data()) +
                                 (n / dense::kGroup * shape.n_taps + tap) * tap_bytes();
          const uint8_t* panel = static_cast<const uint8_t*>(const_cast<testing::AlignedBytes&>(a).data());
          sum += double{load_element(panel + at * row_bytes, DType::kBF16, k)} *
                 load_element(group, DType::kBF16, dense::bf16_index(static_cast<int>(n % dense::kGroup), k));
        }
        want[static_cast<size_t>(row * stride() + n)] = static_cast<float>(sum);
      }
    }
    return want;
  }

  Case shape;
  int64_t padded, row_bytes, rows;
  testing::AlignedBytes a, w;
  std::vector<float> sums;
  std::vector<int64_t> run_offsets, tap_offsets;
};

std::vector<void (*)(const PanelTask&)> tile_kernels() {
  std::vector<void (*)(const PanelTask&)> kernels;
  for (const IsaLevel level : testing::available_levels())
    kernels.push_back(dense::Kernels(DType::kBF16, level).panels.multiply_bf16_tiles);
  return kernels;
}

TEST(DensePanel, TilesGiveTheProductsAndLeaveTheGapsAlone) {
  for (const auto kernel : tile_kernels()) {
    for (const Case& s : kCases) {
      Panel panel(s);
      kernel(panel.task(PanelStart::kZero));
      const std::vector<float> want = panel.products();
      EXPECT_LE(testing::relative_error(panel.sums.data(), want.data(), static_cast<int64_t>(want.size())),
                testing::tolerance(DType::kF32))
          << "rows " << s.run_rows << " k " << s.k << " groups " << s.n_groups;
    }
  }
}

TEST(DensePanel, TilesPutSumsOutWithTheirBias) {
  for (const auto kernel : tile_kernels()) {
    for (const Case& s : kCases) {
      Panel panel(s);
      const int64_t columns = s.n_groups * dense::kGroup - 3, rows = s.n_runs * s.run_rows,
                    row_stride = columns + 2;
      std::vector<float> out(static_cast<size_t>(rows * row_stride), -1), bias(static_cast<size_t>(columns));
      std::iota(bias.begin(), bias.end(), 1.0F);
      std::vector<int64_t> run_offsets;
      for (int64_t run = 0; run < s.n_runs; ++run) run_offsets.push_back(run * s.run_rows * row_stride);
      PanelTask task = panel.task(PanelStart::kZero);
      task.output.out = out.data();
      task.output.row_stride = row_stride;
      task.output.run_offsets = run_offsets.data();
      task.output.columns = columns;
      task.output.bias = bias.data();
      kernel(task);
      std::vector<float> want(out.size(), -1);  // between rows nothing is written
      const std::vector<float> products = panel.products();
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t n = 0; n < columns; ++n)
          want[static_cast<size_t>(row * row_stride + n)] =
              products[static_cast<size_t>(row * panel.stride() + n)] + bias[static_cast<size_t>(n)];
      EXPECT_LE(testing::relative_error(out.data(), want.data(), static_cast<int64_t>(want.size())),
                testing::tolerance(DType::kF32))
          << "rows " << s.run_rows << " k " << s.k << " groups " << s.n_groups;
    }
  }
}

TEST(DensePanel, TilesContinueASum) {
  for (const auto kernel : tile_kernels()) {
    for (const Case& s : kCases) {
      Panel panel(s);
      kernel(panel.task(PanelStart::kZero));
      kernel(panel.task(PanelStart::kContinue));
      std::vector<float> want = panel.products();
      for (float& value : want) value *= 2;
      EXPECT_LE(testing::relative_error(panel.sums.data(), want.data(), static_cast<int64_t>(want.size())),
                testing::tolerance(DType::kF32));
    }
  }
}

}  // namespace
}  // namespace weft
