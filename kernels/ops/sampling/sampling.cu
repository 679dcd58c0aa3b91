// A block draws the token of a row. What is left of the row after each sampler is a beginning of it in the order of top_k.h, so that
// its last token says all; that is found by sums of integers above a few limits, and in the end by comparing few tokens.

#include "kernels/ops/sampling/sampling_cuda.h"
#include "kernels/ops/top_k/order_device.h"

namespace weft {
namespace {

constexpr int kThreads = 1024, kWarps = kThreads / 32;
constexpr int kLoads = 8;                                    // of a thread, on their way together
constexpr int kMostListed = kMostTypicalCuda;                // a thread each
constexpr int kWays = 4;                                     // that a pass splits a row in
constexpr uint64_t kLeastRank = uint64_t{0x00800000} << 32;  // of the smallest number above -infinity
constexpr uint32_t kInfinityOrder = 0xff800000u;

static_assert(kMostListed == kThreads);

/// A token and its logit, in one word that is the larger the earlier the token comes.
__device__ __forceinline__ uint64_t rank_of(float value, int token) {
  return static_cast<uint64_t>(device::order_of(value)) << 32 | ~static_cast<uint32_t>(token);
}
__device__ __forceinline__ float value_of(uint64_t rank) {
  return device::value_of(static_cast<uint32_t>(rank >> 32));
}
__device__ __forceinline__ int token_of(uint64_t rank) {
  return static_cast<int>(~static_cast<uint32_t>(rank));
}

/// sampling.h's weight of x = scale (logit - largest): the operations of sampling_cpu.cc, one by one.
__device__ __forceinline__ uint64_t weight_of(float x) {
  const float clamped = fmaxf(x, -24.0f), shifter = 12582912.0f;
  const float shifted = __fadd_rn(__fmul_rn(clamped, 1.44269504088896341f), shifter);
  const float n = __fadd_rn(shifted, -shifter);
  float r = __fadd_rn(clamped, __fmul_rn(n, -0.693359375f));
  r = __fadd_rn(r, __fmul_rn(n, 2.12194440e-4f));
  float p = 1.9875691500e-4f;
  p = __fadd_rn(__fmul_rn(p, r), 1.3981999507e-3f);
  p = __fadd_rn(__fmul_rn(p, r), 8.3334519073e-3f);
  p = __fadd_rn(__fmul_rn(p, r), 4.1665795894e-2f);
  p = __fadd_rn(__fmul_rn(p, r), 1.6666665459e-1f);
  p = __fadd_rn(__fmul_rn(p, r), 5.0000001201e-1f);
  p = __fadd_rn(__fmul_rn(p, __fmul_rn(r, r)), __fadd_rn(r, 1.0f));
  const uint32_t exponent = __float_as_uint(shifted) - __float_as_uint(shifter);
  return __float2ull_rn(__fmul_rn(p, __uint_as_float((exponent + (127 + 33)) << 23)));
}

/// A mask, so that a warp loads what it goes with without branches.
__device__ __forceinline__ uint64_t all_bits_if(bool condition) { return condition ? ~uint64_t{0} : 0; }

/// How much of a sum of weights `share` of it is, rounded up; no nothing.
__device__ __forceinline__ uint64_t share_of(uint64_t total, float share) {
  const double product = static_cast<double>(share) * static_cast<double>(total);
  const uint64_t whole = static_cast<uint64_t>(product);
  const uint64_t up = whole + (static_cast<double>(whole) < product ? 1 : 0);
  return up > 0 ? up : 1;
}

/// What the threads of a block share.
struct Shared {
  uint64_t* ranks;    // [kMostListed]
  uint64_t* weights;  // [kMostListed]
  double* terms;      // [kMostListed]
  uint64_t* sums;     // [kWays, kWarps]
  int* counts;        // [kWays, kWarps]
  uint64_t* found;
  double* mean;
  int* listed;
};

/// What is left of a row: the tokens from `best` to `last`; and where they are listed, none that the list does not have. The same in
/// all threads.
struct Left {
  const float* logits;
  int cols;
  uint64_t best, last;
  int listed = -1;  // tokens in Shared::ranks; -1: they are searched in the row
};

struct Tally {
  uint64_t sum = 0;
  int count = 0;
};

/// Of a block, in every thread; free again for the next one when it returns.
template <int kCount>
__device__ __forceinline__ void add_up(Tally (&t)[kCount], const Shared& s) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const auto over_warp = [](Tally& x) {
#pragma unroll
    for (int flip = 16; flip > 0; flip /= 2) {
      x.sum += __shfl_xor_sync(0xffffffffu, x.sum, flip);
      x.count += __shfl_xor_sync(0xffffffffu, x.count, flip);
    }
  };
#pragma unroll
  for (int k = 0; k < kCount; ++k) {
    over_warp(t[k]);
    if (lane == 0) s.sums[k * kWarps + warp] = t[k].sum, s.counts[k * kWarps + warp] = t[k].count;
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kCount; ++k) {
    t[k].sum = s.sums[k * kWarps + lane], t[k].count = s.counts[k * kWarps + lane];
    over_warp(t[k]);
  }
  __syncthreads();
}

__device__ __forceinline__ uint64_t block_max(uint64_t x, const Shared& s) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const auto over_warp = [](uint64_t most) {
#pragma unroll
    for (int flip = 16; flip > 0; flip /= 2) {
      const uint64_t other = __shfl_xor_sync(0xffffffffu, most, flip);
      if (other > most) most = other;
    }
    return most;
  };
  x = over_warp(x);
  if (lane == 0) s.sums[warp] = x;
  __syncthreads();
  x = over_warp(s.sums[lane]);
  __syncthreads();
  return x;
}

