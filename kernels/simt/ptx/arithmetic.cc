// Arithmetic, logic and comparisons: functions of one lane's values. Registers hold values with zeros above their width;
// the interpreter cuts results to the width of the register that they go to.

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>

#include "kernels/simt/ptx/operations.h"

namespace weft::simt::ptx {
namespace {

__extension__ typedef __int128 Signed128;
__extension__ typedef unsigned __int128 Unsigned128;

float f32(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
double f64(uint64_t bits) { return std::bit_cast<double>(bits); }
uint64_t bits(float x) { return std::bit_cast<uint32_t>(x); }
uint64_t bits(double x) { return std::bit_cast<uint64_t>(x); }

float flushed(const Instruction& i, float x) {
  return i.has(kFtz) && std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}

/// Applies f to floats in the instruction's type, rounding mode and saturation.
template <typename F>
uint64_t floats(const Instruction& i, const uint64_t* s, int n, F f) {
  const int mode = i.has(kRz)   ? FE_TOWARDZERO
                   : i.has(kRm) ? FE_DOWNWARD
                   : i.has(kRp) ? FE_UPWARD
                                : FE_TONEAREST;
  if (mode != FE_TONEAREST) std::fesetround(mode);
  uint64_t result;
  if (i.type() == Type::kF64) {
    volatile double x[3] = {};  // so that nothing moves across the changes of the mode
    for (int k = 0; k < n; ++k) x[k] = f64(s[k]);
    volatile double y = f(double{x[0]}, double{x[1]}, double{x[2]});
    result = bits(double{y});
  } else {
    volatile float x[3] = {};
    for (int k = 0; k < n; ++k) x[k] = flushed(i, f32(s[k]));
    volatile float y = f(float{x[0]}, float{x[1]}, float{x[2]});
    float value = flushed(i, y);
    if (i.has(kSat)) value = value > 0 ? std::fmin(value, 1.0f) : 0.0f;
    result = bits(value);
  }
  if (mode != FE_TONEAREST) std::fesetround(FE_TONEAREST);
  return result;
}

/// The same for instructions that give an approximation: within a few units in the last place of f32.
template <double (*kFunction)(double)>
uint64_t approximation(const Instruction& i, const uint64_t* s) {
  return floats(i, s, 1, [](auto x, auto, auto) { return static_cast<decltype(x)>(kFunction(x)); });
}
double reciprocal(double x) { return 1 / x; }
double reciprocal_root(double x) { return 1 / std::sqrt(x); }

uint64_t add(const Instruction& i, const uint64_t* s) {
  if (is_float(i.type())) return floats(i, s, 2, [](auto a, auto b, auto) { return a + b; });
  return s[0] + s[1];
}
uint64_t subtract(const Instruction& i, const uint64_t* s) {
  if (is_float(i.type())) return floats(i, s, 2, [](auto a, auto b, auto) { return a - b; });
  return s[0] - s[1];
}

/// The part of a product that the instruction asks for, by its low 64 and its high bits.
uint64_t product(const Instruction& i, uint64_t a, uint64_t b) {
  const Type type = i.type();
  if (!i.has(kHi)) {
    return is_signed(type)
               ? static_cast<uint64_t>(sign_extended(type, a)) * static_cast<uint64_t>(sign_extended(type, b))
               : (a & mask_of(bits_of(type))) * (b & mask_of(bits_of(type)));
  }
  if (is_signed(type))
    return static_cast<uint64_t>((Signed128{sign_extended(type, a)} * sign_extended(type, b)) >>
                                 bits_of(type));
  const Unsigned128 whole = Unsigned128{a & mask_of(bits_of(type))} * (b & mask_of(bits_of(type)));
  return static_cast<uint64_t>(whole >> bits_of(type));
}
uint64_t multiply(const Instruction& i, const uint64_t* s) {
  if (is_float(i.type())) return floats(i, s, 2, [](auto a, auto b, auto) { return a * b; });
  return product(i, s[0], s[1]);
}
uint64_t multiply_add(const Instruction& i, const uint64_t* s) {
  if (is_float(i.type())) return floats(i, s, 3, [](auto a, auto b, auto c) { return std::fma(a, b, c); });
  return product(i, s[0], s[1]) + s[2];
}

uint64_t divide(const Instruction& i, const uint64_t* s) {
  const Type type = i.type();
  if (is_float(type)) return floats(i, s, 2, [](auto a, auto b, auto) { return a / b; });
  const uint64_t a = s[0] & mask_of(bits_of(type)), b = s[1] & mask_of(bits_of(type));
  if (b == 0) return ~uint64_t{0};  // what devices give
  if (!is_signed(type)) return a / b;
  if (sign_extended(type, b) == -1) return -a;
  return static_cast<uint64_t>(sign_extended(type, a) / sign_extended(type, b));
}
uint64_t remainder(const Instruction& i, const uint64_t* s) {
  const Type type = i.type();
  const uint64_t a = s[0] & mask_of(bits_of(type)), b = s[1] & mask_of(bits_of(type));
  if (b == 0) return a;
  if (!is_signed(type)) return a % b;
  if (sign_extended(type, b) == -1) return 0;
  return static_cast<uint64_t>(sign_extended(type, a) % sign_extended(type, b));
}

uint64_t absolute(const Instruction& i, const uint64_t* s) {
  if (is_float(i.type())) return floats(i, s, 1, [](auto x, auto, auto) { return std::fabs(x); });
  const int64_t x = sign_extended(i.type(), s[0]);
  return static_cast<uint64_t>(x < 0 ? -x : x);
}
uint64_t negate(const Instruction& i, const uint64_t* s) {
  if (i.type() == Type::kF64) return s[0] ^ uint64_t { 1 } << 63;
  if (is_float(i.type())) return s[0] ^ uint64_t { 1 } << (bits_of(i.type()) - 1);
  return -s[0];
}

bool is_less(Type type, uint64_t a, uint64_t b) {
  if (is_signed(type)) return sign_extended(type, a) < sign_extended(type, b);
  return (a & mask_of(bits_of(type))) < (b & mask_of(bits_of(type)));
}
template <bool kLargest>
uint64_t extreme(const Instruction& i, const uint64_t* s) {
  if (!is_float(i.type())) return is_less(i.type(), s[0], s[1]) != kLargest ? s[0] : s[1];
  return floats(i, s, 2, [&](auto a, auto b, auto) {
    if (i.has(kNaN) && (a != a || b != b)) return std::numeric_limits<decltype(a)>::quiet_NaN();
    if (a == b) return std::signbit(a) == kLargest ? b : a;  // -0 is less than +0
    return kLargest ? std::fmax(a, b) : std::fmin(a, b);
  });
}

uint64_t bitwise_and(const Instruction&, const uint64_t* s) { return s[0] & s[1]; }
uint64_t bitwise_or(const Instruction&, const uint64_t* s) { return s[0] | s[1]; }
uint64_t bitwise_xor(const Instruction&, const uint64_t* s) { return s[0] ^ s[1]; }
uint64_t bitwise_not(const Instruction&, const uint64_t* s) { return ~s[0]; }

uint64_t shift_left(const Instruction& i, const uint64_t* s) {
  const uint32_t by = static_cast<uint32_t>(s[1]);
  return by >= static_cast<uint32_t>(bits_of(i.type())) ? 0 : s[0] << by;
}
uint64_t shift_right(const Instruction& i, const uint64_t* s) {
  const uint32_t width = static_cast<uint32_t>(bits_of(i.type())), by = static_cast<uint32_t>(s[1]);
  if (is_signed(i.type()))
    return static_cast<uint64_t>(sign_extended(i.type(), s[0]) >> (by >= width ? width - 1 : by));
  return by >= width ? 0 : (s[0] & mask_of(bits_of(i.type()))) >> by;
}
/// Shifts the 64 bits of s[1]:s[0].
uint64_t funnel_shift(const Instruction& i, const uint64_t* s) {
  const uint64_t both = (s[1] & 0xffffffff) << 32 | (s[0] & 0xffffffff);
  uint32_t by = static_cast<uint32_t>(s[2]);
  by = i.has(kWrap) ? by % 32 : by > 32 ? 32 : by;
  return i.has(kL) ? both << by >> 32 : both >> by;
}
/// lop3: each bit of the result is the bit of the table that the three operands' bits select.
uint64_t logic_of_three(const Instruction&, const uint64_t* s) {
  uint64_t result = 0;
  for (int at = 0; at < 32; ++at) {
    const uint64_t index = (s[0] >> at & 1) << 2 | (s[1] >> at & 1) << 1 | (s[2] >> at & 1);
    result |= (s[3] >> index & 1) << at;
  }
  return result;
}

uint64_t count_bits(const Instruction&, const uint64_t* s) {
  return static_cast<uint64_t>(std::popcount(s[0]));
}
uint64_t count_leading_zeros(const Instruction& i, const uint64_t* s) {
  return static_cast<uint64_t>(std::countl_zero(s[0]) - (64 - bits_of(i.type())));
}
uint64_t reverse_bits(const Instruction& i, const uint64_t* s) {
  uint64_t result = 0;
  for (int at = 0; at < bits_of(i.type()); ++at) result |= (s[0] >> at & 1) << (bits_of(i.type()) - 1 - at);
  return result;
}
uint64_t extract_field(const Instruction& i, const uint64_t* s) {
  const int width = bits_of(i.type());
  const int position = static_cast<int>(s[1] & 255), length = static_cast<int>(s[2] & 255);
  if (length == 0) return 0;
  const uint64_t x = is_signed(i.type()) ? static_cast<uint64_t>(sign_extended(i.type(), s[0])) : s[0];
  const int last = std::min(position + length - 1, width - 1);
  const uint64_t sign = is_signed(i.type()) && (x >> last & 1) ? ~uint64_t{0} : 0;
  uint64_t field = position >= width ? 0 : x >> position;
  if (length < 64) field = (field & mask_of(length));
  const int valid = std::max(0, std::min(length, width - position));
  return (field & mask_of(valid)) | (sign & ~mask_of(valid));
}
uint64_t insert_field(const Instruction& i, const uint64_t* s) {
  const int position = static_cast<int>(s[2] & 255), length = static_cast<int>(s[3] & 255);
  if (position >= bits_of(i.type())) return s[1];
  const uint64_t mask = mask_of(length) << position;
  return (s[1] & ~mask) | (s[0] << position & mask);
}
/// prmt: four bytes picked from the eight of s[1]:s[0].
uint64_t permute_bytes(const Instruction&, const uint64_t* s) {
  const uint64_t both = (s[1] & 0xffffffff) << 32 | (s[0] & 0xffffffff);
  uint64_t result = 0;
  for (int at = 0; at < 4; ++at) {
    const uint64_t selector = s[2] >> 4 * at & 15;
    uint64_t byte = both >> 8 * (selector & 7) & 255;
    if (selector & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << 8 * at;
  }
  return result;
}

/// Each of the two types says whether its four bytes are signed.
uint64_t dot_of_bytes(const Instruction& i, const uint64_t* s) {
  int64_t sum = 0;
  for (int at = 0; at < 4; ++at) {
    const uint64_t a = s[0] >> 8 * at & 255, b = s[1] >> 8 * at & 255;
    sum += (is_signed(i.types[0]) ? sign_extended(Type::kS8, a) : static_cast<int64_t>(a)) *
           (is_signed(i.types[1]) ? sign_extended(Type::kS8, b) : static_cast<int64_t>(b));
  }
  return static_cast<uint64_t>(sum) + s[2];
}

template <typename T>
bool compare(const Instruction& i, T a, T b) {
  const bool unordered = a != a || b != b;
  if (i.has(kNan)) return unordered;
  if (i.has(kNum)) return !unordered;
  if (unordered) return i.has(kUnordered);
  if (i.has(kEq)) return a == b;
  if (i.has(kNe)) return a != b;
  if (i.has(kLt)) return a < b;
  if (i.has(kLe)) return a <= b;
  if (i.has(kGt)) return a > b;
  return a >= b;
}
uint64_t set_predicate(const Instruction& i, const uint64_t* s) {
  const Type type = i.type();
  bool result;
  if (type == Type::kF64) result = compare(i, f64(s[0]), f64(s[1]));
  else if (type == Type::kF32) result = compare(i, flushed(i, f32(s[0])), flushed(i, f32(s[1])));
  else if (is_signed(type)) result = compare(i, sign_extended(type, s[0]), sign_extended(type, s[1]));
  else result = compare(i, s[0] & mask_of(bits_of(type)), s[1] & mask_of(bits_of(type)));
  const bool other = (s[2] & 1) != 0;
  if (i.has(kAnd)) result = result && other;
  else if (i.has(kOr)) result = result || other;
  else if (i.has(kXor)) result = result != other;
  return result;
}
uint64_t select(const Instruction&, const uint64_t* s) { return s[2] & 1 ? s[0] : s[1]; }
uint64_t copy_sign(const Instruction& i, const uint64_t* s) {
  const uint64_t sign = uint64_t{1} << (bits_of(i.type()) - 1);
  return (s[0] & sign) | (s[1] & ~sign);
}

constexpr uint64_t kFloat = kRounding | kFtz | kSat;
constexpr uint64_t kProduct = kLo | kHi | kWide | kFloat;

constexpr Operation kOperations[] = {
    {"add", kFloat, add, nullptr},
    {"sub", kFloat, subtract, nullptr},
    {"mul", kProduct, multiply, nullptr},
    {"mad", kProduct, multiply_add, nullptr},
    {"fma", kFloat, multiply_add, nullptr},
    {"div", kFloat | kApprox, divide, nullptr},
    {"rem", 0, remainder, nullptr},
    {"abs", kFtz, absolute, nullptr},
    {"neg", kFtz, negate, nullptr},
    {"min", kFtz | kNaN, extreme<false>, nullptr},
    {"max", kFtz | kNaN, extreme<true>, nullptr},
    {"and", 0, bitwise_and, nullptr},
    {"or", 0, bitwise_or, nullptr},
    {"xor", 0, bitwise_xor, nullptr},
    {"not", 0, bitwise_not, nullptr},
    {"shl", 0, shift_left, nullptr},
    {"shr", 0, shift_right, nullptr},
    {"shf", kL | kR | kWrap | kClamp, funnel_shift, nullptr},
    {"lop3", 0, logic_of_three, nullptr},
    {"popc", 0, count_bits, nullptr},
    {"clz", 0, count_leading_zeros, nullptr},
    {"brev", 0, reverse_bits, nullptr},
    {"bfe", 0, extract_field, nullptr},
    {"bfi", 0, insert_field, nullptr},
    {"prmt", 0, permute_bytes, nullptr},
    {"dp4a", 0, dot_of_bytes, nullptr},
    {"setp", kComparisons | kAnd | kOr | kXor | kFtz, set_predicate, nullptr},
    {"selp", 0, select, nullptr},
    {"copysign", 0, copy_sign, nullptr},
    {"rcp", kFloat | kApprox, approximation<reciprocal>, nullptr},
    {"sqrt", kFloat | kApprox, approximation<std::sqrt>, nullptr},
    {"rsqrt", kFtz | kApprox, approximation<reciprocal_root>, nullptr},
    {"ex2", kFtz | kApprox, approximation<std::exp2>, nullptr},
    {"lg2", kFtz | kApprox, approximation<std::log2>, nullptr},
    {"sin", kFtz | kApprox, approximation<std::sin>, nullptr},
    {"cos", kFtz | kApprox, approximation<std::cos>, nullptr},
    {"tanh", kApprox, approximation<std::tanh>, nullptr},
};

}  // namespace

std::span<const Operation> arithmetic_operations() { return kOperations; }

}  // namespace weft::simt::ptx
