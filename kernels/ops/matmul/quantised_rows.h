/// Rows of x as products of quantised weights read them on tensor cores, in integers; device code.
///
/// x is taken in 16 bits a run of 32: xi = round(x / dx), dx = max|x| / 32512, as two signed bytes, xi = 256 high + low, which are
/// two columns of the second operand of mma.m16n8k32; a weight's codes are bytes already. So
///
///   sum over a run of w x = scale * dx * sum of codes * xi + shift * dx * sum of xi
///
/// where the sums are exact. Of y, an error of some 2e-5 remains, from the rounding of x.
#ifndef WEFT_KERNELS_OPS_MATMUL_QUANTISED_ROWS_H
#define WEFT_KERNELS_OPS_MATMUL_QUANTISED_ROWS_H

#include "kernels/simt/target.h"

namespace weft::device {

constexpr int kRunElements = 32;  // of x that share dx

/// A row of x as the tensor cores read it: of each run and part (high, low), lane c of four takes elements 4 c to 4 c + 3 and
/// 16 + 4 c to 16 + 4 c + 3 in one piece.
constexpr int kRunBytes = 2 * kRunElements;  // of one row and run

/// What goes with a run of a row: dx, then dx times the sum of xi over each of the parts that have a scale of their own.
template <int kParts>
struct RunScale {
  static_assert(kParts == 1 || kParts == 2);
  float dx, sum[2 * kParts - 1];  // of two parts, one is unused
};

/// Four elements at `e` of a row, by eight lanes that hold a run together: writes their bytes to the run's place and its scale.
/// All lanes of a warp call it; those that are not `present` write nothing.
template <int kParts>
__device__ __forceinline__ void put_run(Quad x, int e, bool present, unsigned char* run,
                                        RunScale<kParts>* scale) {
  float largest = 0;
  for (int j = 0; j < 4; ++j) largest = fmaxf(largest, fabsf(x.v[j]));
#pragma unroll
  for (int flip = 4; flip > 0; flip /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, flip));
  const float dx = largest * (1 / 32512.0f), inverse = largest > 0 ? 32512.0f / largest : 0.0f;
  uint32_t high = 0, low = 0;
  int sum = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const int xi = static_cast<int>(rintf(x.v[j] * inverse)), top = (xi + 128) >> 8;
    sum += xi;
    high |= static_cast<uint32_t>(top & 255) << 8 * j;
    low |= static_cast<uint32_t>((xi - top * 256) & 255) << 8 * j;
  }
#pragma unroll
  for (int flip = 2; flip > 0; flip /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, flip);
  const int other = __shfl_xor_sync(0xffffffffu, sum, 4);
  if (!present) return;
  const int place = e % 16 / 4 * 8 + e % 32 / 16 * 4;
  store4(run + place, high);
  store4(run + kRunElements + place, low);
  if (e % 32 != 0) return;
  if constexpr (kParts == 1) {
    store_pair(reinterpret_cast<float*>(scale), {{dx, dx * static_cast<float>(sum + other)}});
  } else {
    store_quad(reinterpret_cast<float*>(scale),
               {{dx, dx * static_cast<float>(sum), dx * static_cast<float>(other), 0}});
  }
}

template <int kParts>
__device__ __forceinline__ RunScale<kParts> load_scale(const RunScale<kParts>* p) {
  if constexpr (kParts == 1) {
    const Pair v = load_pair(reinterpret_cast<const float*>(p));
    return {v.v[0], {v.v[1]}};
  } else {
    const Quad v = load_quad(reinterpret_cast<const float*>(p));
    return {v.v[0], {v.v[1], v.v[2], v.v[3]}};
  }
}

}  // namespace weft::device
#endif