/// Calls f(token, logit) for each of the row that is the thread's; as often in all threads, at last with NaN.
template <typename F>
__device__ __forceinline__ void for_each_logit(const float* logits, int cols, F f) {
  for (int begin = 0; begin < cols; begin += kThreads * kLoads) {
    const int first = begin + static_cast<int>(threadIdx.x);
    float x[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) x[i] = first + i * kThreads < cols ? logits[first + i * kThreads] : NAN;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) f(first + i * kThreads, x[i]);
  }
}

/// Calls f(rank) for each token that is left and the thread's.
template <typename F>
__device__ __forceinline__ void for_each_left(const Left& left, const Shared& s, F f) {
  if (left.listed >= 0) {
    const int at = static_cast<int>(threadIdx.x);
    if (at < left.listed && s.ranks[at] >= left.last) f(s.ranks[at]);
    return;
  }
  for_each_logit(left.logits, left.cols, [&](int token, float logit) {
    const uint64_t rank = rank_of(logit, token);
    if (rank >= left.last) f(rank);
  });
}

/// Lists the row's tokens from `above`, without it, to `low`; returns their number, which is at most kMostListed.
__device__ __forceinline__ int list(const Left& left, const Shared& s, uint64_t above, uint64_t low) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (threadIdx.x == 0) *s.listed = 0;
  __syncthreads();
  for_each_logit(left.logits, left.cols, [&](int token, float logit) {
    const uint64_t rank = rank_of(logit, token);
    const bool is_in = rank < above && rank >= low;
    const uint32_t of_warp = __ballot_sync(0xffffffffu, is_in);
    if (of_warp == 0) return;
    int at = lane == 0 ? atomicAdd(s.listed, __popc(of_warp)) : 0;
    at = __shfl_sync(0xffffffffu, at, 0);
    if (is_in) s.ranks[at + __popc(of_warp & ((1u << lane) - 1))] = rank;
  });
  __syncthreads();
  return *s.listed;
}

