/// Cores of the host for the duration of a call into OpenVINO, which computes on threads of oneTBB.
///
/// Borrows from the host (weft.cores/1) and lets oneTBB, which is one for the whole process, have as many threads as all loans
/// together: the threads of callers count themselves. A compiled model divides its work by the number of threads that it was
/// compiled for, whatever is lent: results do not depend on the loan. Ownership: gives the cores back when destroyed.
/// Thread safety: any thread; loans of several threads add up.
///
///   const LentCores cores(host, host.executor().max_threads());
///   request.infer();
#ifndef WEFT_PLUGINS_ONNX_LENT_CORES_H
#define WEFT_PLUGINS_ONNX_LENT_CORES_H

#include <weft/abi/draft/cores.h>
#include <weft/sdk/host.h>

#include <cstdint>

namespace weft::onnx {

class LentCores {
 public:
  /// most: threads that could be used, the caller's among them.
  LentCores(const sdk::Host& host, uint32_t most);
  ~LentCores();
  LentCores(const LentCores&) = delete;
  LentCores& operator=(const LentCores&) = delete;

  uint32_t count() const { return count_; }

 private:
  const weft_cores_api* api_;
  uint32_t count_;
};

}  // namespace weft::onnx
#endif
