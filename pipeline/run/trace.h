/// A Chrome trace of one run (chrome://tracing, ui.perfetto.dev): one row a worker, counters for live and copied bytes.
///
/// Format: "Trace Event Format", Google, 2016: complete events ("X"), counters ("C") and thread names ("M").
/// Thread safety: record from any thread, each with its own worker index; write after all of them are done.
#ifndef WEFT_PIPELINE_RUN_TRACE_H
#define WEFT_PIPELINE_RUN_TRACE_H

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <weft/sdk/status.h>

namespace weft {

class TemporaryFiles;

class Trace {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Trace(uint32_t n_workers);

  /// A stretch of a worker's time. name: copied.
  void span(uint32_t worker, std::string_view name, std::string_view category, Clock::time_point begin,
            Clock::time_point end);
  /// The counters' values from now on.
  void counters(uint32_t worker, uint64_t live_bytes, uint64_t copied_bytes);
  /// Errors: kIoError.
  Status write(TemporaryFiles& temporaries, const std::filesystem::path& path) const;

 private:
  struct Span {
    std::string name, category;
    Clock::time_point begin, end;
  };
  struct Sample {
    Clock::time_point time;
    uint64_t live_bytes, copied_bytes;
  };
  struct Row {
    std::vector<Span> spans;
    std::vector<Sample> samples;
  };
  const Clock::time_point start_;
  std::vector<Row> rows_;
};

}  // namespace weft
#endif
