/// Measuring how long something takes: a stopwatch, the median, and what nodes that measure share.
///
///   constexpr weft_parameter kParameters[] = {repetitions_parameter("5")};
///   Result<std::array<double, 2>> seconds = median_seconds(request, repetitions_, [&] { return read(); }, [&] { return write(); });
///
/// Thread safety: a Stopwatch may be read by any thread. Nothing of plugin.h includes this header.
#ifndef WEFT_SDK_MEASURE_H
#define WEFT_SDK_MEASURE_H

#include <weft/sdk/descriptor.h>
#include <weft/sdk/request.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

namespace weft::sdk {

/// Runs from its construction on.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Of an even number of values the mean of the two in the middle. Precondition: at least one value.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

/// "repetitions" of a node that measures.
constexpr weft_parameter repetitions_parameter(
    const char* default_json, const char* help = "The median of so many measurements is reported.") {
  return parameter({.name = "repetitions",
                    .type = "int",
                    .default_json = default_json,
                    .minimum = 1,
                    .maximum = 1000,
                    .help = help});
}

/// The median seconds of each of `work`, functions that return a Status. Each round runs all of them, in turn, so that a slow
/// moment of the machine meets all; one round that does not count goes before and fills the caches. Tells the request's progress.
/// Errors: the first one of any work.
template <typename... Work>
Result<std::array<double, sizeof...(Work)>> median_seconds(const Request& request, int64_t repetitions,
                                                           Work&&... work) {
  std::array<std::vector<double>, sizeof...(Work)> seconds;
  Status status;
  for (int64_t round = 0; round <= repetitions; ++round) {
    auto series = seconds.begin();
    const auto measure = [&](auto& one) {
      const Stopwatch watch;
      status = one();
      if (round > 0) series->push_back(watch.seconds());
      ++series;
      return status.ok();
    };
    if (!(measure(work) && ...)) return status;
    request.progress(round, repetitions, "repetitions");
  }
  std::array<double, sizeof...(Work)> medians;
  std::transform(seconds.begin(), seconds.end(), medians.begin(),
                 [](std::vector<double>& series) { return median(std::move(series)); });
  return medians;
}

}  // namespace weft::sdk
#endif
