/// weft bench kernels: times the operations of the compute library and compares them with this machine's peaks, which it
/// measures with the same threads, and on demand with another library's program (kernels/bench/kernel_peer.h).
#ifndef WEFT_PIPELINE_CLI_BENCH_KERNELS_H
#define WEFT_PIPELINE_CLI_BENCH_KERNELS_H

#include <cstdint>
#include <string>

namespace weft::cli {

struct KernelBenchOptions {
  std::string op;                             // empty: all
  std::string filter;                         // only cases whose name or model contains this
  std::string peer;                           // a command; empty: none
  std::string device;                         // "cuda:0", without peer and threads; empty: the CPU
  uint32_t threads = 0;                       // 0: all that the process may use
  int64_t buffer_bytes = int64_t{256} << 20;  // read for the peak of memory: a model's size
  bool as_json = false;
};

/// Prints a table, or one JSON object. Returns the exit code: kUsage for an op that is not there.
int bench_kernels(const KernelBenchOptions& options);

}  // namespace weft::cli
#endif
