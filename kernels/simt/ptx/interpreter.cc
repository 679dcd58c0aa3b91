#include "kernels/simt/ptx/interpreter.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "kernels/simt/ptx/operations.h"

namespace weft::simt::ptx {
namespace {

constexpr unsigned char kPoison = 0xff;

}  // namespace

Interpreter::SharedMemory::SharedMemory(size_t size) : size_(size), storage_(size + 256) {
  const uintptr_t start = reinterpret_cast<uintptr_t>(storage_.data());
  data_ = storage_.data() + ((start + 255) / 256 * 256 - start);
}

Interpreter::Interpreter(const Device& device, const LaunchShape& shape, const Module& module,
                         const Kernel& kernel)
    : device_(device),
      shape_(shape),
      kernel_(kernel),
      memory_(device.memory()),
      parameters_(kernel.parameter_bytes),
      shared_(kernel.static_shared_bytes + shape.dynamic_shared_bytes),
      n_threads_(shape.block.x * shape.block.y * shape.block.z),
      random_(static_cast<unsigned>(device.options().order)) {
  for (const ModuleVariable& variable : module.variables) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(variable.storage.data());
    memory_.push_back({variable.name, begin, begin + variable.size});
  }
  for (size_t i = 0; i < kernel.parameters.size(); ++i)
    std::memcpy(parameters_.data() + kernel.parameters[i].offset, shape.body.parameters[i],
                kernel.parameters[i].size);
  checker_.begin_launch(memory_, {"arguments", 0, 0}, n_threads_, device.options().counting);
  const uintptr_t shared = reinterpret_cast<uintptr_t>(shared_.data());
  for (const SharedVariable& variable : kernel.shared)
    checker_.add_shared({variable.name, shared + variable.offset, shared + variable.offset + variable.size});
  if (shape.dynamic_shared_bytes > 0)
    checker_.add_shared(
        {"dynamic shared memory", shared + kernel.static_shared_bytes, shared + shared_.size()});
  for (const Instruction& i : kernel.code) lines_.push_back({i.file, i.line});
  warps_.resize((n_threads_ + 31) / 32);
  for (Warp& warp : warps_) warp.registers.resize(kernel.register_bits.size() * 32);
  copies_.resize(warps_.size() * 32);
  local_.resize(size_t{kernel.local_bytes} * warps_.size() * 32);
}

void Interpreter::report(FindingKind kind, std::string detail, const Instruction& i, unsigned lane) {
  Finding finding{kind,
                  std::move(detail),
                  shape_.kernel,
                  i.file,
                  i.line,
                  {block_.x, block_.y, block_.z},
                  static_cast<int>(warp_ * 32 + lane),
                  1};
  findings_.add(std::move(finding), 0);
}
void Interpreter::fail(FindingKind kind, std::string detail, const Instruction& i, unsigned lane) {
  report(kind, std::move(detail), i, lane);
  failed_ = true;
}

uint64_t Interpreter::special(Special which, unsigned lane) const {
  const unsigned thread = warp_ * 32 + lane;
  const dim3 &block = shape_.block, &grid = shape_.grid;
  switch (which) {
    case Special::kTidX: return thread % block.x;
    case Special::kTidY: return thread / block.x % block.y;
    case Special::kTidZ: return thread / block.x / block.y;
    case Special::kBlockDimX: return block.x;
    case Special::kBlockDimY: return block.y;
    case Special::kBlockDimZ: return block.z;
    case Special::kBlockX: return block_.x;
    case Special::kBlockY: return block_.y;
    case Special::kBlockZ: return block_.z;
    case Special::kGridX: return grid.x;
    case Special::kGridY: return grid.y;
    case Special::kGridZ: return grid.z;
    case Special::kLane: return lane;
  }
  return 0;
}

uint64_t Interpreter::value(const Operand& operand, unsigned lane) const {
  switch (operand.kind) {
    case Operand::Kind::kRegister: {
      const uint64_t bits = warps_[warp_].registers[operand.index * 32 + lane];
      return operand.negated ? bits ^ 1 : bits;
    }
    case Operand::Kind::kImmediate: return operand.bits;
    case Operand::Kind::kSpecial: return special(static_cast<Special>(operand.index), lane);
    case Operand::Kind::kDynamicShared: return kernel_.static_shared_bytes;
    case Operand::Kind::kSink: return 0;
  }
  return 0;
}

void Interpreter::assign(const Operand& operand, unsigned lane, uint64_t bits) {
  if (operand.kind != Operand::Kind::kRegister) return;
  warps_[warp_].registers[operand.index * 32 + lane] = bits & mask_of(kernel_.register_bits[operand.index]);
}

void Interpreter::branch(uint32_t target, uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) warps_[warp_].pc[std::countr_zero(lanes)] = target;
}

void Interpreter::end(uint32_t lanes) {
  warps_[warp_].alive &= ~lanes;
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(lanes));
    copies(lane).finish(checker_, accessor(lane));
  }
}

unsigned char* Interpreter::local_base(unsigned lane) {
  return local_.data() + size_t{warp_ * 32 + lane} * kernel_.local_bytes;
}

