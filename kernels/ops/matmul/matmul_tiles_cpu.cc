// Products with block-quantised weights at the level kAmx; compiled for amx, and for tests in other bodies, where tiles are
// arrays.
//
// The recipe (README.md): activations are rounded to two planes of int8 in blocks of 32. For each step in ascending k, and each
// part of it that has a weight scale of its own (all 32 values, or each half), with exact integers high and low:
//   partial = f32(256 * high + low) * a.scale
//   acc = fma(partial, scale, acc);  acc = fma(offset, sum of the part, acc)
// One row, a few and many give the same bits: integers are exact however they are summed, and the rest is this order.

#include "kernels/cpu/tiles.h"
#include "kernels/ops/matmul/group_rows.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int kTileRows = 16;

uint32_t bits_of_float(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}

void round_step(const float* x, PlaneStep* out) {
  const F32x16 half[2] = {f32_load(x), f32_load(x + 16)};
  float largest = 0;
  for (int h = 0; h < 2; ++h) {
    float of_halves[2];
    largest_magnitude_of_halves(half[h], of_halves);
    for (int i = 0; i < 2; ++i)  // by bit pattern: a NaN counts as the largest
      largest = bits_of_float(of_halves[i]) > bits_of_float(largest) ? of_halves[i] : largest;
  }
  // As in matmul_cpu.cc: what is too small becomes zero; what is not finite decides the output by its scale.
  const bool is_usual = largest >= 0x1p-100f && largest <= 0x1.fffffep127f;
  const F32x16 inverse = f32_set1(is_usual ? 32512 / largest : 0);
  out->scale = largest < 0x1p-100f ? 0 : largest / 32512;
  int32_t sum[2];
  for (int h = 0; h < 2; ++h) {
    const I32x16 rounded = i32_round(max(mul(half[h], inverse), f32_set1(-32512)));
    // The nearest multiple of 256, of two the larger: what is left is -128 to 127.
    const I32x16 high = i32_add(i32_bits(i32_add(rounded, i32_set1(128 + 32768)), 8, 0xff), i32_set1(-128));
    i8_store(out->high + 16 * h, high);
    i8_store(out->low + 16 * h, i32_round(fma(f32_from_i32(high), f32_set1(-256), f32_from_i32(rounded))));
    int32_t sums[2];
    add_halves(rounded, sums);
    sum[h] = sums[0] + sums[1];
    out->sum[h] = out->scale * static_cast<float>(sum[h]);
  }
  out->sum_both = out->scale * static_cast<float>(sum[0] + sum[1]);
}

void round_steps(const float* x, int64_t steps, void* out) {
  for (int64_t s = 0; s < steps; ++s) round_step(x + s * kStep, static_cast<PlaneStep*>(out) + s);
}

template <bool kHalves>
constexpr int kParts = kHalves ? 2 : 1;

/// The recipe once the integers of a part are there.
template <bool kHalves>
WEFT_LANE_FN F32x16 add_part(const Step& w, const PlaneStep& row, int part, I32x16 high, I32x16 low,
                             F32x16 acc) {
  const F32x16 partial = mul(f32_from_i32(i32_add(i32_shift_left<8>(high), low)), f32_set1(row.scale));
  acc = fma(partial, w.scale[part], acc);
  return fma(w.offset[part], f32_set1(kHalves ? row.sum[part] : row.sum_both), acc);
}

/// One step and kRows rows, `stride` steps apart, without tiles.
template <int kRows, bool kHalves, bool kWide>
WEFT_LANE_FN void accumulate(const Step& w, const PlaneStep* a, int64_t stride, F32x16* acc) {
  constexpr int kWords = kStep / 4 / kParts<kHalves>;
#pragma GCC unroll 2
  for (int part = 0; part < kParts<kHalves>; ++part) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const PlaneStep& row = a[r * stride];
      I32x16 high = i32_zero(), low = i32_zero();
#pragma GCC unroll 8
      for (int v = kWords * part; v < kWords * (part + 1); ++v) {
        high = dot4<kWide>(high, w.code[v], row.high + 4 * v);
        low = dot4<kWide>(low, w.code[v], row.low + 4 * v);
      }
      acc[r] = add_part<kHalves>(w, row, part, high, low, acc[r]);
    }
  }
}

/// Few rows: each step goes from packed bytes to registers and is used at once.
template <WeightFormat kFormat, int kRows>
void multiply_directly(const GroupTask& task, int64_t first_row) {
  const StepAddress<kFormat> weights(task.group, task.k);
  const int64_t steps = task.k / kStep;
  const PlaneStep* a = static_cast<const PlaneStep*>(task.rounded) + first_row * steps;
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = f32_zero();
  const int64_t bytes_per_step = group_bytes(kFormat, task.k) / steps;
  const uint8_t* ahead = task.group + kPrefetchBytes;
  for (int64_t s = 0; s < steps; ++s) {
    if (first_row == 0) {
      for (int64_t at = 0; at < bytes_per_step; at += kPlane) prefetch_l2(ahead + s * bytes_per_step + at);
    }
    Step step;
    weights.unpack(s, &step);
    accumulate<kRows, has_halves(kFormat), is_wide(kFormat)>(step, a + s, steps, acc);
  }
  for (int r = 0; r < kRows; ++r) store_row(task, first_row + r, acc[r]);
}

// Tiles: the codes of a part of a step as the second factor, sixteen rows of each plane as the first.
constexpr int kCodes = 0, kHigh = 1, kLow = 2, kHighSums = 3, kLowSums = 4;

