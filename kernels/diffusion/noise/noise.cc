#include "kernels/diffusion/noise/noise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "kernels/ops/sampling/sampling.h"

namespace weft::diffusion {
namespace {

constexpr size_t kBlock = 16;  // numbers that PyTorch transforms at once: eight pairs

// The single-precision functions of the Cephes library in the order of operations that PyTorch's vectors use: every product
// that is added to is fused with the addition, as its compiler does.

// ln(x) for 0 < x <= 1. Source: Moshier, Cephes, logf.
float log_of(float x) {
  constexpr float kFactors[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  constexpr float kLn2Low = -2.12194440e-4f, kLn2High = 0.693359375f, kSqrtHalf = 0.707106781186547524f;
  const uint32_t bits = std::bit_cast<uint32_t>(std::max(x, 0x1p-126f));
  float exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 126);
  float m = std::bit_cast<float>((bits & 0x807fffffu) | 0x3f000000u);  // 0.5 to 1
  if (m < kSqrtHalf) {
    exponent -= 1;
    m = (m - 1) + m;
  } else {
    m -= 1;
  }
  const float square = m * m;
  float sum = kFactors[0];
  for (int i = 1; i < 9; ++i) sum = std::fma(sum, m, kFactors[i]);
  sum = std::fma(sum * m, square, exponent * kLn2Low);
  sum = std::fma(-square, 0.5f, sum);
  return std::fma(exponent, kLn2High, m + sum);
}

struct SinCos {
  float sin, cos;
};

// For 0 <= x < 2 pi. Source: Moshier, Cephes, sinf and cosf: octants, then one of two polynomials.
SinCos sin_cos_of(float x) {
  constexpr float kFourOverPi = 1.27323954473516f;
  const int32_t octant = (static_cast<int32_t>(x * kFourOverPi) + 1) & ~1;
  const float turns = static_cast<float>(octant);
  x = std::fma(turns, -0.78515625f, x);  // pi / 4 in three parts
  x = std::fma(turns, -2.4187564849853515625e-4f, x);
  x = std::fma(turns, -3.77489497744594108e-8f, x);
  const float square = x * x;
  float even = std::fma(2.443315711809948e-5f, square, -1.388731625493765e-3f);
  even = std::fma(even, square, 4.166664568298827e-2f);
  even = std::fma(even * square, square, -(square * 0.5f)) + 1;
  float odd = std::fma(-1.9515295891e-4f, square, 8.3321608736e-3f);
  odd = std::fma(odd, square, -1.6666654611e-1f);
  odd = std::fma(odd * square, x, x);
  const bool swapped = (octant & 2) != 0;
  const float sin = swapped ? even : odd, cos = swapped ? odd : even;
  return {(octant & 4) != 0 ? -sin : sin, ((octant - 2) & 4) == 0 ? -cos : cos};
}

// Uniforms to normals, in place: Box & Muller 1958, the first eight numbers for the radii.
void transform_block(float* block) {
  constexpr float kTwoPi = static_cast<float>(2 * std::numbers::pi);
  for (size_t i = 0; i < kBlock / 2; ++i) {
    const float radius = std::sqrt(-2.0f * log_of(1 - block[i]));
    const auto [sin, cos] = sin_cos_of(kTwoPi * block[i + kBlock / 2]);
    block[i] = radius * cos + 0.0f;  // no negative zero
    block[i + kBlock / 2] = radius * sin + 0.0f;
  }
}

}  // namespace

NoiseGenerator::NoiseGenerator(NoiseSource source, uint64_t seed)
    : source_(source), seed_(seed), engine_(static_cast<uint32_t>(seed)) {}

void NoiseGenerator::fill(std::span<float> out) {
  if (source_ == NoiseSource::kTorchCpu) return fill_like_torch(out);
  fill_like_cuda(out);
}

float NoiseGenerator::next_uniform() {
  return static_cast<float>(static_cast<uint32_t>(engine_()) & 0xffffffu) * 0x1p-24f;
}

double NoiseGenerator::next_uniform_double() {
  const uint64_t high = engine_(), low = engine_();
  return static_cast<double>((high << 32 | low) & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void NoiseGenerator::fill_like_torch(std::span<float> out) {
  if (out.size() < kBlock) {
    for (float& value : out) {
      if (kept_normal_) {
        value = static_cast<float>(*kept_normal_);
        kept_normal_.reset();
        continue;
      }
      const double first = next_uniform_double(), second = next_uniform_double();
      const double radius = std::sqrt(-2 * std::log1p(-second)), angle = 2 * std::numbers::pi * first;
      kept_normal_ = radius * std::sin(angle);
      value = static_cast<float>(radius * std::cos(angle));
    }
    return;
  }
  for (float& value : out) value = next_uniform();
  for (size_t i = 0; i + kBlock <= out.size(); i += kBlock) transform_block(out.data() + i);
  if (out.size() % kBlock == 0) return;
  // The last sixteen are drawn again, over what the block before left there.
  const std::span<float> last = out.last(kBlock);
  for (float& value : last) value = next_uniform();
  transform_block(last.data());
}

void NoiseGenerator::fill_like_cuda(std::span<float> out) {
  constexpr float kUnit = 2.3283064e-10f;                                 // 2^-32
  constexpr float kTurn = static_cast<float>(2.3283064e-10 * 6.2831855);  // 2 pi 2^-32
  for (size_t i = 0; i < out.size(); ++i) {
    const PhiloxWords words = philox(seed_, calls_, i);
    const double u = words.word[0] * static_cast<double>(kUnit) + kUnit / 2;
    const double v = words.word[1] * static_cast<double>(kTurn) + kTurn / 2;
    out[i] = static_cast<float>(std::sqrt(-2 * std::log(u)) * std::sin(v));
  }
  ++calls_;
}

}  // namespace weft::diffusion