unsigned char* Interpreter::memory(const Instruction& i, size_t operand, uint64_t space, unsigned lane,
                                   unsigned size, Use use) {
  const std::vector<Operand>& address = i.operands[operand];
  uint64_t at = value(address[0], lane) + value(address[1], lane);
  if (space & kShared) at = reinterpret_cast<uintptr_t>(shared_.data()) + (at & 0xffffffff);
  else if (space & kLocal) at = reinterpret_cast<uintptr_t>(local_base(lane)) + (at & 0xffffffff);
  const uintptr_t local = reinterpret_cast<uintptr_t>(local_.data());
  if (at >= local && at + size <= local + local_.size()) return reinterpret_cast<unsigned char*>(at);
  Trouble trouble{};
  if (checker_.access(pc_of(i), at, size, use, accessor(lane), &trouble)) {
    report(trouble.kind, std::move(trouble.detail), i, lane);
    if (trouble.fatal) {
      failed_ = true;
      return nullptr;
    }
  }
  return reinterpret_cast<unsigned char*>(at);
}

void Interpreter::run_scalar(const Instruction& i, uint32_t lanes) {
  uint64_t sources[4] = {};
  const size_t n = std::min<size_t>(i.operands.size() - 1, 4);
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = static_cast<unsigned>(std::countr_zero(lanes));
    for (size_t k = 0; k < n; ++k) sources[k] = value(i, k + 1, lane);
    assign(i.operands[0][0], lane, i.operation->scalar(i, sources));
  }
}

void Interpreter::step(uint32_t lanes, uint32_t pc) {
  const Instruction& i = kernel_.code[pc];
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) warps_[warp_].pc[std::countr_zero(rest)] = pc + 1;
  if (i.guard >= 0) {
    const uint64_t* guard = &warps_[warp_].registers[static_cast<size_t>(i.guard) * 32];
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((guard[lane] != 0) == i.guard_negated) lanes &= ~(1u << lane);
    }
    if (lanes == 0) return;
  }
  if (i.operation->scalar) run_scalar(i, lanes);
  else i.operation->execute(*this, i, lanes);
}

/// Until all lanes have ended or wait at a barrier.
void Interpreter::run_warp(unsigned index) {
  warp_ = index;
  Warp& warp = warps_[index];
  while (!failed_) {
    const uint32_t ready = warp.alive & ~warp.waiting;
    if (ready == 0) return;
    uint32_t lowest = ~0u, lanes = 0;
    for (uint32_t rest = ready; rest != 0; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      if (warp.pc[lane] < lowest) lowest = warp.pc[lane], lanes = 0;
      if (warp.pc[lane] == lowest) lanes |= 1u << lane;
    }
    if (lowest >= kernel_.code.size()) end(lanes);
    else step(lanes, lowest);
  }
}

void Interpreter::run_block(uint3 block) {
  block_ = block;
  std::memset(shared_.data(), kPoison, shared_.size());
  checker_.begin_block();
  for (unsigned w = 0; w < warps_.size(); ++w) {
    const unsigned n = std::min(32u, n_threads_ - w * 32);
    warps_[w].alive = static_cast<uint32_t>(mask_of(static_cast<int>(n)));
    warps_[w].waiting = 0;
    std::fill(std::begin(warps_[w].pc), std::end(warps_[w].pc), 0u);
    // What nobody has set is NaN, not what the block before left.
    std::fill(warps_[w].registers.begin(), warps_[w].registers.end(), ~uint64_t{0});
    for (size_t r = 0; r < kernel_.register_bits.size(); ++r) {
      for (unsigned lane = 0; lane < 32; ++lane)
        warps_[w].registers[r * 32 + lane] = mask_of(kernel_.register_bits[r]);
    }
  }
  std::vector<unsigned> order(warps_.size());
  std::iota(order.begin(), order.end(), 0u);
  const int option = device_.options().order;
  if (option == 1) std::reverse(order.begin(), order.end());
  for (bool more = true; more && !failed_;) {
    if (option > 1) std::shuffle(order.begin(), order.end(), random_);
    for (const unsigned warp : order) run_warp(warp);
    more = !failed_ && release_barrier();
  }
  checker_.end_block();
}

void Interpreter::wait_at_barrier(const Instruction& i, uint32_t lanes) {
  warps_[warp_].waiting |= lanes;
  if (barrier_ != nullptr && barrier_ != &i)
    fail(FindingKind::kDivergentBarrier, "other threads wait at line " + std::to_string(barrier_->line), i,
         static_cast<unsigned>(std::countr_zero(lanes)));
  barrier_ = &i;
}

/// Whether anybody goes on: all threads wait at the barrier, and nobody has ended before it.
bool Interpreter::release_barrier() {
  if (barrier_ == nullptr) return false;
  const Instruction& i = *barrier_;
  barrier_ = nullptr;
  // bar.red: operand 0 takes the result, the last one is each thread's predicate.
  unsigned count = 0;
  for (warp_ = 0; warp_ < warps_.size(); ++warp_) {
    for (unsigned lane = 0; lane < 32 && warp_ * 32 + lane < n_threads_; ++lane) {
      if (!(warps_[warp_].waiting >> lane & 1)) {
        fail(FindingKind::kDivergentBarrier, "thread " + std::to_string(warp_ * 32 + lane) + " has ended", i,
             lane);
        return false;
      }
      if (i.has(kRed)) count += value(i.operands.back()[0], lane) & 1;
    }
  }
  for (warp_ = 0; warp_ < warps_.size(); ++warp_) {
    Warp& warp = warps_[warp_];
    for (unsigned lane = 0; i.has(kRed) && lane < 32; ++lane)
      assign(i.operands[0][0], lane, i.has(kPopc) ? count : i.has(kAnd) ? count == n_threads_ : count > 0);
    warp.waiting = 0;
  }
  checker_.barrier();
  return true;
}

}  // namespace weft::simt::ptx