TileShapes tile_shapes(int parts) {
  TileShapes shapes;
  shapes.set(kCodes, kStep / 4 / parts, 64);
  shapes.set(kHigh, kTileRows, kStep / parts);
  shapes.set(kLow, kTileRows, kStep / parts);
  shapes.set(kHighSums, kTileRows, 64);
  shapes.set(kLowSums, kTileRows, 64);
  return shapes;
}

template <bool kSigned, int kSums, int kPlaneOfRows>
WEFT_LANE_FN void multiply_codes(Tiles& tiles) {
  tiles.zero<kSums>();
  if constexpr (kSigned) tiles.multiply_s8_s8<kSums, kPlaneOfRows, kCodes>();
  else tiles.multiply_s8_u8<kSums, kPlaneOfRows, kCodes>();
}

/// The integers of one part of a step, on their way from tiles to vectors.
struct TileSums {
  alignas(64) uint8_t high[kTileRows][64], low[kTileRows][64];
};

/// Sixteen rows and the steps of a panel. Tiles work on the next part while vectors scale the sums of one.
template <bool kHalves, bool kSigned>
__attribute__((noinline)) void multiply_tile(const GroupTask& task, const Step* panel, int64_t first_step,
                                             int64_t n_steps, int64_t row, Tiles& tiles) {
  constexpr int64_t kOfStep = kParts<kHalves>, kValues = kStep / kOfStep;
  const int64_t steps = task.k / kStep, stride = steps * static_cast<int64_t>(sizeof(PlaneStep));
  const PlaneStep* a = static_cast<const PlaneStep*>(task.rounded) + row * steps + first_step;
  TileSums sums[2];
  const auto begin = [&](int64_t i) __attribute__((always_inline)) {
    const int64_t s = i / kOfStep, first = i % kOfStep * kValues;
    tiles.load<kCodes>(panel[s].code + first / 4, 64);
    tiles.load<kHigh>(a[s].high + first, stride);
    tiles.load<kLow>(a[s].low + first, stride);
    multiply_codes<kSigned, kHighSums, kHigh>(tiles);
    multiply_codes<kSigned, kLowSums, kLow>(tiles);
    tiles.store<kHighSums>(sums[i % 2].high, 64);
    tiles.store<kLowSums>(sums[i % 2].low, 64);
  };
  F32x16 acc[kTileRows];
  for (int r = 0; r < kTileRows; ++r) acc[r] = first_step == 0 ? f32_zero() : load_row(task, row + r);
  begin(0);
  for (int64_t i = 0; i < n_steps * kOfStep; ++i) {
    if (i + 1 < n_steps * kOfStep) begin(i + 1);
    const int64_t s = i / kOfStep;
    const TileSums& own = sums[i % 2];
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) {
      acc[r] = add_part<kHalves>(panel[s], a[r * steps + s], static_cast<int>(i % kOfStep),
                                 i32_load(own.high[r]), i32_load(own.low[r]), acc[r]);
    }
  }
  for (int r = 0; r < kTileRows; ++r) store_row(task, row + r, acc[r]);
}

template <int kRows, bool kHalves, bool kWide>
void multiply_panel(const GroupTask& task, const Step* panel, int64_t first_step, int64_t n_steps,
                    int64_t row) {
  const int64_t steps = task.k / kStep;
  const PlaneStep* a = static_cast<const PlaneStep*>(task.rounded) + row * steps + first_step;
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = first_step == 0 ? f32_zero() : load_row(task, row + r);
  for (int64_t s = 0; s < n_steps; ++s) accumulate<kRows, kHalves, kWide>(panel[s], a + s, steps, acc);
  for (int r = 0; r < kRows; ++r) store_row(task, row + r, acc[r]);
}

template <bool kHalves, bool kWide>
__attribute__((noinline)) void multiply_panel_rows(const GroupTask& task, const Step* panel,
                                                   int64_t first_step, int64_t n_steps, Tiles& tiles) {
  int64_t row = 0;
  for (; row + kTileRows <= task.n_rows; row += kTileRows)
    multiply_tile<kHalves, kWide && kWideIsSigned>(task, panel, first_step, n_steps, row, tiles);
  in_row_tiles(task.n_rows - row, [&](auto rows, int64_t at) {
    multiply_panel<decltype(rows)::kCount, kHalves, kWide>(task, panel, first_step, n_steps, row + at);
  });
}

template <WeightFormat kFormat>
void multiply_format(const GroupTask& task) {
  if (task.n_rows < kTileRows) {
    return in_row_tiles(task.n_rows, [&](auto rows, int64_t row) {
      multiply_directly<kFormat, decltype(rows)::kCount>(task, row);
    });
  }
  const int64_t steps = task.k / kStep;
  Tiles tiles(tile_shapes(kParts<has_halves(kFormat)>));
  Step panel[kPanelSteps];
  for (int64_t first = 0; first < steps; first += kPanelSteps) {
    const int64_t n = steps - first < kPanelSteps ? steps - first : kPanelSteps;
    unpack_panel<kFormat>(task, first, n, panel);
    multiply_panel_rows<has_halves(kFormat), is_wide(kFormat)>(task, panel, first, n, tiles);
  }
}

void multiply_group(const GroupTask& task) {
  with_format(task.format, [&](auto format) { multiply_format<decltype(format)::kFormat>(task); });
}

}  // namespace

extern const MatmulBodies kTileMatmulBodies = {WEFT_ISA_NAME, sizeof(PlaneStep), round_steps, multiply_group};

}  // namespace weft::WEFT_ISA_NAMESPACE
