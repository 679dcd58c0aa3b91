/// Another library's program that does the same work, for `weft bench kernels --peer COMMAND`: scripts/compare/pytorch_kernels is
/// one for PyTorch.
///
/// The program talks through its standard input and output, a line at a time: first it says its name and version; then it
/// answers each work ("linear bf16 m=512 n=1280 k=5120": an operation, the type of its operands, its shape) with the seconds of
/// one run, the median of several, or with "none" where it has no such operation. It ends at the end of its input.
///
///   Result<KernelPeer> peer = KernelPeer::start("scripts/compare/pytorch_kernels");
///   Result<double> seconds = peer->measure("softmax f32 rows=512 cols=512");   // 0: it has none
///
/// Ownership: the object ends the program. Threads: one at a time.
#ifndef WEFT_KERNELS_BENCH_KERNEL_PEER_H
#define WEFT_KERNELS_BENCH_KERNEL_PEER_H

#include <weft/sdk/status.h>

#include <cstdio>
#include <memory>
#include <string>

namespace weft {

class KernelPeer {
 public:
  /// Starts `command` with a shell, with so many threads (OMP_NUM_THREADS). Errors: kIoError (it cannot be started, or ends
  /// without a name).
  static Result<KernelPeer> start(const std::string& command, unsigned threads);

  /// What it says it is: "PyTorch 2.15.0, oneDNN 3.13.3".
  const std::string& name() const { return name_; }

  /// Seconds of one run of `work`; 0 if the peer has none. Errors: kIoError (it ended), kInvalidArgument (an answer that is not
  /// a time).
  Result<double> measure(const std::string& work);

 private:
  struct Process;
  struct End {
    void operator()(Process* process) const;
  };
  KernelPeer() = default;
  Result<std::string> read_line();

  std::unique_ptr<Process, End> process_;
  std::string name_;
};

}  // namespace weft
#endif
