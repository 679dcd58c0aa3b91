// Loads, stores, atomics, cp.async and ldmatrix; and mov, which joins and splits registers.

#include <atomic>
#include <bit>
#include <cstring>

#include "kernels/simt/matrix_operations.h"
#include "kernels/simt/ptx/interpreter.h"
#include "kernels/simt/ptx/operations.h"

namespace weft::simt::ptx {
namespace {

unsigned first_lane(uint32_t lanes) { return static_cast<unsigned>(std::countr_zero(lanes)); }

/// ld. A destination wider than what is loaded gets its sign, if it has one.
void load(Interpreter& run, const Instruction& i, uint32_t lanes) {
  const std::vector<Operand>& to = i.operands[0];
  const unsigned size = static_cast<unsigned>(bytes_of(i.type()));
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = first_lane(lanes);
    const unsigned char* from;
    if (i.has(kParam))
      from = run.parameter_base() + run.value(i.operands[1][0], lane) + run.value(i.operands[1][1], lane);
    else
      from =
          run.memory(i, 1, i.modifiers & kSpaces, lane, size * static_cast<unsigned>(to.size()), Use::kRead);
    if (from == nullptr) return;
    for (size_t k = 0; k < to.size(); ++k) {
      uint64_t bits = 0;
      std::memcpy(&bits, from + k * size, size);
      if (is_signed(i.type())) bits = static_cast<uint64_t>(sign_extended(i.type(), bits));
      run.assign(to[k], lane, bits);
    }
  }
}

void store(Interpreter& run, const Instruction& i, uint32_t lanes) {
  const std::vector<Operand>& from = i.operands[1];
  const unsigned size = static_cast<unsigned>(bytes_of(i.type()));
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = first_lane(lanes);
    unsigned char* to =
        run.memory(i, 0, i.modifiers & kSpaces, lane, size * static_cast<unsigned>(from.size()), Use::kWrite);
    if (to == nullptr) return;
    for (size_t k = 0; k < from.size(); ++k) {
      const uint64_t bits = run.value(from[k], lane);
      std::memcpy(to + k * size, &bits, size);
    }
  }
}

uint64_t combined(const Instruction& i, uint64_t old, uint64_t value, uint64_t desired) {
  const Type type = i.type();
  if (i.has(kExch)) return value;
  if (i.has(kCas)) return old == value ? desired : old;
  if (i.has(kAnd)) return old & value;
  if (i.has(kOr)) return old | value;
  if (i.has(kXor)) return old ^ value;
  if (i.has(kMin | kMax)) {
    const bool less = is_signed(type) ? sign_extended(type, old) < sign_extended(type, value) : old < value;
    return less == i.has(kMin) ? old : value;
  }
  if (type == Type::kF32)
    return std::bit_cast<uint32_t>(std::bit_cast<float>(static_cast<uint32_t>(old)) +
                                   std::bit_cast<float>(static_cast<uint32_t>(value)));
  return old + value;
}

/// Other workers' blocks may be at the same address.
template <typename Word>
uint64_t exchange(const Instruction& i, unsigned char* at, uint64_t value, uint64_t desired) {
  std::atomic_ref<Word> cell(*reinterpret_cast<Word*>(at));
  Word old = cell.load();
  while (!cell.compare_exchange_weak(old, static_cast<Word>(combined(i, old, value, desired)))) {
  }
  return old;
}

/// atom has a destination, red has none.
void atomic(Interpreter& run, const Instruction& i, uint32_t lanes) {
  const size_t address = i.operation->name[0] == 'a' ? 1 : 0;
  const unsigned size = static_cast<unsigned>(bytes_of(i.type()));
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = first_lane(lanes);
    unsigned char* at = run.memory(i, address, i.modifiers & kSpaces, lane, size, Use::kAtomic);
    if (at == nullptr) return;
    const uint64_t value = run.value(i, address + 1, lane) & mask_of(8 * static_cast<int>(size));
    const uint64_t desired = i.has(kCas) ? run.value(i, address + 2, lane) : 0;
    const uint64_t old =
        size == 8 ? exchange<uint64_t>(i, at, value, desired) : exchange<uint32_t>(i, at, value, desired);
    if (address == 1) run.assign(i.operands[0][0], lane, old);
  }
}

