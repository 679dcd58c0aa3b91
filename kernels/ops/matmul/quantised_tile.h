/// Products of 16 rows of quantised weights with a few rows of x on tensor cores, in integers; device code.
///
/// x is taken in 16 bits a run of 32: xi = round(x / dx), dx = max|x| / 32512, as two signed bytes, xi = 256 high + low. Both
/// are columns of the same mma.m16n8k32, whose four pairs of columns are four rows of x; a weight's codes are bytes already. So
///
///   sum over a run of w x = scale * dx * sum of codes * xi + shift * dx * sum of xi
///
/// where the sums are exact. Of y, an error of some 2e-5 remains, from the rounding of x.
#ifndef WEFT_KERNELS_OPS_MATMUL_QUANTISED_TILE_H
#define WEFT_KERNELS_OPS_MATMUL_QUANTISED_TILE_H

#include "kernels/quant/weight_blocks_device.h"

namespace weft::device {

constexpr int kRunElements = 32;  // of x that share dx

/// A row of x as the tensor cores read it: of each run and part (high, low), lane c of four takes elements 4c to 4c + 3 and
/// 16 + 4c to 16 + 4c + 3 in one piece.
struct RunScale {
  float dx, first, second, unused;  // first, second: dx times the sum of xi over each half
};
constexpr int kRunBytes = 2 * kRunElements;  // of one row and run

/// Four elements at `e` of a row, by eight lanes that hold a run together: writes their bytes to the run's place and its scale.
/// All lanes of a warp call it; those that are not `present` write nothing.
__device__ __forceinline__ void put_run(Quad x, int e, bool present, unsigned char* run, RunScale* scale) {
  float largest = 0;
  for (int j = 0; j < 4; ++j) largest = fmaxf(largest, fabsf(x.v[j]));
#pragma unroll
  for (int flip = 4; flip > 0; flip /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, flip));
  const float dx = largest / 32512.0f, inverse = largest > 0 ? 32512.0f / largest : 0.0f;
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
  if (e % 32 == 0) {
    const float of[4] = {dx, dx * static_cast<float>(sum), dx * static_cast<float>(other), 0};
    store_quad(reinterpret_cast<float*>(scale), {{of[0], of[1], of[2], of[3]}});
  }
}

/// y[0], y[1] += the products of kRuns runs of two rows of W, which begin at blocks rows[0] and rows[1], with the lane's row of x.
/// bytes: of the first run for the lane's column and c = lane % 4, `pitch` bytes apart from run to run, or null for zeros;
/// scales: `tokens` apart. What is known when compiling is where the codes and scales of each run lie.
template <WeightFormat kFormat, int kRuns>
__device__ __forceinline__ void take_runs(const uint8_t* const (&rows)[2], const unsigned char* bytes,
                                          int pitch, const RunScale* scales, int tokens, float (&y)[2]) {
  using Block = device::Block<kFormat>;
  const int in = static_cast<int>(threadIdx.x % 4) * 4;
#pragma unroll
  for (int run = 0; run < kRuns; ++run) {
    const int e = run * kRunElements % Block::kElements;
    const int at = run * kRunElements / Block::kElements * Block::kBytes;
    const uint8_t *const first = rows[0] + at, *const second = rows[1] + at;
    const uint32_t a[4] = {Block::codes(first, e, in), Block::codes(second, e, in),
                           Block::codes(first, e + 16, in), Block::codes(second, e + 16, in)};
    Words2 b = {{0, 0}};
    if (bytes != nullptr) b = load8(bytes + run * pitch);
    const Quad x = load_quad(reinterpret_cast<const float*>(scales + run * tokens));
    constexpr int kHalves = kRunElements / Block::kRun;
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      const uint32_t part[2] = {kHalves == 1 || half == 0 ? b.w[0] : 0u,
                                kHalves == 1 || half == 1 ? b.w[1] : 0u};
      int32_t d[4] = {0, 0, 0, 0};
      mma_s8(d, a, part);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const Scale s = Block::scale(r == 0 ? first : second, e + half * Block::kRun);
        y[r] += s.scale * (x.v[0] * static_cast<float>(d[2 * r] * 256 + d[2 * r + 1]));
        if constexpr (Block::kShifts) y[r] += s.shift * (kHalves == 1 ? x.v[1] + x.v[2] : x.v[1 + half]);
      }
    }
  }
}

}  // namespace weft::device
#endif
