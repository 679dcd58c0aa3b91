/// How an op reaches the bodies that one of its sources was compiled into.
///
/// weft_isa_sources() in CMake compiles foo_cpu.cc once per body, with WEFT_ISA_NAMESPACE naming the body's
/// namespace: isa_scalar (baseline x86-64), isa_avx2, isa_avx512 (serves kAvx512Vnni and above), and where the op
/// asks for them isa_avx512bf16 and isa_amx. The source defines one table of functions and nothing else that is visible:
///
///   // foo_bodies.h                                        // foo_cpu.cc
///   struct FooBodies { const char* name; void (*foo)(...); };   namespace weft::WEFT_ISA_NAMESPACE {
///   WEFT_DECLARE_ISA_BODIES(FooBodies, kFooBodies)              namespace { void foo(...) {...} }
///   // foo.cc                                                   extern const FooBodies kFooBodies =
///   {WEFT_ISA_NAME, foo}; WEFT_ISA_BODY(kFooBodies, level).foo(...);                  }
///
/// Such a source includes no standard-library header with templates and puts every function in an unnamed
/// namespace: an inline function or template compiled for AVX-512 and merged by the linker would run on every
/// machine. A test on the objects' symbols (isa_symbols_test) finds no weak ones.
#ifndef WEFT_KERNELS_CPU_ISA_BODIES_H
#define WEFT_KERNELS_CPU_ISA_BODIES_H

/// Declares `extern const Type name` in each body's namespace. Use inside namespace weft.
#define WEFT_DECLARE_ISA_BODIES(Type, name) \
  namespace isa_scalar {                    \
  extern const Type name;                   \
  }                                         \
  namespace isa_avx2 {                      \
  extern const Type name;                   \
  }                                         \
  namespace isa_avx512 {                    \
  extern const Type name;                   \
  }

/// Declares it in the namespace of one more body: avx512bf16 or amx.
#define WEFT_DECLARE_ISA_BODY(Type, name, body) \
  namespace isa_##body {                        \
    extern const Type name;                     \
  }

/// The body of `name` that serves `level` (an IsaLevel). Use inside namespace weft, with kernels/cpu/isa.h
/// included.
#define WEFT_ISA_BODY(name, level)                             \
  ((level) >= ::weft::IsaLevel::kAvx512Vnni ? isa_avx512::name \
   : (level) >= ::weft::IsaLevel::kAvx2     ? isa_avx2::name   \
                                            : isa_scalar::name)

/// The same for a name that also has the body amx.
#define WEFT_ISA_BODY_WITH_AMX(name, level) \
  ((level) >= ::weft::IsaLevel::kAmx ? isa_amx::name : WEFT_ISA_BODY(name, level))

/// The same for a name that also has the bodies avx512bf16 and amx.
#define WEFT_ISA_BODY_WITH_BF16_AND_AMX(name, level)                 \
  ((level) >= ::weft::IsaLevel::kAmx          ? isa_amx::name        \
   : (level) >= ::weft::IsaLevel::kAvx512Bf16 ? isa_avx512bf16::name \
                                              : WEFT_ISA_BODY(name, level))

#endif
