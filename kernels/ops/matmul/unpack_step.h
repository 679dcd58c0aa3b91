/// Unpacks one step (32 values of k, 16 rows) of each quantised format into registers. Part of matmul_cpu.cc,
/// compiled once per body; the layout is described in packed_layout.h.
///
/// A weight is scale * code + offset: every format becomes this, with one scale a row for the step, or one
/// for each half. For the formats around a zero point, offset = -zero * scale.
#ifndef WEFT_KERNELS_OPS_MATMUL_UNPACK_STEP_H
#define WEFT_KERNELS_OPS_MATMUL_UNPACK_STEP_H

#include "kernels/cpu/lanes.h"
#include "kernels/ops/matmul/packed_layout.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

struct Step {
  U8x64 code[8];    // of k = 4 v .. 4 v + 3
  F32x16 scale[2];  // of k < 16 and k >= 16; equal unless kHalves
  F32x16 offset[2];
};

/// Whether the two halves of a step have scales of their own.
constexpr bool has_halves(WeightFormat f) {
  return f == WeightFormat::kQ2_K || f == WeightFormat::kQ3_K || f == WeightFormat::kQ6_K;
}
/// Whether codes need more than 6 bits (see dot4).
constexpr bool is_wide(WeightFormat f) {
  return f == WeightFormat::kQ8_0 || f == WeightFormat::kIQ4_NL || f == WeightFormat::kIQ4_XS;
}

