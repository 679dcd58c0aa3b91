// Products with block-quantised weights; compiled once per body.
//
// One order of operations per output, whatever the number of rows at once (the recipe, see README.md). Activations are
// rounded in blocks of 8, so a step of 32 values has four; i[b] are the exact integer products of codes and rounded
// activations. For each step in ascending k, and each group of blocks that share a weight scale (all four, or each half):
//   partial = f32(i[first]) * a.scale[first]; partial = fma(f32(i[b]), a.scale[b], partial) for the others in order
//   acc = fma(partial, scale, acc)
//   acc = fma(offset, sum of the group's a.scale[b] * (sum of the block's values), acc)

#include "kernels/ops/matmul/group_rows.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

/// What a block's values are multiplied by: 127 / largest. Below 2^-100 it could overflow; such values become zero, as they
/// are beside anything else in a model. Zero also where the scale, not being finite, decides the output anyway.
WEFT_LANE_FN float inverse_scale(float largest) {
  return largest >= 0x1p-100f && largest <= 0x1.fffffep127f ? 127 / largest : 0;
}

#if defined(WEFT_ISA_AVX512)
/// Four blocks of 8 lanes, in two registers: out[b] = reduction of block b.
template <typename Operation>
WEFT_LANE_FN __m128i reduce_blocks(I32x16 low, I32x16 high, Operation operation) {
  // The 128-bit lanes of a register are two halves of two blocks: first halves beside first halves.
  const I32x16 four = operation(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_shuffle_i32x4(low, high, 0xdd));
  const I32x16 two = operation(four, _mm512_shuffle_epi32(four, _MM_PERM_BADC));
  const I32x16 one = operation(two, _mm512_shuffle_epi32(two, _MM_PERM_CDAB));
  const I32x16 first_of_lanes = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_castsi512_si128(_mm512_permutexvar_epi32(first_of_lanes, one));
}

/// The four blocks of a step.
WEFT_LANE_FN void round_step(const float* x, RoundedStep* out) {
  const F32x16 low = f32_load(x), high = f32_load(x + 16);
  const I32x16 magnitude = _mm512_set1_epi32(0x7fffffff);
  const __m128 largest =
      _mm_castsi128_ps(reduce_blocks(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                                     _mm512_and_si512(_mm512_castps_si512(high), magnitude),
                                     [](I32x16 a, I32x16 b) { return _mm512_max_epi32(a, b); }));
  const __m128 most = _mm_set1_ps(127);
  const __mmask8 is_small = _mm_cmp_ps_mask(largest, _mm_set1_ps(0x1p-100f), _CMP_LT_OQ);
  const __mmask8 is_usual = _mm_cmp_ps_mask(largest, _mm_set1_ps(0x1p-100f), _CMP_GE_OQ) &
                            _mm_cmp_ps_mask(largest, _mm_set1_ps(0x1.fffffep127f), _CMP_LE_OQ);
  const F32x16 inverse = _mm512_castps128_ps512(_mm_maskz_div_ps(is_usual, most, largest));
  const __m128 scale = _mm_maskz_div_ps(static_cast<__mmask8>(~is_small & 15), largest, most);
  const I32x16 blocks_01 = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const I32x16 blocks_23 = _mm512_add_epi32(blocks_01, _mm512_set1_epi32(2));
  // The maximum also gives a NaN a defined value.
  const F32x16 least = f32_set1(-127);
  const I32x16 low_rounded = i32_round(max(mul(low, _mm512_permutexvar_ps(blocks_01, inverse)), least));
  const I32x16 high_rounded = i32_round(max(mul(high, _mm512_permutexvar_ps(blocks_23, inverse)), least));
  i8_store(out->value, low_rounded);
  i8_store(out->value + 16, high_rounded);
  const __m128i sums =
      reduce_blocks(low_rounded, high_rounded, [](I32x16 a, I32x16 b) { return _mm512_add_epi32(a, b); });
  _mm_store_ps(out->scale, scale);
  float weighted[kBlocksPerStep];
  _mm_storeu_ps(weighted, _mm_mul_ps(scale, _mm_cvtepi32_ps(sums)));
  out->sum[0] = weighted[0] + weighted[1];
  out->sum[1] = weighted[2] + weighted[3];
  out->sum_both = out->sum[0] + out->sum[1];
}
#else
/// Two blocks: half a step. Returns their scale * (sum of the values), added.
float round_half(const float* x, int8_t* value, float* scale) {
  const F32x16 v = f32_load(x);
  float largest[2];
  largest_magnitude_of_halves(v, largest);
  const F32x16 scaled = mul(v, f32_halves(inverse_scale(largest[0]), inverse_scale(largest[1])));
  // The maximum also gives a NaN a defined value.
  const I32x16 rounded = i32_round(max(scaled, f32_set1(-127)));
  i8_store(value, rounded);
  int32_t sums[2];
  add_halves(rounded, sums);
  float weighted = 0;
  for (int b = 0; b < 2; ++b) {
    scale[b] = largest[b] < 0x1p-100f ? 0 : largest[b] / 127;
    weighted += scale[b] * static_cast<float>(sums[b]);
  }
  return weighted;
}

WEFT_LANE_FN void round_step(const float* x, RoundedStep* out) {
  out->sum[0] = round_half(x, out->value, &out->scale[0]);
  out->sum[1] = round_half(x + 16, out->value + 16, &out->scale[2]);
  out->sum_both = out->sum[0] + out->sum[1];
}
#endif

