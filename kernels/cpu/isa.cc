#include "kernels/cpu/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace weft {
namespace {

constexpr const char* kNames[kIsaLevelCount] = {"scalar", "avx2", "avx512vnni", "avx512bf16", "amx"};

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

constexpr bool bit(unsigned word, int index) { return (word >> index) & 1; }

/// XCR0: which register states the operating system saves. Precondition: OSXSAVE.
uint64_t read_xcr0() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

/// Asks Linux for the 8 KiB of tile state, which it grants per process on request.
bool request_amx_permission() {
  constexpr int kArchReqXcompPerm = 0x1023, kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
}

IsaLevel detect() {
  const Registers leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0), leaf7_1 = cpuid(7, 1);
  const bool osxsave = bit(leaf1.ecx, 27);
  const uint64_t xcr0 = osxsave ? read_xcr0() : 0;
  const auto saves = [xcr0](uint64_t states) { return (xcr0 & states) == states; };
  const uint64_t kYmm = 0x6, kZmm = 0xe6, kTiles = 0x60000;

  const bool avx2 = saves(kYmm) && bit(leaf1.ecx, 28) && bit(leaf1.ecx, 12) /* FMA */ &&
                    bit(leaf1.ecx, 29) /* F16C */ && bit(leaf7.ebx, 5) && bit(leaf7.ebx, 3) &&
                    bit(leaf7.ebx, 8) /* BMI1, BMI2 */;
  if (!avx2) return IsaLevel::kScalar;
  const bool vnni = saves(kZmm) && bit(leaf7.ebx, 16) /* F */ && bit(leaf7.ebx, 17) /* DQ */ &&
                    bit(leaf7.ebx, 28) /* CD */ && bit(leaf7.ebx, 30) /* BW */ &&
                    bit(leaf7.ebx, 31) /* VL */ && bit(leaf7.ecx, 11) /* VNNI */;
  if (!vnni) return IsaLevel::kAvx2;
  if (!bit(leaf7_1.eax, 5)) return IsaLevel::kAvx512Vnni;
  const bool amx = saves(kTiles) && bit(leaf7.edx, 24) /* TILE */ && bit(leaf7.edx, 25) /* INT8 */ &&
                   bit(leaf7.edx, 22) /* BF16 */;
  return amx && request_amx_permission() ? IsaLevel::kAmx : IsaLevel::kAvx512Bf16;
}

IsaLevel best_available() {
  static const IsaLevel level = detect();
  return level;
}

bool made_by_intel() {
  const Registers leaf0 = cpuid(0, 0);
  return leaf0.ebx == signature_INTEL_ebx && leaf0.ecx == signature_INTEL_ecx &&
         leaf0.edx == signature_INTEL_edx;
}

/// The level in use where WEFT_ISA names none. Outside tiles, Intel's processors multiply bf16 at half the speed of f32.
IsaLevel fastest_available() {
  const bool slow_bf16 = best_available() == IsaLevel::kAvx512Bf16 && made_by_intel();
  return slow_bf16 ? IsaLevel::kAvx512Vnni : best_available();
}

/// WEFT_ISA as it was at the first call; empty if unset.
const std::string& requested_name() {
  static const std::string name = [] {
    const char* value = std::getenv("WEFT_ISA");
    return std::string(value ? value : "");
  }();
  return name;
}

/// The level that `name` spells, or kIsaLevelCount.
int level_named(const std::string& name) {
  int level = 0;
  while (level < kIsaLevelCount && name != kNames[level]) ++level;
  return level;
}

}  // namespace

const char* to_string(IsaLevel level) { return kNames[static_cast<int>(level)]; }

bool isa_available(IsaLevel level) { return level <= best_available(); }

Status check_isa_request() {
  const std::string& name = requested_name();
  if (name.empty()) return {};
  const int level = level_named(name);
  if (level == kIsaLevelCount) {
    return Status(StatusCode::kInvalidArgument,
                  "the environment variable WEFT_ISA names no instruction set level")
        .expected("scalar, avx2, avx512vnni, avx512bf16 or amx")
        .got("'" + name + "'")
        .hint("unset WEFT_ISA to use the best level of this machine");
  }
  if (isa_available(static_cast<IsaLevel>(level))) return {};
  return Status(StatusCode::kUnsupported,
                "WEFT_ISA asks for a level that this machine or its operating system lacks")
      .expected(std::string("at most ") + to_string(best_available()))
      .got(name)
      .hint("unset WEFT_ISA to use the best level of this machine");
}

IsaLevel active_isa() {
  static const IsaLevel level = [] {
    const int requested = level_named(requested_name());
    if (requested == kIsaLevelCount || !isa_available(static_cast<IsaLevel>(requested)))
      return fastest_available();
    return static_cast<IsaLevel>(requested);
  }();
  return level;
}

}  // namespace weft
