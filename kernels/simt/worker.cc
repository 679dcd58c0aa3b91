#include "kernels/simt/worker.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <vector>

namespace weft::simt {
namespace {

constexpr size_t kStackBytes = 128 << 10, kGuardBytes = 4096;
constexpr size_t kSharedGuardBytes = 256;
constexpr unsigned char kPoison = 0xff;  // NaN in f32, f16 and bf16

thread_local Worker* current_worker = nullptr;

/// Memory of stacks that no fiber uses, each behind a guard page. Mapping and touching it anew would cost more than many a block.
class FreeStacks {
 public:
  ~FreeStacks() {
    for (unsigned char* begin : free_) munmap(begin, kGuardBytes + kStackBytes);
  }
  unsigned char* take() {
    if (!free_.empty()) {
      unsigned char* begin = free_.back();
      free_.pop_back();
      return begin;
    }
    void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuardBytes, PROT_NONE);
    return static_cast<unsigned char*>(memory);
  }
  void give_back(unsigned char* begin) { free_.push_back(begin); }

 private:
  std::vector<unsigned char*> free_;
};
thread_local FreeStacks free_stacks;

/// Gives Boost a stack that somebody else owns.
struct GivenStack {
  boost::context::stack_context context;
  boost::context::stack_context allocate() { return context; }
  void deallocate(boost::context::stack_context&) noexcept {}
};

}  // namespace

/// Memory of a fiber's stack behind a guard page, and the fiber, which is never destroyed: that would unwind it.
struct Worker::Stack {
  Stack() : begin(free_stacks.take()) {}
  ~Stack() { free_stacks.give_back(begin); }
  boost::context::fiber& fiber() { return *std::launder(reinterpret_cast<boost::context::fiber*>(storage)); }

  unsigned char* begin;
  bool started = false;
  alignas(boost::context::fiber) unsigned char storage[sizeof(boost::context::fiber)];
};

Worker* Worker::current() { return current_worker; }

Worker::Worker(const Device& device, const LaunchShape& shape)
    : device_(device), shape_(shape), random_(static_cast<unsigned>(device.options().order)) {
  const dim3 extent = shape.block;
  const unsigned n = extent.x * extent.y * extent.z;
  threads_.resize(n);
  for (unsigned i = 0; i < n; ++i) {
    threads_[i].index = i;
    threads_[i].position = {i % extent.x, i / extent.x % extent.y, i / extent.x / extent.y};
    stacks_.push_back(std::make_unique<Stack>());
  }
  gatherings_.resize((n + 31) / 32);
  const uintptr_t arguments = reinterpret_cast<uintptr_t>(shape.body.arguments);
  checker_.begin_launch(device.memory(), {"arguments", arguments, arguments + shape.body.size}, n,
                        device.options().counting);
  if (shape.dynamic_shared_bytes > 0) {
    dynamic_shared_ = make_shared(nullptr, shape.dynamic_shared_bytes, "dynamic shared memory");
  }
  current_worker = this;
}

Worker::~Worker() { current_worker = nullptr; }

Worker::SharedBlock Worker::make_shared(const void* key, size_t size, const char* name) {
  SharedBlock made{key, nullptr, size, std::make_unique<unsigned char[]>(size + 3 * kSharedGuardBytes)};
  const uintptr_t start = reinterpret_cast<uintptr_t>(made.storage.get());
  made.data = made.storage.get() +
              ((start + 2 * kSharedGuardBytes - 1) / kSharedGuardBytes * kSharedGuardBytes - start);
  std::memset(made.storage.get(), kPoison, size + 3 * kSharedGuardBytes);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(made.data);
  checker_.add_shared({name, begin, begin + size});
  return made;
}

void* Worker::shared_variable(const void* key, size_t size, const char* name) {
  const OutOfKernel out(this);
  for (const SharedBlock& block : shared_) {
    if (block.key == key) return block.data;
  }
  shared_.push_back(make_shared(key, size, name));
  return shared_.back().data;
}

void Worker::add_finding(FindingKind kind, std::string detail, Here here, uintptr_t pc, int thread) {
  const std::string file = here.file ? here.file : "";
  Finding finding{
      kind, std::move(detail), shape_.kernel, file, here.line, {block_.x, block_.y, block_.z}, thread, 1};
  findings_.add(std::move(finding), pc);
}

void Worker::fail(FindingKind kind, std::string detail, Here here) {
  const OutOfKernel out(this);
  add_finding(kind, std::move(detail), here, 0, static_cast<int>(thread_->index));
  failed_ = true;
  wait();
  __builtin_unreachable();  // run_block() does not resume anybody any more
}

Accessor Worker::accessor() const {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(stacks_[thread_->index]->begin);
  return {thread_->index, begin, begin + kGuardBytes + kStackBytes};
}

uintptr_t Worker::site_of(Here here) {
  for (size_t i = 0; i < lines_.size(); ++i) {
    if (lines_[i].line == here.line && std::strcmp(lines_[i].file, here.file) == 0) return i + 1;
  }
  lines_.push_back(here);
  return lines_.size();
}

void Worker::access(uintptr_t pc, const void* address, size_t size, Use use) {
  const OutOfKernel out(this);
  Trouble trouble{};
  if (!checker_.access(pc, reinterpret_cast<uintptr_t>(address), static_cast<unsigned>(size), use, accessor(),
                       &trouble))
    return;
  const Here* line = line_of(pc);
  add_finding(trouble.kind, std::move(trouble.detail), line ? *line : Here{nullptr, 0}, line ? 0 : pc,
              static_cast<int>(thread_->index));
  if (!trouble.fatal) return;
  failed_ = true;
  wait();
  __builtin_unreachable();
}

