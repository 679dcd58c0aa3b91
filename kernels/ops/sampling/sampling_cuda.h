/// Tokens drawn on a CUDA device: of the same logits the same token as sample(), bit for bit (sampling.h).
///
/// One block a row, which searches it where it lies: a few passes over the logits say above which of them the tokens are that can be
/// drawn, at most 1024 of these are listed in shared memory and compared with each other. Nothing is sorted. Sums are of integers.
/// Stream-ordered; no allocation, no synchronization. Bounds that tests hold it to: at most one sector and one wavefront of shared
/// memory a request beyond those of the data, but for what is scattered (changes of single logits, the ranks of typical sampling);
/// no spills, half of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_SAMPLING_SAMPLING_CUDA_H
#define WEFT_KERNELS_OPS_SAMPLING_SAMPLING_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/ops/sampling/logit_changes.h"

struct CUstream_st;

namespace weft {

/// Typical sampling is of at most so many tokens: of what top-k leaves.
inline constexpr int64_t kMostTypicalCuda = 1024;
inline constexpr int64_t kMostSamplingCols = 1 << 20;  // whose weights add up to less than 2^53

/// How a row's token is drawn. DeviceDraws (device_draws.h) makes it of SamplingParameters.
struct SamplingRow {
  double drawn = 0;                // drawn_number()
  double least = 0;                // ln(min_p); -infinity: off
  float temperature = 0;           // 0: greedy
  float scale = 0;                 // sampling_scale(temperature)
  float top_p = 1, typical_p = 1;  // typical_p below 1: of at most kMostTypicalCuda tokens, by top_k or cols
  int32_t top_k = 0;               // <= 0: all
  int32_t row = 0;                 // of the logits
  int32_t first_change = 0, changes = 0;
  int32_t mask = -1;  // -1: all tokens are allowed
};

/// Everything is in the device's memory.
struct SamplingCuda {
  float* logits =
      nullptr;  // [.., cols], rows logits_stride elements apart; changes and masks are written to them
  int64_t cols = 0, logits_stride = 0;
  const SamplingRow* rows = nullptr;  // [count]; no row of the logits twice
  const LogitChange* changes =
      nullptr;  // each row's one after another, ordered by token, those of a token in the order of sampling.h
  const uint64_t* masks = nullptr;  // [.., (cols + 63) / 64], as SamplingInput::allowed
  int32_t* tokens = nullptr;        // [count]; -1 where no token can be chosen
  int64_t count = 0;
};

/// Errors: kInvalidShape (cols below 1 or above kMostSamplingCols, a negative count, a stride below cols), kInvalidArgument (a
/// null pointer).
Status sampling_cuda(const SamplingCuda& s, CUstream_st* stream);

}  // namespace weft
#endif
