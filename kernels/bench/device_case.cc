#include "kernels/bench/device_case.h"

#include <weft/sdk/measure.h>

#include <algorithm>

#include "kernels/testing/random.h"

namespace weft {
namespace {

/// Larger than any device's cache.
constexpr int64_t kPastCaches = 256 << 20, kMostSets = 64;
/// Runs of a graph: its launch is a small part of what is timed.
constexpr int64_t kGraphRuns = 32;

int64_t aligned(int64_t bytes) {
  constexpr auto kAlignment = static_cast<int64_t>(kDeviceAlignment);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Random numbers everywhere: a piece from the host, which is doubled until all is filled.
Status fill_randomly(const DeviceStream& stream, const DeviceBuffer& memory) {
  const auto size = static_cast<int64_t>(memory.size_bytes());
  int64_t filled = std::min<int64_t>(size, 4 << 20);
  const std::vector<float> piece = testing::random_normal((filled + 3) / 4, 1);
  Status status = stream.copy_to_device(memory.data(), piece.data(), static_cast<uint64_t>(filled));
  for (int64_t bytes; status.ok() && filled < size; filled += bytes) {
    bytes = std::min(filled, size - filled);
    status = stream.copy_within(memory.data() + filled, memory.data(), static_cast<uint64_t>(bytes));
  }
  const Status passed = stream.synchronize();
  return status.ok() ? passed : status;
}

/// The median of launches of the graph.
Result<double> median_seconds(const DeviceStream& stream, const DeviceGraph& graph, double least_seconds) {
  constexpr size_t kFewest = 5;
  std::vector<double> times;
  for (double sum = 0; sum < least_seconds || times.size() <= kFewest; sum += times.back()) {
    const sdk::Stopwatch watch;
    Status status = graph.launch(stream);
    if (status.ok()) status = stream.synchronize();
    if (!status.ok()) return status;
    times.push_back(watch.seconds());
  }
  times.erase(times.begin());
  return sdk::median(std::move(times));
}

}  // namespace

Result<DeviceOperands> DeviceOperands::allocate(const DeviceStream& stream, std::vector<int64_t> sizes) {
  DeviceOperands operands;
  for (const int64_t size : sizes) {
    operands.offsets_.push_back(operands.set_bytes_);
    operands.set_bytes_ += aligned(size);
  }
  const auto room = static_cast<int64_t>(stream.device()->facts().memory_bytes / 2);
  const int64_t wanted = std::min(kMostSets, (kPastCaches + operands.set_bytes_ - 1) / operands.set_bytes_);
  operands.sets_ = std::clamp<int64_t>(room / operands.set_bytes_, 1, wanted);
  auto memory = DeviceBuffer::allocate(stream, static_cast<uint64_t>(operands.sets_ * operands.set_bytes_),
                                       "operands of a benchmark");
  if (!memory.ok()) return memory.status();
  operands.memory_ = *std::move(memory);
  if (Status status = fill_randomly(stream, operands.memory_); !status.ok()) return status;
  return operands;
}

Status DeviceOperands::copy_in(const DeviceStream& stream, size_t operand, const void* values,
                               int64_t size_bytes) const {
  Status status;
  for (int64_t i = 0; status.ok() && i < sets_; ++i)
    status = stream.copy_to_device(at(operand, i), values, static_cast<uint64_t>(size_bytes));
  const Status passed = stream.synchronize();
  return status.ok() ? passed : status;
}

Result<double> measure_device_seconds(const DeviceStream& stream, const DeviceRun& run,
                                      double least_seconds) {
  Status first = run(0);  // loads the kernel
  if (Status passed = stream.synchronize(); first.ok()) first = passed;
  if (!first.ok()) return first;
  auto graph = DeviceGraph::capture(stream, [&]() -> Status {
    for (int64_t i = 0; i < kGraphRuns; ++i) {
      if (Status status = run(i); !status.ok()) return status;
    }
    return {};
  });
  if (!graph.ok()) return graph.status();
  Result<double> seconds = median_seconds(stream, *graph, least_seconds);
  if (!seconds.ok()) return seconds;
  return *seconds / kGraphRuns;
}

double peak_operations_per_second(const DeviceFacts& facts, Arithmetic arithmetic) {
  // A multiprocessor's operations a cycle, from NVIDIA's papers on the architectures.
  constexpr struct {
    int major, minor;
    double f32, bf16, int8;
  } kEach[] = {{8, 0, 128, 2048, 4096},
               {8, 6, 256, 512, 2048},
               {8, 9, 256, 512, 2048},
               {9, 0, 256, 4096, 8192},
               {10, 0, 256, 8192, 16384}};
  for (const auto& each : kEach)
    if (each.major == facts.compute_major && each.minor == facts.compute_minor) {
      const double cycle = arithmetic == Arithmetic::kF32    ? each.f32
                           : arithmetic == Arithmetic::kBF16 ? each.bf16
                                                             : each.int8;
      return cycle * facts.multiprocessors * facts.clock_hz;
    }
  return 0;
}

Result<double> copy_bytes_per_second(const DeviceStream& stream, int64_t size_bytes) {
  auto memory = DeviceOperands::allocate(stream, {size_bytes, size_bytes});
  if (!memory.ok()) return memory.status();
  const Result<double> seconds = measure_device_seconds(
      stream,
      [&](int64_t i) {
        return stream.copy_within(memory->at(1, i), memory->at(0, i), static_cast<uint64_t>(size_bytes));
      },
      0.1);
  if (!seconds.ok()) return seconds;
  return 2.0 * static_cast<double>(size_bytes) / *seconds;
}

}  // namespace weft
