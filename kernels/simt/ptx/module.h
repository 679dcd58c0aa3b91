/// The PTX of one source, parsed: what nvcc makes of kernels, inline assembly included, which g++ never sees.
///
/// The subset that nvcc emits for this tree's kernels. What is not known is an error at parsing, by name and line, so that
/// nothing is run that is half understood. A module is a value that does not change; any number of threads may run it.
///
///   Result<Module> module = Module::load("build/cpu/ptx/norm.sm_80.ptx");
///   simt::Device device({.ptx = &*module});   // launches run this PTX instead of what g++ made
///
/// Source: NVIDIA, PTX ISA 9.0.
#ifndef WEFT_KERNELS_SIMT_PTX_MODULE_H
#define WEFT_KERNELS_SIMT_PTX_MODULE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "kernels/simt/ptx/types.h"

namespace weft::simt::ptx {

class Interpreter;
struct Instruction;

enum class Special : uint8_t {
  kTidX,
  kTidY,
  kTidZ,
  kBlockDimX,
  kBlockDimY,
  kBlockDimZ,
  kBlockX,
  kBlockY,
  kBlockZ,
  kGridX,
  kGridY,
  kGridZ,
  kLane
};

struct Operand {
  enum class Kind : uint8_t { kRegister, kImmediate, kSpecial, kSink, kDynamicShared };
  Kind kind = Kind::kImmediate;
  bool negated = false;  // !%p
  uint32_t index = 0;    // of the register, or which special one
  uint64_t bits = 0;     // of an immediate
};

/// What a table of operations holds: either a function of one lane's values, or one of a whole warp.
struct Operation {
  const char* name;
  uint64_t modifiers;  // those it may have
  uint64_t (*scalar)(const Instruction&, const uint64_t* sources);
  void (*execute)(Interpreter&, const Instruction&, uint32_t lanes);
};

struct Instruction {
  const Operation* operation = nullptr;
  uint64_t modifiers = 0;
  std::vector<Type> types;                     // in the order in which the instruction names them
  std::vector<std::vector<Operand>> operands;  // {a,b} and d|p are lists; [base+offset] is base and offset
  int guard = -1;                              // a register, or -1
  bool guard_negated = false;
  uint32_t target = 0;  // of a branch, an index of an instruction
  const char* file = "";
  int line = 0;      // of the .cu source
  std::string text;  // as it stands in the PTX

  bool has(uint64_t flags) const { return (modifiers & flags) != 0; }
  /// Of the whole instruction: the last that it names.
  Type type() const { return types.empty() ? Type::kB32 : types.back(); }
};

struct Parameter {
  uint32_t offset, size;
};

struct SharedVariable {
  std::string name;
  uint32_t offset, size;
};

struct Kernel {
  std::string name;          // mangled
  uint32_t max_threads = 0;  // of __launch_bounds__; 0: not given
  std::vector<Parameter> parameters;
  uint32_t parameter_bytes = 0;
  std::vector<SharedVariable> shared;
  uint32_t static_shared_bytes = 0;  // dynamic shared memory follows
  uint32_t local_bytes = 0;          // a thread
  std::vector<uint8_t> register_bits;
  std::vector<Instruction> code;
};

/// A .global or .const variable of the module: a table that kernels read.
struct ModuleVariable {
  std::string name;
  std::vector<uint64_t> storage;  // words, for their alignment
  size_t size = 0;
};

struct Module {
  Module() = default;
  Module(Module&&) = default;  // instructions point to names and variables, which stay where they are
  Module& operator=(Module&&) = default;

  std::string target;  // "sm_80"
  std::deque<std::string> files;
  std::vector<ModuleVariable> variables;
  std::vector<Kernel> kernels;

  /// Errors: kCorruptData, naming `name`, line and what is not known.
  static Result<Module> parse(const std::string& text, const std::string& name);
  /// Errors: kNotFound, and as parse().
  static Result<Module> load(const std::string& path);
  /// By mangled name; anonymous namespaces are equal whatever a compiler calls them. Null if there is none.
  const Kernel* find(const std::string& mangled_name) const;
};

}  // namespace weft::simt::ptx
#endif
