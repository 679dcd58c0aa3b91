// Loops that only compute; compiled once per body.

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/tiles.h"
#include "kernels/testing/peaks_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

float f32(int64_t rounds) {
  F32x16 sum[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) sum[i] = f32_set1(static_cast<float>(i));
  const F32x16 a = f32_set1(1.0f - 0x1p-20f), b = f32_set1(0x1p-20f);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kPeakChains; ++i) sum[i] = fma(sum[i], a, b);
  }
  F32x16 total = f32_zero();
  for (int i = 0; i < kPeakChains; ++i) total = add(total, sum[i]);
  float lanes[kLanes];
  f32_store(lanes, total);
  return lanes[0];
}

#if defined(WEFT_ISA_AMX)
/// As bf16() below.
float int8(int64_t rounds) {
  constexpr int kOperations = 16 * 16;  // 16 rows, 16 times four bytes
  TileShapes shapes;
  for (int tile = 0; tile < 6; ++tile) shapes.set(tile, 16, 64);
  alignas(64) int32_t zeros[16][16] = {};
  Tiles tiles(shapes);
  tiles.zero<0>(), tiles.zero<1>(), tiles.zero<2>(), tiles.zero<3>();
  tiles.load<4>(zeros, 64), tiles.load<5>(zeros, 64);
  for (int64_t i = 0; i < rounds * kPeakChains / (4 * kOperations); ++i) {
    tiles.multiply_s8_u8<0, 4, 5>();
    tiles.multiply_s8_u8<1, 4, 5>();
    tiles.multiply_s8_u8<2, 4, 5>();
    tiles.multiply_s8_u8<3, 4, 5>();
  }
  tiles.store<0>(zeros, 64);
  return static_cast<float>(zeros[0][0]);
}
#else
float int8(int64_t rounds) {
  I32x16 sum[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) sum[i] = i32_zero();
  U8x64 w = u8_set1(3);
  const int8_t a[4] = {1, -1, 1, 0};  // stays in a register
  for (int64_t round = 0; round < rounds; ++round) {
    __asm__ volatile(""
                     : "+m"(w));  // the products change from round to round, as far as the compiler can know
#pragma GCC unroll 12
    for (int i = 0; i < kPeakChains; ++i) sum[i] = dot4<false>(sum[i], w, a);
  }
  F32x16 total = f32_zero();
#pragma GCC unroll 12  // or the sums would live in memory
  for (int i = 0; i < kPeakChains; ++i) total = add(total, f32_from_i32(sum[i]));
  float lanes[kLanes];
  f32_store(lanes, total);
  return lanes[0];
}
#endif

#if defined(WEFT_ISA_AMX)
/// Four independent tiles of sums; a multiplication counts as so many operations of 16 lanes.
float bf16(int64_t rounds) {
  constexpr int kOperations = 16 * 16;  // 16 rows, 16 pairs
  TileShapes shapes;
  for (int tile = 0; tile < 6; ++tile) shapes.set(tile, 16, 64);
  alignas(64) float zeros[16][16] = {};
  Tiles tiles(shapes);
  tiles.zero<0>(), tiles.zero<1>(), tiles.zero<2>(), tiles.zero<3>();
  tiles.load<4>(zeros, 64), tiles.load<5>(zeros, 64);
  for (int64_t i = 0; i < rounds * kPeakPairChains / (4 * kOperations); ++i) {
    tiles.multiply_bf16<0, 4, 5>();
    tiles.multiply_bf16<1, 4, 5>();
    tiles.multiply_bf16<2, 4, 5>();
    tiles.multiply_bf16<3, 4, 5>();
  }
  tiles.store<0>(zeros, 64);
  return zeros[0][0];
}
#elif defined(WEFT_ISA_AVX512BF16)
float bf16(int64_t rounds) {
  F32x16 sum[kPeakPairChains];
  for (int i = 0; i < kPeakPairChains; ++i) sum[i] = f32_set1(static_cast<float>(i));
  __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f003f00);
  for (int64_t round = 0; round < rounds; ++round) {
    __asm__ volatile("" : "+v"(a));  // as far as the compiler can know, other numbers every round
#pragma GCC unroll 24
    for (int i = 0; i < kPeakPairChains; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], a, a);
  }
  F32x16 total = f32_zero();
  for (int i = 0; i < kPeakPairChains; ++i) total = add(total, sum[i]);
  float lanes[kLanes];
  f32_store(lanes, total);
  return lanes[0];
}
#else
constexpr float (*bf16)(int64_t) = nullptr;
#endif

}  // namespace

extern const PeakBodies kPeakBodies = {f32, int8, bf16};

}  // namespace weft::WEFT_ISA_NAMESPACE
