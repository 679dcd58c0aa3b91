// What the lanes of a warp do together. The last lane to arrive computes for all.

#include "kernels/simt/worker.h"

namespace weft::simt {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;

bool takes_whole_warp(WarpOp op) { return op >= WarpOp::kLoadMatrix; }

}  // namespace

void Worker::complete(unsigned warp, Gathering& gathering) {
  const uint32_t alive = alive_lanes(warp);
  if ((gathering.mask & alive & ~gathering.arrived) != 0) return;
  const uint32_t arrived = gathering.arrived;
  // Where a lane has ended, the others still wait: report_deadlock() says so.
  if (takes_whole_warp(gathering.op) && arrived != kAllLanes) return;
  gathering.open = false;
  switch (gathering.op) {
    case WarpOp::kBarrier: checker_.warp_barrier(warp); break;
    case WarpOp::kShuffle:
      for (int lane = 0; lane < 32; ++lane) {
        const int source = gathering.lanes[lane].source_lane;
        if (!(arrived >> lane & 1)) continue;
        const int from = source < 0 ? lane : source & 31;
        if (arrived >> from & 1) {
          gathering.results[lane] = gathering.lanes[from].value;
          continue;
        }
        add_finding(FindingKind::kWrongMask,
                    "lane " + std::to_string(lane) + " reads from lane " + std::to_string(from) +
                        ", which takes no part",
                    gathering.here, 0, static_cast<int>(warp * 32) + lane);
        failed_ = true;
      }
      break;
    case WarpOp::kBallot: {
      uint32_t votes = 0;
      for (int lane = 0; lane < 32; ++lane) {
        if (arrived >> lane & 1 && gathering.lanes[lane].value != 0) votes |= 1u << lane;
      }
      for (uint64_t& result : gathering.results) result = votes;
      break;
    }
    case WarpOp::kLoadMatrix: load_matrices(gathering.lanes, false); break;
    case WarpOp::kLoadMatrixTransposed: load_matrices(gathering.lanes, true); break;
    case WarpOp::kMmaBF16: multiply_f32(gathering.lanes, MmaInput::kBF16); break;
    case WarpOp::kMmaF16: multiply_f32(gathering.lanes, MmaInput::kF16); break;
    case WarpOp::kMmaS8: multiply_s8(gathering.lanes); break;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(arrived >> lane & 1)) continue;
    Thread& thread = threads_[warp * 32 + lane];
    if (thread.state == ThreadState::kInWarpOp) thread.state = ThreadState::kReady;
  }
}

uint64_t Worker::warp_op(uint32_t mask, WarpOp op, const WarpOperands& operands, Here here) {
  const OutOfKernel out(this);
  const unsigned warp = thread_->index / 32, lane = thread_->index % 32;
  if (!(mask >> lane & 1)) fail(FindingKind::kWrongMask, "the calling lane is not in its own mask", here);
  std::vector<Gathering>& of_warp = gatherings_[warp];
  of_warp.reserve(32);  // references stay valid: each holds at least one lane that is in no other
  Gathering* mine = nullptr;
  Gathering* unused = nullptr;
  for (Gathering& gathering : of_warp) {
    if (!gathering.open) {
      bool read = true;  // all lanes have taken their results
      for (unsigned l = 0; l < 32; ++l) read = read && !(gathering.arrived >> l & 1);
      if (read) unused = &gathering;
    } else if (gathering.mask == mask) {
      mine = &gathering;
    }
  }
  if (mine == nullptr) {
    if (unused == nullptr) {
      if (of_warp.size() == of_warp.capacity()) fail(FindingKind::kWrongMask, "too many masks at once", here);
      unused = &of_warp.emplace_back();
    }
    mine = unused;
    mine->open = true;
    mine->op = op;
    mine->mask = mask;
    mine->arrived = 0;
    mine->here = here;
  }
  if (mine->op != op) fail(FindingKind::kWrongMask, "lanes of one mask came to different operations", here);
  mine->lanes[lane] = operands;
  mine->arrived |= 1u << lane;
  Thread& self = *thread_;
  self.here = here;
  complete(warp, *mine);
  if (mine->open || failed_) {
    self.state = ThreadState::kInWarpOp;
    wait();
  }
  const uint64_t result = mine->results[lane];
  mine->arrived &= ~(1u << lane);
  return result;
}

void Worker::async_copy(const Copy& copy, Here here) {
  const OutOfKernel out(this);
  if (copy.source_bytes > 0) access(here, copy.global, static_cast<size_t>(copy.bytes), Use::kRead);
  access(here, copy.shared, static_cast<size_t>(copy.bytes), Use::kWrite);
  thread_->copies.issue(copy, device_.options().copy_time, checker_, accessor());
}

void Worker::async_commit() {
  const OutOfKernel out(this);
  thread_->copies.commit();
}

void Worker::async_wait(size_t groups_left) {
  const OutOfKernel out(this);
  thread_->copies.wait(groups_left, checker_, accessor());
}

}  // namespace weft::simt
