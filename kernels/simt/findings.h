/// What a launch is, and the mistakes found in it by one worker, each place once. Private to this folder.
#ifndef WEFT_KERNELS_SIMT_FINDINGS_H
#define WEFT_KERNELS_SIMT_FINDINGS_H

#include <cstdint>
#include <vector>

#include "kernels/simt/language.h"
#include "kernels/simt/report.h"

namespace weft::simt {

struct LaunchShape {
  const char* kernel;
  dim3 grid, block;
  size_t dynamic_shared_bytes;
  Body body;
};

/// A finding before its line is looked up: pc is an instruction, or 0 where file and line are known already.
struct RawFinding {
  Finding finding;
  uintptr_t pc = 0;
};

class Findings {
 public:
  /// A place that is known counts once more.
  void add(Finding finding, uintptr_t pc);
  const std::vector<RawFinding>& all() const { return all_; }

 private:
  std::vector<RawFinding> all_;
};

}  // namespace weft::simt
#endif
