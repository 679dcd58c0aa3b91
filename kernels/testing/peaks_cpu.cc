// Loops that only compute; compiled once per body.

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/tiles.h"
#include "kernels/testing/peaks_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

// Chains that the registers hold at once. Each body's lanes differ, or the compiler would compute what is equal once.
#if defined(WEFT_ISA_AVX512)
constexpr int kAtOnce = 12;
#elif defined(WEFT_ISA_AVX2)
constexpr int kAtOnce = 6;
#else
constexpr int kAtOnce = 3;
#endif
static_assert(kPeakChains % kAtOnce == 0);

// The sum of all lanes: what is not looked at would not be computed.
float sum_lanes(const F32x16* sums, int n) {
  float lanes[kLanes], result = 0;
  for (int i = 0; i < n; ++i) {
    f32_store(lanes, sums[i]);
    for (const float lane : lanes) result += lane;
  }
  return result;
}

float f32(int64_t rounds) {
  float first[kAtOnce * kLanes];
  for (int i = 0; i < kAtOnce * kLanes; ++i) first[i] = static_cast<float>(i);
  F32x16 sum[kAtOnce];
#pragma GCC unroll 12  // or the sums would live in memory
  for (int i = 0; i < kAtOnce; ++i) sum[i] = f32_load(first + i * kLanes);
  const F32x16 a = f32_set1(1.0f - 0x1p-20f), b = f32_set1(0x1p-20f);
  for (int64_t round = 0; round < rounds * (kPeakChains / kAtOnce); ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kAtOnce; ++i) sum[i] = fma(sum[i], a, b);
  }
  F32x16 results[kAtOnce];
#pragma GCC unroll 12
  for (int i = 0; i < kAtOnce; ++i) results[i] = sum[i];
  return sum_lanes(results, kAtOnce);
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
constexpr int kInt8AtOnce = kAtOnce < 6 ? 3 : kAtOnce < 12 ? 4 : 12;  // AVX2 has two more steps on the way
float int8(int64_t rounds) {
  I32x16 sum[kInt8AtOnce];
#pragma GCC unroll 12
  for (int i = 0; i < kInt8AtOnce; ++i) sum[i] = i32_zero();
  alignas(64) uint8_t w[kInt8AtOnce * 64] = {};
  const int8_t a[4] = {1, -1, 1, 0};  // stays in a register
  for (int64_t round = 0; round < rounds * (kPeakChains / kInt8AtOnce); ++round) {
    // As far as the compiler can know, other weights every round.
    __asm__ volatile("" : "+m"(w));
#pragma GCC unroll 12
    for (int i = 0; i < kInt8AtOnce; ++i) sum[i] = dot4<false>(sum[i], u8_load(w + 64 * i), a);
  }
  F32x16 results[kInt8AtOnce];
#pragma GCC unroll 12
  for (int i = 0; i < kInt8AtOnce; ++i) results[i] = f32_from_i32(sum[i]);
  return sum_lanes(results, kInt8AtOnce);
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
  F32x16 results[kPeakPairChains];
#pragma GCC unroll 24
  for (int i = 0; i < kPeakPairChains; ++i) results[i] = sum[i];
  return sum_lanes(results, kPeakPairChains);
}
#else
constexpr float (*bf16)(int64_t) = nullptr;
#endif

}  // namespace

extern const PeakBodies kPeakBodies = {f32, int8, bf16};

}  // namespace weft::WEFT_ISA_NAMESPACE
