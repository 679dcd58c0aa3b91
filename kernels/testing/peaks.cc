#include "kernels/testing/peaks.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "kernels/testing/peaks_bodies.h"

namespace weft::testing {
namespace {

constexpr int kLanesOfABody = 16;

/// The shortest of several runs of body(Team) on all threads, in seconds.
template <typename Body>
double best_seconds(Executor executor, Body body) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    executor.run(body);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double operations_per_second(Executor executor, float (*loop)(int64_t), int chains, int operations_a_lane) {
  constexpr int64_t kRounds = 2'000'000;
  std::atomic<float> sink{0};
  std::atomic<uint32_t> n_threads{1};
  const double seconds = best_seconds(executor, [&](Team team) {
    n_threads.store(team.n_threads());
    sink.store(loop(kRounds));
  });
  return static_cast<double>(kRounds * chains * kLanesOfABody * operations_a_lane) * n_threads.load() /
         seconds;
}

}  // namespace

double read_bytes_per_second(Executor executor, int64_t buffer_bytes) {
  constexpr int64_t kAhead = 4096 / 8;  // the hardware's prefetcher stops at every page
  const int64_t words_in_all = buffer_bytes / 8;
  const std::vector<uint64_t> memory(static_cast<size_t>(words_in_all), 1);
  std::atomic<uint64_t> sink{0};
  const double seconds = best_seconds(executor, [&](Team team) {
    const int64_t part = words_in_all / team.n_threads();
    const uint64_t* words = memory.data() + part * team.thread();
    uint64_t sums[8] = {};
    for (int64_t i = 0; i + 8 <= part; i += 8) {
      __builtin_prefetch(words + i + kAhead, 0, 2);
      for (int j = 0; j < 8; ++j) sums[j] += words[i + j];
    }
    for (const uint64_t sum : sums) sink.fetch_add(sum);
  });
  return static_cast<double>(buffer_bytes) / seconds;
}

double f32_operations_per_second(Executor executor, IsaLevel level) {
  const PeakBodies& body = WEFT_ISA_BODY(kPeakBodies, level);
  return operations_per_second(executor, body.f32, kPeakChains, 2);
}

double bf16_operations_per_second(Executor executor, IsaLevel level) {
  const PeakBodies& body = WEFT_ISA_BODY_WITH_BF16_AND_AMX(kPeakBodies, level);
  return body.bf16 == nullptr ? 0 : operations_per_second(executor, body.bf16, kPeakPairChains, 4);
}

double int8_operations_per_second(Executor executor, IsaLevel level) {
  const PeakBodies& body = WEFT_ISA_BODY_WITH_BF16_AND_AMX(kPeakBodies, level);
  return operations_per_second(executor, body.int8, kPeakChains, 8);
}

}  // namespace weft::testing
