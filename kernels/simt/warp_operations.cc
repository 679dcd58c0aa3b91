// What the lanes of a warp do together. The last lane to arrive computes for all.

#include <bit>
#include <cstring>

#include "kernels/simt/worker.h"

namespace weft::simt {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;

bool takes_whole_warp(WarpOp op) { return op >= WarpOp::kLoadMatrix; }

float half_f32(uint32_t word, int half, WarpOp op) {
  const uint32_t bits = half ? word >> 16 : word & 0xffff;
  return op == WarpOp::kMmaBF16 ? std::bit_cast<float>(bits << 16)
                                : __half2float({static_cast<uint16_t>(bits)});
}

/// Where element e of register r of lane l lies in an operand. Source: PTX ISA, "Matrix Fragments for mma.m16n8k16" and
/// "m16n8k32". `per`: elements a register, 2 or 4.
struct Place {
  int row, col;
};
Place place_a(int lane, int r, int e, int per) {
  return {lane / 4 + r % 2 * 8, lane % 4 * per + e + r / 2 * 4 * per};
}
Place place_b(int lane, int r, int e, int per) { return {lane % 4 * per + e + r * 4 * per, lane / 4}; }
Place place_d(int lane, int r) { return {lane / 4 + r / 2 * 8, lane % 4 * 2 + r % 2}; }

/// T: what products and sums are made in. get(word, e): element e of a register.
template <typename T, int kDepth, typename Get>
void multiply(const WarpOperands (&lanes)[32], Get get) {
  constexpr int kPer = kDepth / 8;
  T a[16][kDepth], b[kDepth][8];
  for (int lane = 0; lane < 32; ++lane) {
    const uint32_t* words_a = static_cast<const uint32_t*>(lanes[lane].a);
    const uint32_t* words_b = static_cast<const uint32_t*>(lanes[lane].b);
    for (int e = 0; e < kPer; ++e) {
      for (int r = 0; r < 4; ++r) {
        const Place p = place_a(lane, r, e, kPer);
        a[p.row][p.col] = get(words_a[r], e);
      }
      for (int r = 0; r < 2; ++r) {
        const Place p = place_b(lane, r, e, kPer);
        b[p.row][p.col] = get(words_b[r], e);
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    T* d = static_cast<T*>(lanes[lane].out);
    for (int r = 0; r < 4; ++r) {
      const Place p = place_d(lane, r);
      for (int k = 0; k < kDepth; ++k) d[r] += a[p.row][k] * b[k][p.col];
    }
  }
}

void load_matrices(const WarpOperands (&lanes)[32], bool transposed) {
  for (int lane = 0; lane < 32; ++lane) {
    uint32_t* out = static_cast<uint32_t*>(lanes[lane].out);
    for (int m = 0; m < 4; ++m) {
      uint32_t word = 0;
      for (int e = 0; e < 2; ++e) {
        const int along = lane % 4 * 2 + e, across = lane / 4;
        const int row = transposed ? along : across, col = transposed ? across : along;
        uint16_t element;
        std::memcpy(&element, static_cast<const char*>(lanes[m * 8 + row].a) + col * 2, 2);
        word |= static_cast<uint32_t>(element) << 16 * e;
      }
      out[m] = word;
    }
  }
}

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
    case WarpOp::kMmaBF16:
    case WarpOp::kMmaF16:
      multiply<float, 16>(gathering.lanes,
                          [&](uint32_t word, int e) { return half_f32(word, e, gathering.op); });
      break;
    case WarpOp::kMmaS8:
      multiply<int32_t, 32>(gathering.lanes,
                            [](uint32_t word, int e) { return int32_t{static_cast<int8_t>(word >> 8 * e)}; });
      break;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(arrived >> lane & 1)) continue;
    Thread& thread = threads_[warp * 32 + lane];
    if (thread.state == ThreadState::kInWarpOp) thread.state = ThreadState::kReady;
  }
}

uint64_t Worker::warp_op(uint32_t mask, WarpOp op, const WarpOperands& operands, Here here) {
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

void Worker::finish_copies(std::vector<Copy>& group) {
  for (const Copy& copy : group) {
    std::memcpy(copy.shared, copy.global, static_cast<size_t>(copy.source_bytes));
    std::memset(static_cast<char*>(copy.shared) + copy.source_bytes, 0,
                static_cast<size_t>(copy.bytes - copy.source_bytes));
    checker_.set_pending(reinterpret_cast<uintptr_t>(copy.shared), static_cast<unsigned>(copy.bytes), false,
                         accessor());
  }
  group.clear();
}

void Worker::async_copy(const Copy& copy, Here here) {
  if (copy.source_bytes > 0) access(here, copy.global, static_cast<size_t>(copy.bytes), Use::kRead);
  access(here, copy.shared, static_cast<size_t>(copy.bytes), Use::kWrite);
  if (thread_->copies.empty()) thread_->copies.emplace_back();
  checker_.set_pending(reinterpret_cast<uintptr_t>(copy.shared), static_cast<unsigned>(copy.bytes), true,
                       accessor());
  thread_->copies.back().push_back(copy);
  if (device_.options().copy_time == CopyTime::kAtOnce) {
    // The bytes are there, the right to read them is not.
    std::memcpy(copy.shared, copy.global, static_cast<size_t>(copy.source_bytes));
  } else {
    std::memset(copy.shared, 0xff, static_cast<size_t>(copy.bytes));
  }
}

void Worker::async_commit() {
  if (thread_->copies.empty()) thread_->copies.emplace_back();
  thread_->copies.emplace_back();
}

void Worker::async_wait(size_t groups_left) {
  auto& groups = thread_->copies;
  if (groups.empty()) return;
  const size_t committed = groups.size() - 1;
  const size_t done = committed > groups_left ? committed - groups_left : 0;
  for (size_t i = 0; i < done; ++i) finish_copies(groups[i]);
  groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace weft::simt