/// The first token, from the best on, with which the measures add up to need(of all that are left); 0 if they do not. What it goes
/// over is listed afterwards, where that is few enough. spread: how far apart logits are that matter.
template <typename Measure, typename Need>
__device__ __forceinline__ uint64_t reach(Left& left, const Shared& s, float spread, Measure measure,
                                          Need need) {
  const int thread = static_cast<int>(threadIdx.x);
  uint64_t low = left.last, above = left.best + 1, before = 0, needed = 0;
  int listed = left.listed;
  if (listed >= 0) {
    Tally all[1];
    for_each_left(left, s, [&](uint64_t rank) { all[0].sum += measure(value_of(rank)); });
    add_up(all, s);
    needed = need(all[0].sum);
    if (needed > all[0].sum) return 0;
  } else {
    uint64_t limits[kWays];  // of ranks, descending
#pragma unroll
    for (int way = 0; way < kWays - 1; ++way) {
      const float limit = value_of(left.best) - static_cast<float>(3 << way) * spread;
      limits[way] = static_cast<uint64_t>(device::order_of(limit)) << 32;
      if (limits[way] < low) limits[way] = low;
    }
    for (int count = kMostListed + 1; count > kMostListed;) {
      limits[kWays - 1] = low;
      Tally reached[kWays];
      for_each_left(left, s, [&](uint64_t rank) {
        if (rank >= above) return;
        const uint64_t measured = measure(value_of(rank));
#pragma unroll
        for (int way = 0; way < kWays; ++way) {
          if (rank >= limits[way]) reached[way].sum += measured, ++reached[way].count;
        }
      });
      add_up(reached, s);
      if (needed == 0) {
        needed = need(reached[kWays - 1].sum);
        if (needed > reached[kWays - 1].sum) return 0;
      }
      // The first way that reaches it. What is above that is measured for good, where all together are too many.
      Tally passed;
      uint64_t passed_limit = above;
#pragma unroll
      for (int way = 0; way < kWays; ++way) {
        if (before + reached[way].sum < needed) {
          passed = reached[way], passed_limit = limits[way];
        } else {
          if (reached[way].count <= kMostListed) passed = Tally(), passed_limit = above;
          low = limits[way], count = reached[way].count - passed.count;
          break;
        }
      }
      before += passed.sum;
      above = passed_limit;
      const uint64_t step = (above - low) / kWays;
#pragma unroll
      for (int way = 0; way < kWays - 1; ++way) limits[way] = above - static_cast<uint64_t>(way + 1) * step;
    }
    listed = list(left, s, above, low);
    if (above > left.best) left.listed = listed;
  }
  // Few are left: each adds up what comes before it.
  const uint64_t mine = thread < listed ? s.ranks[thread] : 0;
  const uint64_t measured = mine >= low && mine != 0 ? measure(value_of(mine)) : 0;
  s.weights[thread] = measured;
  if (thread == 0) *s.found = 0;
  __syncthreads();
  if (thread < listed) {
    for (int i = 0; i < listed; ++i) {
      before += s.weights[i] & all_bits_if(s.ranks[i] > mine);
    }
    if (before < needed && before + measured >= needed) *s.found = mine;
  }
  __syncthreads();
  const uint64_t found = *s.found;
  __syncthreads();
  return found;
}

/// Takes tokens off the list, as keep_typical() of sampling.cc does: sums in its order.
__device__ __forceinline__ void keep_typical(Left& left, const Shared& s, float typical_p) {
  const int thread = static_cast<int>(threadIdx.x);
  const uint64_t mine = thread < left.listed ? s.ranks[thread] : 0;
  const bool there = mine >= left.last;
  const double largest = value_of(left.best), distance = there ? value_of(mine) - largest : 0;
  const uint64_t weight = there ? weight_of(value_of(mine) - value_of(left.best)) : 0;
  Tally all[1] = {{weight, there ? 1 : 0}};
  s.weights[thread] = weight;
  add_up(all, s);
  if (there) {
    int place = 0;
    for (int i = 0; i < left.listed; ++i) place += s.ranks[i] > mine ? 1 : 0;
    s.terms[place] = static_cast<double>(weight) * distance;
  }
  __syncthreads();
  if (thread == 0) {
    double moment = 0;
    for (int i = 0; i < all[0].count; ++i) moment += s.terms[i];
    *s.mean = moment / static_cast<double>(all[0].sum);
  }
  __syncthreads();
  const double surprise = fabs(distance - *s.mean);
  s.terms[thread] = surprise;
  __syncthreads();
  bool kept = false;
  if (there) {
    uint64_t before = 0;
    for (int i = 0; i < left.listed; ++i) {
      const double other = s.terms[i];
      const bool first_of_two = static_cast<uint32_t>(s.ranks[i]) > static_cast<uint32_t>(mine);
      before += s.weights[i] & all_bits_if((other < surprise) | ((other == surprise) & first_of_two));
    }
    kept = before < share_of(all[0].sum, typical_p);
  }
  __syncthreads();
  if (thread < left.listed) s.ranks[thread] = kept ? mine : 0;
  left.best = block_max(kept ? mine : 0, s);
}

/// Applies a row's changes to its logits, a token's by one thread.
__device__ __forceinline__ void change(float* logits, const LogitChange* changes, int count) {
  for (int at = static_cast<int>(threadIdx.x); at < count; at += kThreads) {
    const int token = changes[at].token;
    if (at > 0 && changes[at - 1].token == token) continue;
    float x = logits[token];
    for (int i = at; i < count && changes[i].token == token; ++i) {
      x = x > 0 ? x / changes[i].divisor : __fmul_rn(x, changes[i].divisor);
      x = __fadd_rn(x, -changes[i].lowered_by);
    }
    logits[token] = x;
  }
}

