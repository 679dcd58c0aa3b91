/// Watches every access of one worker's block: bounds, alignment, races in shared memory, and what each line costs.
///
/// Kernels are compiled with -fsanitize=thread but linked without its run-time library: the functions that the compiler
/// calls before every load and store are ours (thread_sanitizer_hooks.cc) and end up here. Private to this folder.
///
/// A race is two accesses of one byte of shared memory by different threads of a block, one a write, neither atomic, with
/// neither a __syncthreads between them nor, within a warp, a __syncwarp. Each byte remembers its last write and last
/// readers, so that one run finds a race whatever the order in which its threads ran.
#ifndef WEFT_KERNELS_SIMT_CHECKER_H
#define WEFT_KERNELS_SIMT_CHECKER_H

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/simt/device.h"
#include "kernels/simt/report.h"

namespace weft::simt {

enum class Use : uint8_t { kRead, kWrite, kAtomic };

/// The thread that accesses, and where its own stack lies.
struct Accessor {
  unsigned thread;
  uintptr_t stack_begin, stack_end;
};

struct Trouble {
  FindingKind kind;
  std::string detail;
  bool fatal;
};

class Checker {
 public:
  void begin_launch(const std::vector<Memory>& global, Memory arguments, unsigned n_threads,
                    Counting counting);
  void begin_block();
  void end_block();
  void barrier() { ++epoch_; }
  void warp_barrier(unsigned warp) { ++warp_epoch_[warp]; }
  /// The shared memory of this worker's blocks, as soon as it is known; stays until the launch ends.
  void add_shared(const Memory& memory);

  /// One access. `pc`: the instruction. Returns true and fills `trouble` if there is something to report.
  bool access(uintptr_t pc, uintptr_t address, unsigned size, Use use, const Accessor& who, Trouble* trouble);
  /// The destination of a cp.async: pending from its issue to its wait.
  void set_pending(uintptr_t address, unsigned size, bool pending, const Accessor& who);

  struct Totals {
    unsigned lane_bytes = 0;
    uint64_t requests = 0, transactions = 0, ideal = 0;
  };
  /// Totals by instruction and kind since begin_launch().
  const std::map<std::pair<uintptr_t, AccessKind>, Totals>& totals() const { return totals_; }
  uint64_t accesses() const { return accesses_; }

 private:
  struct Cell {  // one byte of shared memory
    uint32_t write_epoch = 0, write_warp_epoch = 0, read_epoch = 0, read_warp_epoch = 0;
    int32_t writer = -1;
    int32_t reader = -1;     // -2: several lanes of read_warp
    int32_t read_warp = -1;  // -2: several warps
    bool atomic = false, pending = false;
  };
  struct Shared {
    Memory memory;
    std::vector<Cell> cells;
  };
  struct Request {
    uint32_t lanes = 0;
    uintptr_t address[32];
  };
  struct Site {
    AccessKind kind;
    unsigned size = 0;
    std::vector<uint32_t> executions;            // by thread
    std::vector<std::vector<Request>> requests;  // by warp, in the order of execution
  };

  bool unordered_write(const Cell& cell, unsigned thread) const;
  bool unordered_read(const Cell& cell, unsigned thread) const;
  bool check_shared(Shared& shared, uintptr_t address, unsigned size, Use use, unsigned thread,
                    Trouble* trouble);
  void account(uintptr_t pc, uintptr_t address, unsigned size, AccessKind kind, unsigned thread);
  std::string nearest(uintptr_t address) const;

  const std::vector<Memory>* global_ = nullptr;
  Memory arguments_;
  unsigned n_threads_ = 0;
  Counting counting_ = Counting::kOn;
  uint32_t epoch_ = 0, first_epoch_ = 0;  // barriers so far, over all blocks
  std::vector<uint32_t> warp_epoch_;
  std::vector<Shared> shared_;
  std::unordered_map<uint64_t, Site> sites_;
  std::map<std::pair<uintptr_t, AccessKind>, Totals> totals_;
  uint64_t accesses_ = 0;
};

}  // namespace weft::simt
#endif
