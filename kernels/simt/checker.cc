#include "kernels/simt/checker.h"

#include <link.h>

#include <algorithm>
#include <bit>

namespace weft::simt {
namespace {

constexpr unsigned kSectorBytes = 32, kBankBytes = 4, kBanks = 32;

/// Constants of the program: whatever is loaded and cannot be written.
bool is_constant(uintptr_t address) {
  const auto visit = [](dl_phdr_info* info, size_t, void* data) {
    const uintptr_t wanted = *static_cast<uintptr_t*>(data);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& part = info->dlpi_phdr[i];
      const uintptr_t begin = info->dlpi_addr + part.p_vaddr;
      if (part.p_type == PT_LOAD && !(part.p_flags & PF_W) && wanted >= begin &&
          wanted < begin + part.p_memsz)
        return 1;
    }
    return 0;
  };
  return dl_iterate_phdr(visit, &address) == 1;
}

size_t count_distinct(std::vector<uintptr_t>& values) {
  std::sort(values.begin(), values.end());
  return static_cast<size_t>(std::unique(values.begin(), values.end()) - values.begin());
}

template <typename Request>
void count_global(const Request& request, unsigned size, Checker::Totals* totals) {
  std::vector<uintptr_t> sectors;
  std::vector<uintptr_t> starts;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(request.lanes >> lane & 1)) continue;
    const uintptr_t a = request.address[lane];
    starts.push_back(a);
    for (uintptr_t s = a / kSectorBytes; s <= (a + size - 1) / kSectorBytes; ++s) sectors.push_back(s);
  }
  totals->transactions += count_distinct(sectors);
  totals->ideal += (count_distinct(starts) * size + kSectorBytes - 1) / kSectorBytes;
}

/// Lanes go in groups of 32, 16 or 8, as 4, 8 or 16 bytes a lane fill the banks; within a group, lanes that want
/// different words of one bank go one after the other.
template <typename Request>
void count_shared(const Request& request, unsigned size, Checker::Totals* totals) {
  const unsigned group = size >= 16 ? 8 : size == 8 ? 16 : 32;
  for (unsigned first = 0; first < 32; first += group) {
    std::vector<uintptr_t> words;
    for (unsigned lane = first; lane < first + group; ++lane) {
      if (!(request.lanes >> lane & 1)) continue;
      const uintptr_t a = request.address[lane];
      for (uintptr_t w = a / kBankBytes; w <= (a + size - 1) / kBankBytes; ++w) words.push_back(w);
    }
    if (words.empty()) continue;
    words.resize(count_distinct(words));
    unsigned in_bank[kBanks] = {}, most = 0;
    for (const uintptr_t word : words) most = std::max(most, ++in_bank[word % kBanks]);
    totals->transactions += most;
    totals->ideal += 1;
  }
}

}  // namespace

void Checker::begin_launch(const std::vector<Memory>& global, Memory arguments, unsigned n_threads,
                           Counting counting) {
  global_ = &global;
  arguments_ = std::move(arguments);
  n_threads_ = n_threads;
  counting_ = counting;
  shared_.clear();
  sites_.clear();
  totals_.clear();
  accesses_ = 0;
  warp_epoch_.assign((n_threads + 31) / 32, 0);
}

void Checker::begin_block() { first_epoch_ = ++epoch_; }

void Checker::end_block() {
  for (auto& [key, site] : sites_) {
    Totals& totals = totals_[{key >> 2, site.kind}];
    totals.lane_bytes = site.size;
    for (std::vector<Request>& of_warp : site.requests) {
      for (const Request& request : of_warp) {
        ++totals.requests;
        if (site.kind <= AccessKind::kGlobalStore) count_global(request, site.size, &totals);
        else count_shared(request, site.size, &totals);
      }
      of_warp.clear();
    }
    std::fill(site.executions.begin(), site.executions.end(), 0);
  }
}

void Checker::add_shared(const Memory& memory) {
  shared_.push_back({memory, std::vector<Cell>(memory.end - memory.begin)});
}

bool Checker::unordered_write(const Cell& cell, unsigned thread) const {
  if (cell.writer < 0 || static_cast<unsigned>(cell.writer) == thread || cell.write_epoch != epoch_)
    return false;
  const unsigned warp = thread / 32;
  return static_cast<unsigned>(cell.writer) / 32 != warp || cell.write_warp_epoch == warp_epoch_[warp];
}

bool Checker::unordered_read(const Cell& cell, unsigned thread) const {
  if (cell.reader == -1 || cell.read_epoch != epoch_) return false;
  if (cell.read_warp != static_cast<int>(thread / 32)) return true;
  return cell.reader != static_cast<int>(thread) && cell.read_warp_epoch == warp_epoch_[thread / 32];
}

