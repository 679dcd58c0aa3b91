// Branches and barriers, and what lanes do together: shuffles, votes and mma.

#include <bit>
#include <cstring>

#include "kernels/simt/matrix_operations.h"
#include "kernels/simt/ptx/interpreter.h"
#include "kernels/simt/ptx/operations.h"

namespace weft::simt::ptx {
namespace {

unsigned first_lane(uint32_t lanes) { return static_cast<unsigned>(std::countr_zero(lanes)); }

void branch(Interpreter& run, const Instruction& i, uint32_t lanes) { run.branch(i.target, lanes); }
void end(Interpreter& run, const Instruction&, uint32_t lanes) { run.end(lanes); }
void nothing(Interpreter&, const Instruction&, uint32_t) {}

/// Whether every lane is in its own mask, and all that its mask names have come (or ended).
bool masks_hold(Interpreter& run, const Instruction& i, size_t operand, uint32_t lanes) {
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const unsigned lane = first_lane(rest);
    const uint32_t mask = static_cast<uint32_t>(run.value(i, operand, lane));
    if (!(mask >> lane & 1)) {
      run.fail(FindingKind::kWrongMask, "the calling lane is not in its own mask", i, lane);
      return false;
    }
    if (const uint32_t missing = mask & run.alive() & ~lanes; missing != 0) {
      run.fail(FindingKind::kWrongMask,
               "lane " + std::to_string(first_lane(missing)) + " of the mask does not come", i, lane);
      return false;
    }
  }
  return true;
}

void barrier(Interpreter& run, const Instruction& i, uint32_t lanes) {
  if (!i.has(kWarp)) {
    run.wait_at_barrier(i, lanes);
    return;
  }
  if (masks_hold(run, i, 0, lanes)) run.warp_barrier();
}

/// Operands: d|p, a, b, c, mask. c: the last lane of a segment in bits 0-4, which bits of a lane name its segment in 8-12.
void shuffle(Interpreter& run, const Instruction& i, uint32_t lanes) {
  if (!masks_hold(run, i, 4, lanes)) return;
  uint64_t values[32];
  for (unsigned lane = 0; lane < 32; ++lane) values[lane] = run.value(i, 1, lane);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const unsigned lane = first_lane(rest);
    const unsigned by = static_cast<unsigned>(run.value(i, 2, lane)) & 31;
    const unsigned c = static_cast<unsigned>(run.value(i, 3, lane)), segment = c >> 8 & 31, clamp = c & 31;
    const unsigned last = (lane & segment) | (clamp & ~segment), first = lane & segment;
    unsigned source = lane - by;
    if (i.has(kIdx)) source = first | (by & ~segment);
    else if (i.has(kBfly)) source = lane ^ by;
    else if (i.has(kDown)) source = lane + by;
    const bool inside = i.has(kUp) ? static_cast<int>(source) >= static_cast<int>(last) : source <= last;
    if (!inside) source = lane;
    if (!(lanes >> source & 1))
      run.fail(FindingKind::kWrongMask,
               "lane " + std::to_string(lane) + " reads from lane " + std::to_string(source) +
                   ", which takes no part",
               i, lane);
    run.assign(i.operands[0][0], lane, values[source]);
    if (i.operands[0].size() > 1) run.assign(i.operands[0][1], lane, inside);
  }
}

void vote(Interpreter& run, const Instruction& i, uint32_t lanes) {
  if (!masks_hold(run, i, 2, lanes)) return;
  uint32_t votes = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1)
    votes |= static_cast<uint32_t>(run.value(i, 1, first_lane(rest)) & 1) << first_lane(rest);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const unsigned lane = first_lane(rest);
    const uint32_t mask = static_cast<uint32_t>(run.value(i, 2, lane)) & lanes;
    const uint64_t result = i.has(kBallot) ? votes & mask
                            : i.has(kAny)  ? (votes & mask) != 0
                                           : (votes & mask) == mask;
    run.assign(i.operands[0][0], lane, result);
  }
}

void multiply_matrices(Interpreter& run, const Instruction& i, uint32_t lanes) {
  if (lanes != ~0u) {
    run.fail(FindingKind::kWrongMask, "mma wants all 32 lanes", i, first_lane(lanes));
    return;
  }
  if (i.has(kM16N8K32) != (i.types[1] == Type::kS8)) {
    run.fail(FindingKind::kBadLaunch, "the interpreter knows no " + i.text, i, first_lane(lanes));
    return;
  }
  WarpOperands operands[32];
  uint32_t d[32][4], a[32][4], b[32][2];
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (size_t k = 0; k < 4; ++k) a[lane][k] = static_cast<uint32_t>(run.value(i.operands[1][k], lane));
    for (size_t k = 0; k < 2; ++k) b[lane][k] = static_cast<uint32_t>(run.value(i.operands[2][k], lane));
    for (size_t k = 0; k < 4; ++k) d[lane][k] = static_cast<uint32_t>(run.value(i.operands[3][k], lane));
    operands[lane] = {.out = d[lane], .a = a[lane], .b = b[lane]};
  }
  if (i.has(kM16N8K32)) multiply_s8(operands);
  else multiply_f32(operands, i.types[1] == Type::kBF16 ? MmaInput::kBF16 : MmaInput::kF16);
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (size_t k = 0; k < 4; ++k) run.assign(i.operands[0][k], lane, d[lane][k]);
  }
}

constexpr Operation kControl[] = {
    {"bra", 0, nullptr, branch},
    {"ret", 0, nullptr, end},
    {"exit", 0, nullptr, end},
    {"bar", kSync | kWarp | kRed | kAnd | kOr | kPopc, nullptr, barrier},
    {"barrier", kSync | kRed | kAnd | kOr | kPopc, nullptr, barrier},
    {"membar", 0, nullptr, nothing},  // one block's threads see each other's writes at once
    {"fence", 0, nullptr, nothing},
    {"griddepcontrol", 0, nullptr, nothing},  // here, a launch begins when the one before it has ended
};
constexpr Operation kWarpOperations[] = {
    {"shfl", kSync | kIdx | kBfly | kUp | kDown, nullptr, shuffle},
    {"vote", kSync | kBallot | kAll | kAny, nullptr, vote},
    {"mma", kSync | kM16N8K16 | kM16N8K32, nullptr, multiply_matrices},
};

}  // namespace

std::span<const Operation> control_operations() { return kControl; }
std::span<const Operation> warp_operations() { return kWarpOperations; }

}  // namespace weft::simt::ptx
