/// One worker of a launch: runs block after block, a fiber a CUDA thread, on the host thread that it was made on.
///
/// Within a block one fiber runs at a time, until it comes to a barrier or a warp operation or ends; the order in which
/// waiting fibers go on is the device's option. Frames of fibers own nothing: when a launch ends early they are dropped
/// where they stand. Private to this folder.
#ifndef WEFT_KERNELS_SIMT_WORKER_H
#define WEFT_KERNELS_SIMT_WORKER_H

#include <atomic>
#include <boost/context/fiber.hpp>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "kernels/simt/async_copies.h"
#include "kernels/simt/checker.h"
#include "kernels/simt/device.h"
#include "kernels/simt/findings.h"
#include "kernels/simt/language.h"
#include "kernels/simt/matrix_operations.h"

namespace weft::simt {

/// What a warp's lanes do together, in the order of its operands below.
enum class WarpOp : uint8_t {
  kBarrier,
  kShuffle,
  kBallot,
  kLoadMatrix,
  kLoadMatrixTransposed,
  kMmaBF16,
  kMmaF16,
  kMmaS8
};

/// A warp operation whose lanes are arriving.
struct Gathering {
  bool open = false;
  WarpOp op;
  uint32_t mask, arrived;
  WarpOperands lanes[32];
  uint64_t results[32];
  Here here;
};

enum class ThreadState : uint8_t { kReady, kAtBarrier, kInWarpOp, kEnded };

struct Thread {
  unsigned index;
  uint3 position;
  ThreadState state;
  Here here;  // where it waits
  int vote;   // its predicate at a barrier, then the result
  AsyncCopies copies;
};

/// Runs at most one launch at a time.
class Worker {
 public:
  Worker(const Device& device, const LaunchShape& shape);
  ~Worker();
  void run_block(uint3 block);
  bool failed() const { return failed_; }
  const std::vector<RawFinding>& findings() const { return findings_.all(); }
  const Checker& checker() const { return checker_; }
  /// The line that stands for a number of site_of(), or null: an instruction.
  const Here* line_of(uintptr_t pc) const { return pc <= lines_.size() ? &lines_[pc - 1] : nullptr; }

  // For fibers.
  static Worker* current();
  /// Whether the kernel's own code runs. The runtime's own accesses are not the kernel's, even where the linker took a
  /// template's function from an object that announces them.
  bool in_kernel() const { return in_kernel_; }
  Thread& thread() { return *thread_; }
  const LaunchShape& shape() const { return shape_; }
  uint3 block() const { return block_; }
  void* shared_variable(const void* key, size_t size, const char* name);
  void* dynamic_shared() { return dynamic_shared_.data; }
  int barrier(int predicate, Vote vote, Here here);
  /// Returns when all lanes of the mask have come. The result is the lane's own.
  uint64_t warp_op(uint32_t mask, WarpOp op, const WarpOperands& operands, Here here);
  void async_copy(const Copy& copy, Here here);
  void async_commit();
  void async_wait(size_t groups_left);
  /// An access by the running fiber, at an instruction or at a line; returns only if it may be made.
  void access(uintptr_t pc, const void* address, size_t size, Use use);
  void access(Here here, const void* address, size_t size, Use use) {
    access(site_of(here), address, size, use);
  }
  /// Reports and leaves the fiber for good.
  [[noreturn]] void fail(FindingKind kind, std::string detail, Here here);

 private:
  struct SharedBlock {
    const void* key;
    unsigned char* data;
    size_t size;
    std::unique_ptr<unsigned char[]> storage;
  };
  struct Stack;
  struct OutOfKernel {
    explicit OutOfKernel(Worker* w) : worker(w), before(w->in_kernel_) { w->in_kernel_ = false; }
    ~OutOfKernel() { worker->in_kernel_ = before; }
    Worker* worker;
    bool before;
  };

  void add_finding(FindingKind kind, std::string detail, Here here, uintptr_t pc, int thread);
  SharedBlock make_shared(const void* key, size_t size, const char* name);
  void resume(unsigned thread);
  void wait();  // gives the processor back
  bool release_barrier();
  void complete(unsigned warp, Gathering& gathering);
  uint32_t alive_lanes(unsigned warp) const;
  void report_deadlock();
  Accessor accessor() const;
  /// A number for a line, below all addresses of instructions; lines are few.
  uintptr_t site_of(Here here);

  const Device& device_;
  const LaunchShape shape_;
  std::vector<Thread> threads_;
  std::vector<std::vector<Gathering>> gatherings_;  // by warp
  std::vector<std::unique_ptr<Stack>> stacks_;
  boost::context::fiber scheduler_;
  Thread* thread_ = nullptr;
  uint3 block_{};
  unsigned n_alive_ = 0, n_at_barrier_ = 0;
  Vote vote_ = Vote::kOr;
  std::vector<SharedBlock> shared_;
  SharedBlock dynamic_shared_{};
  std::mt19937 random_;
  Checker checker_;
  bool failed_ = false, in_kernel_ = false;
  Findings findings_;
  std::vector<Here> lines_;
};

}  // namespace weft::simt
#endif