bool Checker::check_shared(Shared& shared, uintptr_t address, unsigned size, Use use, unsigned thread,
                           Trouble* trouble) {
  const int warp = static_cast<int>(thread / 32);
  const uint32_t warp_epoch = warp_epoch_[thread / 32];
  bool bad = false;
  const auto report = [&](FindingKind kind, int other) {
    if (bad) return;
    bad = true;
    *trouble = {kind, shared.memory.name + " + " + std::to_string(address - shared.memory.begin), false};
    if (other >= 0) trouble->detail += ", the other is thread " + std::to_string(other);
  };
  for (unsigned i = 0; i < size; ++i) {
    Cell& cell = shared.cells[address + i - shared.memory.begin];
    const bool both_atomic = use == Use::kAtomic && cell.atomic;
    if (cell.pending) report(FindingKind::kPendingCopy, -1);
    else if (use != Use::kWrite && cell.write_epoch < first_epoch_) report(FindingKind::kUninitialized, -1);
    else if (unordered_write(cell, thread) && !both_atomic)
      report(use == Use::kRead ? FindingKind::kReadAfterWrite : FindingKind::kWriteAfterWrite, cell.writer);
    else if (use != Use::kRead && unordered_read(cell, thread))
      report(FindingKind::kWriteAfterRead, cell.reader);
    if (use == Use::kRead) {
      const bool again = cell.reader != -1 && cell.read_epoch == epoch_;
      if (again && cell.read_warp != warp) cell.read_warp = -2;
      else if (again && cell.reader != static_cast<int>(thread) && cell.read_warp_epoch == warp_epoch)
        cell.reader = -2;
      else cell.reader = static_cast<int>(thread), cell.read_warp = warp;
      cell.read_epoch = epoch_;
      cell.read_warp_epoch = warp_epoch;
    } else {
      cell.writer = static_cast<int>(thread);
      cell.write_epoch = epoch_;
      cell.write_warp_epoch = warp_epoch;
      cell.atomic = use == Use::kAtomic;
    }
  }
  return bad;
}

void Checker::set_pending(uintptr_t address, unsigned size, bool pending, const Accessor& who) {
  for (Shared& shared : shared_) {
    if (address < shared.memory.begin || address + size > shared.memory.end) continue;
    for (unsigned i = 0; i < size; ++i) {
      Cell& cell = shared.cells[address + i - shared.memory.begin];
      cell.pending = pending;
      // The copy counts as made by its thread at its wait: the others still need a barrier.
      cell.writer = static_cast<int>(who.thread);
      cell.write_epoch = epoch_;
      cell.write_warp_epoch = warp_epoch_[who.thread / 32];
    }
  }
}

void Checker::account(uintptr_t pc, uintptr_t address, unsigned size, AccessKind kind, unsigned thread) {
  if (counting_ == Counting::kOff) return;
  Site& site = sites_[static_cast<uint64_t>(pc) << 2 | static_cast<uint64_t>(kind)];
  if (site.executions.empty()) {
    site.kind = kind;
    site.executions.resize(n_threads_);
    site.requests.resize((n_threads_ + 31) / 32);
  }
  site.size = size;
  const uint32_t nth = site.executions[thread]++;
  std::vector<Request>& of_warp = site.requests[thread / 32];
  if (of_warp.size() <= nth) of_warp.resize(nth + 1);
  of_warp[nth].lanes |= 1u << thread % 32;
  of_warp[nth].address[thread % 32] = address;
}

std::string Checker::nearest(uintptr_t address) const {
  std::string text = "no memory of the device is near";
  uintptr_t best = 4096;
  const auto look = [&](const Memory& memory) {
    const bool before = address < memory.begin;
    const uintptr_t distance = before ? memory.begin - address : address - memory.end;
    if (distance >= best) return;
    best = distance;
    text = std::to_string(distance) + (before ? " bytes before " : " bytes past the end of ") + memory.name +
           " (" + std::to_string(memory.end - memory.begin) + " bytes)";
  };
  for (const Shared& shared : shared_) look(shared.memory);
  for (const Memory& memory : *global_) look(memory);
  return text;
}

bool Checker::access(uintptr_t pc, uintptr_t address, unsigned size, Use use, const Accessor& who,
                     Trouble* trouble) {
  if (address >= who.stack_begin && address < who.stack_end) return false;
  if (use == Use::kRead && address >= arguments_.begin && address + size <= arguments_.end) return false;
  ++accesses_;
  if (std::has_single_bit(size) && address % size != 0) {
    *trouble = {FindingKind::kMisaligned,
                "expected a multiple of " + std::to_string(size) + " bytes, got one plus " +
                    std::to_string(address % size),
                true};
    return true;
  }
  for (Shared& shared : shared_) {
    if (address < shared.memory.begin || address + size > shared.memory.end) continue;
    account(pc, address - shared.memory.begin, size,
            use == Use::kRead ? AccessKind::kSharedLoad : AccessKind::kSharedStore, who.thread);
    return check_shared(shared, address, size, use, who.thread, trouble);
  }
  for (const Memory& memory : *global_) {
    if (address < memory.begin || address + size > memory.end) continue;
    account(pc, address, size, use == Use::kRead ? AccessKind::kGlobalLoad : AccessKind::kGlobalStore,
            who.thread);
    return false;
  }
  if (use == Use::kRead && is_constant(address)) return false;
  *trouble = {FindingKind::kOutOfBounds,
              std::string(use == Use::kRead ? "read" : "write") + " of " + std::to_string(size) + " bytes, " +
                  nearest(address),
              true};
  return true;
}

}  // namespace weft::simt
