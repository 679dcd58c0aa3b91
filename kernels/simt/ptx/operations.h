/// The instructions that the interpreter knows: one table, in parts by what they do. Private to this folder.
#ifndef WEFT_KERNELS_SIMT_PTX_OPERATIONS_H
#define WEFT_KERNELS_SIMT_PTX_OPERATIONS_H

#include <span>
#include <string_view>

#include "kernels/simt/ptx/module.h"

namespace weft::simt::ptx {

std::span<const Operation> arithmetic_operations();
std::span<const Operation> conversion_operations();
std::span<const Operation> control_operations();
std::span<const Operation> memory_operations();
std::span<const Operation> warp_operations();

/// Null if there is no such instruction.
const Operation* find_operation(std::string_view name);

/// The low bits of a register as a signed number.
inline int64_t sign_extended(Type type, uint64_t bits) {
  const int unused = 64 - bits_of(type);
  return static_cast<int64_t>(bits << unused) >> unused;
}

}  // namespace weft::simt::ptx
#endif