void round_steps(const float* x, int64_t steps, void* to) {
  RoundedStep* out = static_cast<RoundedStep*>(to);
  for (int64_t s = 0; s < steps; ++s) round_step(x + s * kStep, &out[s]);
}

/// The recipe for one step and kRows rows of activations, `stride` steps apart.
template <int kRows, bool kHalves, bool kWide>
WEFT_LANE_FN void accumulate(const Step& w, const RoundedStep* a, int64_t stride, F32x16* acc) {
  F32x16 partial[kRows];
#pragma GCC unroll 4
  for (int b = 0; b < kBlocksPerStep; ++b) {
    // The first block of what shares a weight scale starts a partial sum.
    const bool first = b % (kHalves ? kBlocksPerStep / 2 : kBlocksPerStep) == 0;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const RoundedStep& row = a[r * stride];
      const U8x64 code[2] = {w.code[2 * b], w.code[2 * b + 1]};
      const I32x16 sum = dot8<kWide>(code, row.value + kRoundedBlock * b);
      const F32x16 product = f32_from_i32(sum), scale = f32_set1(row.scale[b]);
      partial[r] = first ? mul(product, scale) : fma(product, scale, partial[r]);
      if (kHalves && b % 2 == 1) {
        acc[r] = fma(partial[r], w.scale[b / 2], acc[r]);
        acc[r] = fma(w.offset[b / 2], f32_set1(row.sum[b / 2]), acc[r]);
      }
    }
  }
  if constexpr (!kHalves) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      acc[r] = fma(partial[r], w.scale[0], acc[r]);
      acc[r] = fma(w.offset[0], f32_set1(a[r * stride].sum_both), acc[r]);
    }
  }
}

/// Few rows: each step goes from packed bytes to registers and is used at once.
template <WeightFormat kFormat, int kRows>
void multiply_directly(const GroupTask& task, int64_t first_row) {
  const StepAddress<kFormat> weights(task.group, task.k);
  const int64_t steps = task.k / kStep;
  const RoundedStep* a = static_cast<const RoundedStep*>(task.rounded) + first_row * steps;
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = f32_zero();
  // A step's part of the group in lines, rounded up: the group is read ahead evenly, its scales section included.
  constexpr QuantLayout kLayout = quant_layout(kFormat);
  constexpr int kLines =
      (kLayout.quant_bytes + kLayout.scale_bytes + kLayout.header_bytes / kStepsPerSuperblock + kPlane - 1) /
      kPlane;
  const uint8_t* ahead = task.group + kPrefetchBytes;
  const int64_t bytes_per_step = first_row == 0 ? group_bytes(kFormat, task.k) / steps : 0;
  for (int64_t s = 0; s < steps; ++s) {
    if (first_row == 0) {
      for (int line = 0; line < kLines; ++line) prefetch_l2(ahead + s * bytes_per_step + line * kPlane);
    }
    Step step;
    weights.unpack(s, &step);
    accumulate<kRows, has_halves(kFormat), is_wide(kFormat)>(step, a + s, steps, acc);
  }
  for (int r = 0; r < kRows; ++r) store_row(task, first_row + r, acc[r]);
}

// Up to so many rows it is cheaper to unpack again for every tile than to go through the panel.
constexpr int64_t kMostDirectRows = 2 * kRowTile;

template <int kRows, bool kHalves, bool kWide>
void multiply_panel(const GroupTask& task, const Step* panel, int64_t first_step, int64_t n_steps,
                    int64_t row) {
  const int64_t steps = task.k / kStep;
  const RoundedStep* a = static_cast<const RoundedStep*>(task.rounded) + row * steps + first_step;
  F32x16 acc[kRows];
  for (int r = 0; r < kRows; ++r) acc[r] = first_step == 0 ? f32_zero() : load_row(task, row + r);
  for (int64_t s = 0; s < n_steps; ++s) accumulate<kRows, kHalves, kWide>(panel[s], a + s, steps, acc);
  for (int r = 0; r < kRows; ++r) store_row(task, row + r, acc[r]);
}

template <bool kHalves, bool kWide>
__attribute__((noinline)) void multiply_panel_rows(const GroupTask& task, const Step* panel,
                                                   int64_t first_step, int64_t n_steps) {
  in_row_tiles(task.n_rows, [&](auto rows, int64_t row) {
    multiply_panel<decltype(rows)::kCount, kHalves, kWide>(task, panel, first_step, n_steps, row);
  });
}

template <WeightFormat kFormat>
void multiply_format(const GroupTask& task) {
  if (task.n_rows <= kMostDirectRows) {
    return in_row_tiles(task.n_rows, [&](auto rows, int64_t row) {
      multiply_directly<kFormat, decltype(rows)::kCount>(task, row);
    });
  }
  const int64_t steps = task.k / kStep;
  Step panel[kPanelSteps];
  for (int64_t first = 0; first < steps; first += kPanelSteps) {
    const int64_t n = steps - first < kPanelSteps ? steps - first : kPanelSteps;
    unpack_panel<kFormat>(task, first, n, panel);
    multiply_panel_rows<has_halves(kFormat), is_wide(kFormat) && kWideIsSigned>(task, panel, first, n);
  }
}

void multiply_group(const GroupTask& task) {
  with_format(task.format, [&](auto format) { multiply_format<decltype(format)::kFormat>(task); });
}

}  // namespace

extern const MatmulBodies kMatmulBodies = {WEFT_ISA_NAME, sizeof(RoundedStep), round_steps, multiply_group};

}  // namespace weft::WEFT_ISA_NAMESPACE