// The 16 values of IQ4's codes, signed and with an offset of 128; those of MXFP4, doubled, with an offset
// of 12.
alignas(16) constexpr int8_t kIq4Signed[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};
alignas(16) constexpr uint8_t kIq4Offset128[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                   129, 141, 153, 166, 181, 197, 217, 241};
alignas(16) constexpr uint8_t kFp4Offset12[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

WEFT_LANE_FN void unpack_nibbles(const uint8_t* planes, U8x64* code) {
  const U8x64 mask = u8_set1(15);
  for (int i = 0; i < 4; ++i) {
    const U8x64 plane = u8_load(planes + i * kPlane);
    code[i] = bit_and(plane, mask);
    code[i + 4] = bit_and(shift_right<4>(plane), mask);
  }
}

/// code[v] |= bit v of the plane, times 2^kAt.
template <int kAt>
WEFT_LANE_FN void or_bits(const uint8_t* plane, U8x64* code) {
  const U8x64 bits = u8_load(plane), mask = u8_set1(1 << kAt);
  code[0] = bit_or(code[0], bit_and(shift_right<0 - kAt>(bits), mask));
  code[1] = bit_or(code[1], bit_and(shift_right<1 - kAt>(bits), mask));
  code[2] = bit_or(code[2], bit_and(shift_right<2 - kAt>(bits), mask));
  code[3] = bit_or(code[3], bit_and(shift_right<3 - kAt>(bits), mask));
  code[4] = bit_or(code[4], bit_and(shift_right<4 - kAt>(bits), mask));
  code[5] = bit_or(code[5], bit_and(shift_right<5 - kAt>(bits), mask));
  code[6] = bit_or(code[6], bit_and(shift_right<6 - kAt>(bits), mask));
  code[7] = bit_or(code[7], bit_and(shift_right<7 - kAt>(bits), mask));
}

/// pair[4 i + f] = bits 2 f and 2 f + 1 of plane i, times 2^kAt.
template <int kAt>
WEFT_LANE_FN void unpack_pairs(const uint8_t* planes, U8x64* pair) {
  const U8x64 mask = u8_set1(3 << kAt);
  for (int i = 0; i < 2; ++i) {
    const U8x64 plane = u8_load(planes + i * kPlane);
    pair[4 * i + 0] = bit_and(shift_right<0 - kAt>(plane), mask);
    pair[4 * i + 1] = bit_and(shift_right<2 - kAt>(plane), mask);
    pair[4 * i + 2] = bit_and(shift_right<4 - kAt>(plane), mask);
    pair[4 * i + 3] = bit_and(shift_right<6 - kAt>(plane), mask);
  }
}

template <WeightFormat kFormat>
WEFT_LANE_FN void unpack_codes(const uint8_t* quants, U8x64* code) {
  using enum WeightFormat;
  if constexpr (kFormat == kQ8_0) {
    for (int v = 0; v < 8; ++v) {
      code[v] = u8_load(quants + v * kPlane);
      if constexpr (kWideIsSigned) code[v] = bit_xor(code[v], u8_set1(0x80));
    }
  } else if constexpr (kFormat == kQ2_K) {
    unpack_pairs<0>(quants, code);
  } else if constexpr (kFormat == kQ3_K) {
    unpack_pairs<0>(quants, code);
    or_bits<2>(quants + 2 * kPlane, code);
  } else {
    unpack_nibbles(quants, code);
    if constexpr (kFormat == kQ5_0 || kFormat == kQ5_1 || kFormat == kQ5_K) {
      or_bits<4>(quants + 4 * kPlane, code);
    } else if constexpr (kFormat == kQ6_K) {
      U8x64 pair[8];
      unpack_pairs<4>(quants + 4 * kPlane, pair);
      for (int v = 0; v < 8; ++v) code[v] = bit_or(code[v], pair[v]);
    } else if constexpr (kFormat == kIQ4_NL || kFormat == kIQ4_XS) {
      const uint8_t* table = kWideIsSigned ? (const uint8_t*)kIq4Signed : kIq4Offset128;
      for (int v = 0; v < 8; ++v) code[v] = lookup16(table, code[v]);
    } else if constexpr (kFormat == kMXFP4) {
      for (int v = 0; v < 8; ++v) code[v] = lookup16(kFp4Offset12, code[v]);
    }
  }
}

/// The code that stands for 0 in the formats without a minimum.
constexpr float zero_point(WeightFormat f) {
  using enum WeightFormat;
  switch (f) {
    case kQ4_0: return 8;
    case kQ5_0: return 16;
    case kQ3_K: return 4;
    case kQ6_K: return 32;
    case kMXFP4: return 12;
    case kQ8_0:
    case kIQ4_NL:
    case kIQ4_XS: return kWideIsSigned ? 0 : 128;
    default: return 0;
  }
}

template <WeightFormat kFormat>
WEFT_LANE_FN F32x16 zero_offset(F32x16 scale) {
  if constexpr (zero_point(kFormat) == 0) return f32_zero();
  return mul(f32_set1(-zero_point(kFormat)), scale);
}

/// header: the superblock's, or null. scales: the step's.
template <WeightFormat kFormat>
WEFT_LANE_FN void unpack_scales(const uint8_t* header, const uint8_t* scales, F32x16* scale, F32x16* offset) {
  using enum WeightFormat;
  if constexpr (kFormat == kQ4_1 || kFormat == kQ5_1) {
    scale[0] = f32_from_f16((const uint16_t*)scales);
    offset[0] = f32_from_f16((const uint16_t*)(scales + 32));
  } else if constexpr (kFormat == kQ4_K || kFormat == kQ5_K) {
    const F32x16 d = f32_from_f16((const uint16_t*)header),
                 dmin = f32_from_f16((const uint16_t*)(header + 32));
    scale[0] = mul(d, f32_from_u8(scales));
    offset[0] = mul(mul(f32_set1(-1), dmin), f32_from_u8(scales + 16));
  } else if constexpr (kFormat == kQ2_K) {
    const F32x16 d = f32_from_f16((const uint16_t*)header);
    const F32x16 minus_dmin = mul(f32_set1(-1), f32_from_f16((const uint16_t*)(header + 32)));
    for (int h = 0; h < 2; ++h) {
      scale[h] = mul(d, f32_from_nibbles<0>(scales + 16 * h));
      offset[h] = mul(minus_dmin, f32_from_nibbles<4>(scales + 16 * h));
    }
  } else if constexpr (kFormat == kQ3_K || kFormat == kQ6_K) {
    const F32x16 d = f32_from_f16((const uint16_t*)header);
    for (int h = 0; h < 2; ++h) {
      scale[h] = mul(d, f32_from_i8(scales + 16 * h));
      offset[h] = zero_offset<kFormat>(scale[h]);
    }
  } else {
    if constexpr (kFormat == kIQ4_XS) {
      scale[0] = mul(f32_from_f16((const uint16_t*)header), f32_from_i8(scales));
    } else if constexpr (kFormat == kMXFP4) {
      scale[0] = f32_from_exponents(scales);
    } else {
      scale[0] = f32_from_f16((const uint16_t*)scales);
    }
    offset[0] = zero_offset<kFormat>(scale[0]);
  }
  if constexpr (!has_halves(kFormat)) {
    scale[1] = scale[0];
    offset[1] = offset[0];
  }
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