void copy_async(Interpreter& run, const Instruction& i, uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = first_lane(lanes);
    AsyncCopies& copies = run.copies(lane);
    if (i.has(kCommitGroup)) {
      copies.commit();
    } else if (i.has(kWaitGroup | kWaitAll)) {
      if (i.has(kWaitAll)) copies.commit();
      copies.wait(i.has(kWaitAll) ? 0 : run.value(i, 0, lane), run.checker(), run.accessor(lane));
    } else {
      const unsigned size = static_cast<unsigned>(run.value(i, 2, lane));
      const unsigned present = i.operands.size() > 3 ? static_cast<unsigned>(run.value(i, 3, lane)) : size;
      if (present > size) {
        run.fail(FindingKind::kOutOfBounds, "the source is larger than the copy", i, lane);
        return;
      }
      const void* from = present > 0 ? run.memory(i, 1, kGlobal, lane, size, Use::kRead) : nullptr;
      void* to =
          present > 0 && from == nullptr ? nullptr : run.memory(i, 0, kShared, lane, size, Use::kWrite);
      if (to == nullptr) return;
      copies.issue({to, from, static_cast<int>(size), static_cast<int>(present)}, run.copy_time(),
                   run.checker(), run.accessor(lane));
    }
  }
}

void load_matrix(Interpreter& run, const Instruction& i, uint32_t lanes) {
  if (lanes != ~0u) {
    run.fail(FindingKind::kWrongMask, "ldmatrix wants all 32 lanes", i, first_lane(lanes));
    return;
  }
  const size_t n = i.operands[0].size();
  WarpOperands operands[32];
  uint32_t words[32][4];
  for (unsigned lane = 0; lane < 32; ++lane) {
    operands[lane].out = words[lane];
    if (lane >= 8 * n) {
      operands[lane].a = operands[lane % 8].a;  // of a matrix that is not asked for
      continue;
    }
    operands[lane].a = run.memory(i, 1, kShared, lane, 16, Use::kRead);
    if (operands[lane].a == nullptr) return;
  }
  load_matrices(operands, i.has(kTrans));
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (size_t k = 0; k < n; ++k) run.assign(i.operands[0][k], lane, words[lane][k]);
  }
}

void move(Interpreter& run, const Instruction& i, uint32_t lanes) {
  const std::vector<Operand>&to = i.operands[0], &from = i.operands[1];
  const int part = bits_of(i.type()) / static_cast<int>(std::max(to.size(), from.size()));
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = first_lane(lanes);
    uint64_t bits = 0;
    for (size_t k = 0; k < from.size(); ++k) {
      const uint64_t value = run.value(from[k], lane);
      bits |= (from.size() == 1 ? value : value & mask_of(part)) << part * static_cast<int>(k);
    }
    for (size_t k = 0; k < to.size(); ++k) run.assign(to[k], lane, bits >> part * static_cast<int>(k));
  }
}

/// Generic addresses are the host's.
void convert_address(Interpreter& run, const Instruction& i, uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) {
    const unsigned lane = first_lane(lanes);
    uint64_t base = 0;
    if (i.has(kShared)) base = reinterpret_cast<uintptr_t>(run.shared_base());
    else if (i.has(kLocal)) base = reinterpret_cast<uintptr_t>(run.local_base(lane));
    const uint64_t address = run.value(i, 1, lane);
    run.assign(i.operands[0][0], lane, i.has(kTo) ? address - base : address + base);
  }
}

constexpr uint64_t kAtomics = kAdd | kMin | kMax | kAnd | kOr | kXor | kExch | kCas;

constexpr Operation kOperations[] = {
    {"ld", kSpaces, nullptr, load},
    {"st", kSpaces, nullptr, store},
    {"atom", kSpaces | kAtomics, nullptr, atomic},
    {"red", kSpaces | kAtomics, nullptr, atomic},
    {"cp", kAsync | kShared | kGlobal | kCommitGroup | kWaitGroup | kWaitAll, nullptr, copy_async},
    {"ldmatrix", kSync | kTrans | kShared | kX1 | kX2 | kX4, nullptr, load_matrix},
    {"mov", 0, nullptr, move},
    {"cvta", kTo | kSpaces, nullptr, convert_address},
};

}  // namespace

std::span<const Operation> memory_operations() { return kOperations; }

}  // namespace weft::simt::ptx
