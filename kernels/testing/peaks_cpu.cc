// Loops that only compute; compiled once per body.

#include "kernels/cpu/lanes.h"
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

float int8(int64_t rounds) {
  I32x16 sum[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) sum[i] = i32_zero();
  const U8x64 w = u8_set1(3);
  int8_t a[4] = {1, -1, 1, 0};
  for (int64_t round = 0; round < rounds; ++round) {
    __asm__ volatile(""
                     : "+m"(a));  // the products change from round to round, as far as the compiler can know
#pragma GCC unroll 12
    for (int i = 0; i < kPeakChains; ++i) sum[i] = dot4<false>(sum[i], w, a);
  }
  F32x16 total = f32_zero();
  for (int i = 0; i < kPeakChains; ++i) total = add(total, f32_from_i32(sum[i]));
  float lanes[kLanes];
  f32_store(lanes, total);
  return lanes[0];
}

}  // namespace

extern const PeakBodies kPeakBodies = {f32, int8};

}  // namespace weft::WEFT_ISA_NAMESPACE
