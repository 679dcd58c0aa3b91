/// Chooses the next token from logits.
///
/// The samplers run in this order, as llama.cpp's users expect; each works on what the one before it left:
///   allowed tokens -> logit_bias -> repeat, presence and frequency penalties -> DRY -> top_k -> typical_p
///   -> top_p -> min_p -> temperature -> draw.
/// A temperature of 0 takes the largest logit after DRY (the smallest id among equals) and draws nothing.
///
/// The draw is a pure function of (seed, step): Philox4x32-10 with the seed as key and the step as counter, so a
/// sequence gives the same tokens in any batch. Equal logits are ordered by id, so results do not depend on a
/// library's sort.
///
/// Numerics: a token's probability is its weight among those that are left: exp(scale (logit - largest)) in f32, each product
/// and sum rounded, times 2^33 and rounded to an integer; a token that is 2^34 times less likely than the best is never drawn.
/// Integers add up to the same in any order: every instruction set, and a device (sampling_cuda.h), draws the same token.
///
/// Source: Salmon et al. 2011 (Philox); Holtzman et al. 2020, arXiv:1904.09751 (top-p); Meister et al. 2022,
/// arXiv:2202.00666 (typical); Nguyen et al. 2024, arXiv:2407.01082 (min-p); Keskar et al. 2019, arXiv:1909.05858
/// (repetition penalty); DRY: p-e-w, text-generation-webui pull request 5677.
///
/// Thread safety: pure functions; the workspace belongs to one call at a time.
#ifndef WEFT_KERNELS_OPS_SAMPLING_SAMPLING_H
#define WEFT_KERNELS_OPS_SAMPLING_SAMPLING_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weft {

struct LogitBias {
  int32_t token = 0;
  float bias = 0;  // added to the logit; -infinity forbids the token
};

struct SamplingParameters {
  float temperature = 0.8f;  // >= 0; 0 is greedy
  int32_t top_k = 40;        // <= 0: all
  float top_p = 0.95f;       // [0, 1]; 1: off, 0: the likeliest token
  float min_p = 0.05f;       // [0, 1]; 0: off
  float typical_p = 1;       // [0, 1]; 1: off, 0: the most typical token

  int32_t penalty_last_n = 64;  // tokens looked back by the three penalties; 0: none, -1: all
  float repeat_penalty = 1;  // > 0; 1: off. Divides positive logits of seen tokens, multiplies negative ones
  float presence_penalty = 0;   // subtracted once from seen tokens
  float frequency_penalty = 0;  // subtracted per occurrence

  float dry_multiplier = 0;  // 0: off
  float dry_base = 1.75f;    // >= 1
  int32_t dry_allowed_length = 2;
  int32_t dry_penalty_last_n = -1;    // tokens looked back; 0: none, -1: all
  std::vector<int32_t> dry_breakers;  // tokens that no repetition extends over, ascending

  std::vector<LogitBias> logit_bias;
  uint64_t seed = 0;
};

/// Errors: kInvalidArgument, naming the parameter, its range and its value.
Status check(const SamplingParameters& parameters, int64_t vocabulary);

struct SamplingInput {
  std::span<const float> logits;     // [vocabulary], unchanged
  std::span<const int32_t> history;  // prompt and generated tokens so far, oldest first
  /// Bit t % 64 of word t / 64 says whether token t is allowed; empty: all are.
  std::span<const uint64_t> allowed;
  uint64_t step = 0;  // tokens this sequence has drawn before
};

/// Bytes of the workspace, aligned to 8.
int64_t sampling_workspace_bytes(int64_t vocabulary, int64_t history_length);

/// Whether sample() takes the largest of the logits as they are, whatever they are: then top_k() of one gives the same.
bool takes_largest(const SamplingParameters& parameters, const SamplingInput& input);

/// The chosen token. Preconditions: check() is ok; the workspace is large enough (it may be empty where the temperature is 0
/// and no mask, bias or penalty changes the logits). Errors: kInvalidArgument (no
/// token is allowed or all logits are -infinity or NaN).
Result<int32_t> sample(const SamplingParameters& parameters, const SamplingInput& input,
                       std::span<std::byte> workspace);

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;  // nats
};

/// The definition of sample(), naively: every token sorted, probabilities in double. Allocates.
Result<int32_t> sample_reference(const SamplingParameters& parameters, const SamplingInput& input);

/// The `top.size()` likeliest tokens of softmax(logits), before any sampler, best first. log_sum: log_sum_exp(logits). Returns
/// their number: fewer where fewer logits are numbers.
size_t top_logprobs(std::span<const float> logits, double log_sum, std::span<TokenLogprob> top);

/// What a token is drawn with: uniform in [0, 1), 53 bits.
double drawn_number(uint64_t seed, uint64_t step);
/// What logits are multiplied by at a temperature above 0: its inverse, as a finite number.
float sampling_scale(float temperature);

/// Philox4x32-10: four uniform 32-bit words for a 64-bit key and a 128-bit counter.
struct PhiloxWords {
  uint32_t word[4];
};
PhiloxWords philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

}  // namespace weft
#endif