/// Forbids what the mask does not allow; the first token of those that are possible, or 0.
__device__ __forceinline__ uint64_t first_allowed(float* logits, int cols, const uint64_t* mask,
                                                  const Shared& s) {
  uint64_t best = 0;
  for_each_logit(logits, cols, [&](int token, float logit) {
    if (token >= cols) return;
    if (mask != nullptr && (mask[token / 64] >> token % 64 & 1) == 0) {
      logits[token] = -INFINITY;
      return;
    }
    const uint64_t rank = rank_of(logit, token);
    if (rank > best) best = rank;
  });
  best = block_max(best, s);
  return best >= kLeastRank ? best : 0;
}

/// The samplers after DRY, in the order of sampling.h.
__device__ __forceinline__ uint64_t draw(const SamplingRow& row, Left& left, const Shared& s) {
  const auto weight_at = [&](float scale) {
    return [&left, scale](float logit) { return weight_of((logit - value_of(left.best)) * scale); };
  };
  const bool is_cut = row.top_k > 0 && row.top_k < left.cols, typical = row.typical_p < 1;
  if (is_cut || typical) {
    const uint64_t last = reach(
        left, s, 1, [](float) { return uint64_t{1}; },
        [&](uint64_t all) {
          const auto most = static_cast<uint64_t>(row.top_k);
          return is_cut && most < all ? most : all;
        });
    left.last = last;
    if (is_cut && row.top_k <= kMostListed && left.listed < 0)
      left.listed = list(left, s, left.best + 1, left.last);
  }
  if (typical) keep_typical(left, s, row.typical_p);
  if (row.top_p < 1)
    left.last = reach(left, s, 1, weight_at(1), [&](uint64_t all) { return share_of(all, row.top_p); });
  if (row.least > -INFINITY) {
    const double least = value_of(left.best) + row.least;
    const float nearest = static_cast<float>(least);
    const uint32_t order = device::order_of(nearest) + (static_cast<double>(nearest) < least ? 1 : 0);
    const uint64_t last = static_cast<uint64_t>(order) << 32;
    if (last > left.last) left.last = last;
  }
  const uint64_t drawn = reach(left, s, row.temperature, weight_at(row.scale), [&](uint64_t all) {
    return static_cast<uint64_t>(row.drawn * static_cast<double>(all)) + 1;
  });
  return drawn != 0 ? drawn : left.best;
}

__global__ void __launch_bounds__(kThreads) sample_rows(SamplingCuda work) {
  WEFT_SHARED(uint64_t, ranks, kMostListed);
  WEFT_SHARED(uint64_t, weights, kMostListed);
  WEFT_SHARED(double, terms, kMostListed);
  WEFT_SHARED(uint64_t, sums, kWays * kWarps);
  WEFT_SHARED(int, counts, kWays* kWarps);
  WEFT_SHARED(uint64_t, found, 1);
  WEFT_SHARED(double, mean, 1);
  WEFT_SHARED(int, listed, 1);
  const Shared s = {ranks, weights, terms, sums, counts, found, mean, listed};
  const SamplingRow& row = work.rows[blockIdx.x];
  float* logits = work.logits + row.row * work.logits_stride;
  const int cols = static_cast<int>(work.cols);
  const uint64_t* mask = row.mask < 0 ? nullptr : work.masks + row.mask * ((work.cols + 63) / 64);
  if (row.changes > 0) {
    change(logits, work.changes + row.first_change, row.changes);
    __syncthreads();
  }
  uint64_t token = first_allowed(logits, cols, mask, s);
  if (token != 0 && row.temperature > 0 && token >> 32 != kInfinityOrder) {
    Left left = {logits, cols, token, kLeastRank};
    token = draw(row, left, s);
  }
  if (threadIdx.x == 0) work.tokens[blockIdx.x] = token != 0 ? token_of(token) : -1;
}

}  // namespace

Status sampling_cuda(const SamplingCuda& s, cudaStream_t stream) {
  if (s.count < 0 || s.cols < 1 || s.cols > kMostSamplingCols || s.logits_stride < s.cols)
    return Status(StatusCode::kInvalidShape, "sampling on a device: an impossible shape")
        .expected("count >= 0, cols in [1, " + std::to_string(kMostSamplingCols) +
                  "], a stride of at least a row")
        .got("count " + std::to_string(s.count) + ", cols " + std::to_string(s.cols) + ", stride " +
             std::to_string(s.logits_stride));
  if (s.count == 0) return {};
  if (!s.logits || !s.rows || !s.tokens)
    return Status(StatusCode::kInvalidArgument, "sampling on a device: a pointer is null");
  return device::launch(stream, "sample_rows", dim3(static_cast<unsigned>(s.count)), kThreads, 0, sample_rows,
                        s);
}

}  // namespace weft