void Worker::wait() { scheduler_ = std::move(scheduler_).resume(); }

void Worker::resume(unsigned index) {
  Stack& stack = *stacks_[index];
  thread_ = &threads_[index];
  if (!stack.started) {
    boost::context::stack_context context;
    context.size = kStackBytes;
    context.sp = stack.begin + kGuardBytes + kStackBytes;
    new (stack.storage)
        boost::context::fiber(std::allocator_arg, GivenStack{context},
                              [this](boost::context::fiber&& scheduler) -> boost::context::fiber {
                                scheduler_ = std::move(scheduler);
                                for (;;) {
                                  in_kernel_ = true;
                                  shape_.body.call(shape_.body.arguments);
                                  in_kernel_ = false;
                                  thread_->copies.finish(checker_, accessor());
                                  thread_->state = ThreadState::kEnded;
                                  --n_alive_;
                                  const unsigned warp = thread_->index / 32;
                                  for (Gathering& gathering : gatherings_[warp]) {
                                    if (gathering.open) complete(warp, gathering);
                                  }
                                  wait();
                                }
                              });
    stack.started = true;
  }
  stack.fiber() = std::move(stack.fiber()).resume();
  thread_ = nullptr;
}

uint32_t Worker::alive_lanes(unsigned warp) const {
  uint32_t lanes = 0;
  for (unsigned i = warp * 32; i < std::min<size_t>(warp * 32 + 32, threads_.size()); ++i)
    lanes |= static_cast<uint32_t>(threads_[i].state != ThreadState::kEnded) << i % 32;
  return lanes;
}

void Worker::run_block(uint3 block) {
  block_ = block;
  for (SharedBlock& shared : shared_) std::memset(shared.data, kPoison, shared.size);
  if (dynamic_shared_.data) std::memset(dynamic_shared_.data, kPoison, dynamic_shared_.size);
  checker_.begin_block();
  n_alive_ = static_cast<unsigned>(threads_.size());
  n_at_barrier_ = 0;
  for (Thread& thread : threads_) thread.state = ThreadState::kReady;
  for (auto& of_warp : gatherings_) of_warp.clear();

  const int order = device_.options().order;
  std::vector<unsigned> warps(gatherings_.size()), lanes(32);
  std::iota(warps.begin(), warps.end(), 0u);
  std::iota(lanes.begin(), lanes.end(), 0u);
  if (order == 1) std::reverse(warps.begin(), warps.end()), std::reverse(lanes.begin(), lanes.end());
  while (n_alive_ > 0 && !failed_) {
    if (order > 1) std::shuffle(warps.begin(), warps.end(), random_);
    bool progress = false;
    for (const unsigned warp : warps) {
      for (bool ran = true; ran && !failed_;) {
        ran = false;
        if (order > 1) std::shuffle(lanes.begin(), lanes.end(), random_);
        for (const unsigned lane : lanes) {
          const unsigned index = warp * 32 + lane;
          if (failed_ || index >= threads_.size() || threads_[index].state != ThreadState::kReady) continue;
          resume(index);
          ran = progress = true;
        }
      }
    }
    if (failed_ || n_alive_ == 0) break;
    if (n_at_barrier_ == n_alive_) release_barrier();
    else if (!progress) report_deadlock();
  }
  checker_.end_block();
}

int Worker::barrier(int predicate, Vote vote, Here here) {
  const OutOfKernel out(this);
  Thread& self = *thread_;
  self.vote = predicate;
  self.here = here;
  self.state = ThreadState::kAtBarrier;
  vote_ = vote;
  ++n_at_barrier_;
  wait();
  return self.vote;
}

/// All threads that are left wait at a barrier: they go on if it is the same one and nobody has ended before it.
bool Worker::release_barrier() {
  const auto waits = [](const Thread& t) { return t.state == ThreadState::kAtBarrier; };
  const Thread& first = *std::find_if(threads_.begin(), threads_.end(), waits);
  for (const Thread& other : threads_) {
    if (waits(other) && other.here.line == first.here.line &&
        std::strcmp(other.here.file, first.here.file) == 0)
      continue;
    add_finding(FindingKind::kDivergentBarrier,
                "thread " + std::to_string(other.index) +
                    (waits(other) ? " waits at line " + std::to_string(other.here.line) : " has ended"),
                first.here, 0, static_cast<int>(first.index));
    failed_ = true;
    return false;
  }
  int count = 0;
  for (const Thread& thread : threads_) count += thread.vote != 0;
  const int n = static_cast<int>(threads_.size());
  const int result = vote_ == Vote::kCount ? count : vote_ == Vote::kAnd ? count == n : count > 0;
  for (Thread& thread : threads_) thread.vote = result, thread.state = ThreadState::kReady;
  n_at_barrier_ = 0;
  checker_.barrier();
  return true;
}

/// Nobody can go on: lanes of a mask did not come; they have ended, or wait elsewhere.
void Worker::report_deadlock() {
  for (const Thread& thread : threads_) {
    if (thread.state != ThreadState::kInWarpOp) continue;
    std::string missing;
    for (const Gathering& gathering : gatherings_[thread.index / 32]) {
      if (!gathering.open || !(gathering.arrived >> thread.index % 32 & 1)) continue;
      for (int lane = 0; lane < 32; ++lane) {
        if (gathering.mask >> lane & ~gathering.arrived >> lane & 1) missing += " " + std::to_string(lane);
      }
    }
    add_finding(FindingKind::kWrongMask, "nobody can go on: lanes" + missing + " of the mask do not come",
                thread.here, 0, static_cast<int>(thread.index));
    break;
  }
  failed_ = true;
}

}  // namespace weft::simt
