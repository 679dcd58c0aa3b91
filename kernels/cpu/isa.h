/// Which x86 instruction sets the compute library uses.
///
/// Every hot source is compiled once per body (see isa_bodies.h) and one body is chosen by the level in use:
/// the fastest that the processor has and the operating system grants, or that which the environment variable WEFT_ISA
/// names: scalar, avx2, avx512vnni, avx512bf16, amx. The highest is the fastest, but for avx512bf16 on Intel's processors,
/// whose bf16 products outside tiles take twice f32's time (on Emerald Rapids). Results are bit-identical within a level,
/// not across levels. The level is read once, at the first call, and never changes. Thread safety: any thread may call.
#ifndef WEFT_KERNELS_CPU_ISA_H
#define WEFT_KERNELS_CPU_ISA_H

#include <cstdint>

#include <weft/sdk/status.h>

namespace weft {

/// Each level includes those before it.
enum class IsaLevel : uint8_t {
  kScalar,      // what every x86-64 has (SSE2)
  kAvx2,        // with FMA, F16C, BMI2
  kAvx512Vnni,  // F, BW, DQ, VL, VNNI
  kAvx512Bf16,
  kAmx,  // TILE, INT8, BF16; also needs the arch_prctl permission, which active_isa() requests
};
inline constexpr int kIsaLevelCount = static_cast<int>(IsaLevel::kAmx) + 1;

/// The name as WEFT_ISA spells it: "avx512vnni".
const char* to_string(IsaLevel level);

/// Whether CPUID, XCR0 and, for AMX, the kernel's permission allow `level`.
bool isa_available(IsaLevel level);

/// Success, or why WEFT_ISA cannot be honoured: kInvalidArgument for an unknown name, kUnsupported for a
/// level that this machine lacks. A program calls it before it computes anything and refuses to go on.
Status check_isa_request();

/// The level in use: WEFT_ISA's where check_isa_request() is ok, else the fastest available.
IsaLevel active_isa();

}  // namespace weft
#endif
