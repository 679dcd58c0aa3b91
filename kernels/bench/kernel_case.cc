#include "kernels/bench/kernel_case.h"

#include <weft/sdk/measure.h>

#include <utility>

#include "kernels/testing/peaks.h"

namespace weft {
namespace {

double seconds_of(const KernelRun& run, Executor executor) {
  const sdk::Stopwatch watch;
  run(executor);
  return watch.seconds();
}

}  // namespace

const char* to_string(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kF32: return "f32";
    case Arithmetic::kBF16: return "bf16";
    case Arithmetic::kInt8: return "int8";
  }
  return "?";
}

double measure_seconds(const KernelRun& run, Executor executor, double least_seconds) {
  constexpr size_t kFewest = 5;
  seconds_of(run, executor);
  std::vector<double> times;
  for (double sum = 0; sum < least_seconds || times.size() < kFewest; sum += times.back())
    times.push_back(seconds_of(run, executor));
  return sdk::median(std::move(times));
}

KernelPeaks measure_peaks(Executor executor, IsaLevel level, int64_t buffer_bytes) {
  KernelPeaks peaks{};
  peaks.read_bytes = testing::read_bytes_per_second(executor, buffer_bytes);
  peaks.operations[static_cast<int>(Arithmetic::kF32)] = testing::f32_operations_per_second(executor, level);
  peaks.operations[static_cast<int>(Arithmetic::kBF16)] =
      testing::bf16_operations_per_second(executor, level);
  peaks.operations[static_cast<int>(Arithmetic::kInt8)] =
      testing::int8_operations_per_second(executor, level);
  return peaks;
}

}  // namespace weft
