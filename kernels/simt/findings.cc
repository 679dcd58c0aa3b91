#include "kernels/simt/findings.h"

namespace weft::simt {

void Findings::add(Finding finding, uintptr_t pc) {
  for (RawFinding& known : all_) {
    if (known.finding.kind != finding.kind || known.pc != pc || known.finding.line != finding.line ||
        known.finding.file != finding.file)
      continue;
    ++known.finding.times;
    return;
  }
  all_.push_back({std::move(finding), pc});
}

}  // namespace weft::simt
