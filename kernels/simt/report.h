/// What one launch on the CPU found out about a kernel: mistakes, by kind and source line, and how it uses memory.
///
/// Values; a report belongs to whoever asked for the launch. A finding names kernel, block, thread and line, so that
/// text() is all that a failed test has to print:
///
///   norm.cu:58: read after write by another thread, no barrier between (kernel rms_norm, block (0,0,0), thread 37, 12 times)
#ifndef WEFT_KERNELS_SIMT_REPORT_H
#define WEFT_KERNELS_SIMT_REPORT_H

#include <cstdint>
#include <string>
#include <vector>

namespace weft::simt {

enum class FindingKind : uint8_t {
  kReadAfterWrite,  // shared memory: written by another thread since the last barrier
  kWriteAfterRead,  // shared memory: read by another thread since the last barrier; a buffer reused too early
  kWriteAfterWrite,   // shared memory: two threads write one byte
  kUninitialized,     // shared memory: nobody wrote it in this block
  kPendingCopy,       // shared memory: the destination of a cp.async that nobody has waited for
  kOutOfBounds,       // outside of every buffer, shared variable, the parameters and the thread's own stack
  kMisaligned,        // an address that is no multiple of the access's size
  kDivergentBarrier,  // not all threads of a block come to the same __syncthreads
  kWrongMask,         // a warp operation: the caller is not in its mask, or those in it do not come together
  kBadLaunch,         // a grid, block or shared-memory size that no device takes
};
const char* to_string(FindingKind kind);

/// Races and uninitialised reads let the kernel go on; the other kinds end the launch.
struct Finding {
  FindingKind kind;
  std::string detail;  // what was expected, what came
  std::string kernel;
  std::string file;  // without folders; empty if unknown
  int line = 0;
  unsigned block[3] = {};
  int thread = -1;     // within its block; -1: none in particular
  uint64_t times = 1;  // at this line
  std::string text() const;
};

enum class AccessKind : uint8_t { kGlobalLoad, kGlobalStore, kSharedLoad, kSharedStore };
const char* to_string(AccessKind kind);

/// One source line's accesses of one kind. A request is one execution of an instruction by a warp.
struct AccessSite {
  std::string file;
  int line = 0;
  AccessKind kind;
  int lane_bytes = 0;
  uint64_t requests = 0;
  uint64_t transactions =
      0;  // global: 32-byte sectors touched; shared: wavefronts, more than one pass is a bank conflict
  uint64_t ideal = 0;  // the fewest that the same bytes could take
};

/// How far a kernel may be from ideal use of memory; each kernel's header states its own.
struct AccessBounds {
  double extra_sectors_per_request = 0;
  double extra_wavefronts_per_request = 0;
};

struct Report {
  std::vector<Finding> findings;
  std::vector<AccessSite> sites;
  uint64_t accesses = 0;  // of global and shared memory, all of them checked

  bool found(FindingKind kind) const;
  /// All findings, one a line; empty if there are none.
  std::string text() const;
  /// The sites that are beyond the bounds, one a line with their numbers; empty if all keep them.
  std::string beyond(const AccessBounds& bounds) const;
};

}  // namespace weft::simt
#endif
