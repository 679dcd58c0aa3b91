/// Rotary position embedding: rotates pairs of a head's components by angles proportional to the position.
///
/// kInterleaved rotates (x[2i], x[2i+1]) as GGUF's "norm" architectures store them; kHalves rotates
/// (x[i], x[i + n/2]) ("NeoX"), n being the rotated components; components from n on pass through.
/// Angles: position * frequency[i], frequencies made once per model by rope_frequencies() with the scaling that
/// the model was trained for.
/// Source: Su et al. 2021, arXiv:2104.09864; YaRN: Peng et al. 2023, arXiv:2309.00071; llama3: Meta's reference
/// code of Llama 3.1.
#ifndef WEFT_KERNELS_OPS_ROPE_ROPE_H
#define WEFT_KERNELS_OPS_ROPE_ROPE_H

#include <cstdint>

#include "kernels/cpu/isa.h"

namespace weft {

enum class RopeLayout : uint8_t { kNone, kInterleaved, kHalves };
enum class RopeScaling : uint8_t { kNone, kLinear, kLlama3, kYarn };

struct RopeConfig {
  RopeLayout layout = RopeLayout::kNone;
  int64_t n_rotated = 0;  // components of a head, even
  double base = 10000;

  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;                 // kLinear, kLlama3, kYarn: how much longer the context became
  double original_context = 0;       // kLlama3, kYarn: tokens, before scaling
  double low_frequency_factor = 1;   // kLlama3
  double high_frequency_factor = 4;  // kLlama3
  double beta_fast = 32;             // kYarn: rotations over the original context above which nothing changes
  double beta_slow = 1;              // kYarn: and below which all is interpolated
  double attention_factor = 0;       // kYarn: multiplies cosine and sine; 0: 0.1 ln(factor) + 1
};

/// frequencies: [n_rotated / 2], radians a token. divisors: [n_rotated / 2] from the model file, or null; each
/// frequency is divided by its divisor (llama.cpp's rope_freqs). Returns the factor that multiplies cosine and sine.
float rope_frequencies(const RopeConfig& config, const float* divisors, double* frequencies);

/// cos_sin: [n_rotated] for one position: cosine and sine of each angle, in turn, times `magnitude`. Computed in
/// double.
void rope_cos_sin(const double* frequencies, int64_t n_rotated, float magnitude, int64_t position,
                  float* cos_sin);

/// Rotates `n_heads` adjacent heads of `head_dim` components in place.
void rope_heads(RopeLayout layout, int64_t n_rotated, const float* cos_sin, float* x, int64_t n_heads,
                int64_t head_dim, IsaLevel level = active_isa());

/// The definition, naively, in double.
void rope_reference(RopeLayout layout, int64_t n_rotated, const double* frequencies, double magnitude,
                    int64_t position, float* x, int64_t n_heads, int64_t head_dim);

}  // namespace weft
#endif
