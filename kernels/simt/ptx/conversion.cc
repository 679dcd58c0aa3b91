// cvt and cvta: one lane's value in another type, with the instruction's rounding.

#include <bit>
#include <cfenv>
#include <cmath>

#include "kernels/simt/language.h"
#include "kernels/simt/ptx/operations.h"

namespace weft::simt::ptx {
namespace {

double value_of(Type type, uint64_t bits) {
  switch (type) {
    case Type::kF16: return __half2float({static_cast<uint16_t>(bits)});
    case Type::kBF16: return __bfloat162float({static_cast<uint16_t>(bits)});
    case Type::kF32: return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case Type::kF64: return std::bit_cast<double>(bits);
    default: return 0;
  }
}

double rounded_to_integer(const Instruction& i, double x) {
  if (i.has(kRni)) return std::nearbyint(x);
  if (i.has(kRmi)) return std::floor(x);
  if (i.has(kRpi)) return std::ceil(x);
  return std::trunc(x);
}

/// Out of range is the nearest that there is; not a number is 0.
uint64_t integer_from(double x, Type type) {
  if (x != x) return 0;
  const int bits = bits_of(type);
  const double low = is_signed(type) ? -std::ldexp(1.0, bits - 1) : 0.0;
  const double high = std::ldexp(1.0, is_signed(type) ? bits - 1 : bits);
  if (x <= low) return is_signed(type) ? uint64_t{1} << (bits - 1) : 0;
  if (x >= high) return is_signed(type) ? mask_of(bits - 1) : mask_of(bits);
  return is_signed(type) ? static_cast<uint64_t>(static_cast<int64_t>(x)) : static_cast<uint64_t>(x);
}

/// Narrows with the instruction's rounding. From double to f32 the host rounds as its mode says; to 16 bits always to
/// nearest, which is all that nvcc asks for.
uint64_t float_from(const Instruction& i, double x, Type type) {
  if (i.has(kSat)) x = x > 0 ? std::fmin(x, 1.0) : 0.0;
  if (type == Type::kF64) return std::bit_cast<uint64_t>(x);
  const int mode = i.has(kRz)   ? FE_TOWARDZERO
                   : i.has(kRm) ? FE_DOWNWARD
                   : i.has(kRp) ? FE_UPWARD
                                : FE_TONEAREST;
  std::fesetround(mode);
  volatile double wide = x;
  volatile float narrow = static_cast<float>(wide);
  std::fesetround(FE_TONEAREST);
  float value = narrow;
  if (i.has(kFtz) && std::fpclassify(value) == FP_SUBNORMAL) value = std::copysign(0.0f, value);
  if (type == Type::kF16) return __float2half_rn(value).bits;
  if (type == Type::kBF16) return __float2bfloat16_rn(value).bits;
  return std::bit_cast<uint32_t>(value);
}

uint64_t convert_integer(const Instruction& i, uint64_t source, Type to, Type from) {
  const int64_t value =
      is_signed(from) ? sign_extended(from, source) : static_cast<int64_t>(source & mask_of(bits_of(from)));
  if (!is_float(to)) {
    if (!i.has(kSat) || bits_of(to) >= 64) return static_cast<uint64_t>(value);
    const int64_t low = is_signed(to) ? -(int64_t{1} << (bits_of(to) - 1)) : 0;
    const int64_t high =
        static_cast<int64_t>(is_signed(to) ? mask_of(bits_of(to) - 1) : mask_of(bits_of(to)));
    return static_cast<uint64_t>(value < low ? low : value > high ? high : value);
  }
  // Straight to f32: by way of double, 64 bits would be rounded twice.
  if (to == Type::kF32 && !i.has(kRz | kRm | kRp))
    return std::bit_cast<uint32_t>(is_signed(from) ? static_cast<float>(value)
                                                   : static_cast<float>(static_cast<uint64_t>(value)));
  return float_from(
      i, is_signed(from) ? static_cast<double>(value) : static_cast<double>(static_cast<uint64_t>(value)),
      to);
}

uint64_t convert(const Instruction& i, const uint64_t* s) {
  const Type to = i.types[0], from = i.type();
  if (to == Type::kBF16x2 || to == Type::kF16x2) {
    const Type half = to == Type::kBF16x2 ? Type::kBF16 : Type::kF16;
    return float_from(i, value_of(from, s[0]), half) << 16 | float_from(i, value_of(from, s[1]), half);
  }
  if (!is_float(from)) return convert_integer(i, s[0], to, from);
  double x = value_of(from, s[0]);
  if (i.has(kIntegerRounding)) x = rounded_to_integer(i, x);
  return is_float(to) ? float_from(i, x, to) : integer_from(x, to);
}

constexpr Operation kOperations[] = {
    {"cvt", kRounding | kIntegerRounding | kFtz | kSat, convert, nullptr},
};

}  // namespace

std::span<const Operation> conversion_operations() { return kOperations; }

}  // namespace weft::simt::ptx
