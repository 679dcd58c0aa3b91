/// One worker of a launch that runs a module's PTX: block after block, a warp at a time, its lanes in lockstep.
///
/// Of a warp that has diverged, the lanes at the lowest instruction go on, which joins them again behind branches and loops
/// as nvcc lays them out. A warp runs until all of its lanes wait at a barrier or have ended; the order of warps is the
/// device's option. Accesses go to the same checker as those of fibers, with the lines that nvcc gives. Private to simt/.
#ifndef WEFT_KERNELS_SIMT_PTX_INTERPRETER_H
#define WEFT_KERNELS_SIMT_PTX_INTERPRETER_H

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/simt/async_copies.h"
#include "kernels/simt/checker.h"
#include "kernels/simt/device.h"
#include "kernels/simt/findings.h"
#include "kernels/simt/ptx/module.h"

namespace weft::simt::ptx {

/// `kernel`: of `module`, which outlives the interpreter. parameters: the address of each argument.
class Interpreter {
 public:
  Interpreter(const Device& device, const LaunchShape& shape, const Module& module, const Kernel& kernel);
  void run_block(uint3 block);
  bool failed() const { return failed_; }
  const std::vector<RawFinding>& findings() const { return findings_.all(); }
  const Checker& checker() const { return checker_; }
  /// The line of an instruction, by the number under which accesses were reported.
  const Here* line_of(uintptr_t pc) const { return &lines_[pc]; }

  // For operations. Lanes are those of the warp that runs.
  uint64_t value(const Operand& operand, unsigned lane) const;
  uint64_t value(const Instruction& i, size_t operand, unsigned lane) const {
    return value(i.operands[operand][0], lane);
  }
  /// Cut to the width of the register.
  void assign(const Operand& operand, unsigned lane, uint64_t bits);
  void branch(uint32_t target, uint32_t lanes);
  void end(uint32_t lanes);
  void wait_at_barrier(const Instruction& i, uint32_t lanes);
  void warp_barrier() { checker_.warp_barrier(warp_); }
  uint32_t alive() const { return warps_[warp_].alive; }
  AsyncCopies& copies(unsigned lane) { return copies_[warp_ * 32 + lane]; }
  Checker& checker() { return checker_; }
  Accessor accessor(unsigned lane) const { return {warp_ * 32 + lane, 0, 0}; }
  CopyTime copy_time() const { return device_.options().copy_time; }

  /// The memory at an instruction's address [base + offset], in the space that it names; checked, null after a finding.
  unsigned char* memory(const Instruction& i, size_t operand, uint64_t modifiers, unsigned lane,
                        unsigned size, Use use);
  unsigned char* shared_base() { return shared_.data(); }
  unsigned char* local_base(unsigned lane);
  const unsigned char* parameter_base() const { return parameters_.data(); }
  uint32_t static_shared_bytes() const { return kernel_.static_shared_bytes; }

  void report(FindingKind kind, std::string detail, const Instruction& i, unsigned lane);
  /// As report(), and the launch ends.
  void fail(FindingKind kind, std::string detail, const Instruction& i, unsigned lane);

 private:
  struct Warp {
    uint32_t pc[32];
    uint32_t alive, waiting;
    std::vector<uint64_t> registers;  // [register][lane]
  };

  void run_warp(unsigned warp);
  void step(uint32_t lanes, uint32_t pc);
  void run_scalar(const Instruction& i, uint32_t lanes);
  bool release_barrier();
  uint64_t special(Special which, unsigned lane) const;
  uintptr_t pc_of(const Instruction& i) const { return static_cast<uintptr_t>(&i - kernel_.code.data()); }

  const Device& device_;
  const LaunchShape shape_;
  const Kernel& kernel_;
  std::vector<Memory> memory_;  // the device's and the module's tables
  std::vector<unsigned char> parameters_, local_;
  class SharedMemory {
   public:
    explicit SharedMemory(size_t size);
    unsigned char* data() const { return data_; }
    size_t size() const { return size_; }

   private:
    size_t size_;
    std::vector<unsigned char> storage_;
    unsigned char* data_;
  };
  SharedMemory shared_;
  std::vector<Warp> warps_;
  std::vector<AsyncCopies> copies_;  // by thread
  unsigned n_threads_, warp_ = 0;
  uint3 block_{};
  const Instruction* barrier_ = nullptr;  // that the threads which wait have come to
  std::mt19937 random_;
  Checker checker_;
  Findings findings_;
  std::vector<Here> lines_;
  bool failed_ = false;
};

}  // namespace weft::simt::ptx
#endif
