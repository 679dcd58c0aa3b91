/// Types and modifiers of PTX instructions, as numbers. Private to this folder.
#ifndef WEFT_KERNELS_SIMT_PTX_TYPES_H
#define WEFT_KERNELS_SIMT_PTX_TYPES_H

#include <cstdint>

namespace weft::simt::ptx {

enum class Type : uint8_t {
  kPred,
  kB8,
  kB16,
  kB32,
  kB64,
  kU8,
  kU16,
  kU32,
  kU64,
  kS8,
  kS16,
  kS32,
  kS64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kF16x2,
  kBF16x2
};

constexpr int bits_of(Type type) {
  switch (type) {
    case Type::kPred: return 1;
    case Type::kB8:
    case Type::kU8:
    case Type::kS8: return 8;
    case Type::kB16:
    case Type::kU16:
    case Type::kS16:
    case Type::kF16:
    case Type::kBF16: return 16;
    case Type::kB64:
    case Type::kU64:
    case Type::kS64:
    case Type::kF64: return 64;
    default: return 32;
  }
}
constexpr int bytes_of(Type type) { return bits_of(type) / 8; }
constexpr bool is_float(Type type) { return type >= Type::kF16; }
constexpr bool is_signed(Type type) { return type >= Type::kS8 && type <= Type::kS64; }
constexpr uint64_t mask_of(int bits) { return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

/// One bit each. A few spellings mean different things to different instructions (and, or, add).
enum Modifier : uint64_t {
  kLo = 1ull << 0,
  kHi = 1ull << 1,
  kWide = 1ull << 2,
  kFtz = 1ull << 3,
  kSat = 1ull << 4,
  kRn = 1ull << 5,
  kRz = 1ull << 6,
  kRm = 1ull << 7,
  kRp = 1ull << 8,
  kRni = 1ull << 9,
  kRzi = 1ull << 10,
  kRmi = 1ull << 11,
  kRpi = 1ull << 12,
  kApprox = 1ull << 13,  // and .full
  kNaN = 1ull << 14,
  kEq = 1ull << 15,
  kNe = 1ull << 16,
  kLt = 1ull << 17,
  kLe = 1ull << 18,
  kGt = 1ull << 19,
  kGe = 1ull << 20,
  kUnordered = 1ull << 21,  // the u of equ, neu, ltu, leu, gtu, geu
  kNan = 1ull << 22,        // setp.nan
  kNum = 1ull << 23,
  kAnd = 1ull << 24,
  kOr = 1ull << 25,
  kXor = 1ull << 26,
  kPopc = 1ull << 27,
  kAdd = 1ull << 28,
  kMin = 1ull << 29,
  kMax = 1ull << 30,
  kExch = 1ull << 31,
  kCas = 1ull << 32,
  kGlobal = 1ull << 33,
  kShared = 1ull << 34,
  kLocal = 1ull << 35,
  kParam = 1ull << 36,
  kConst = 1ull << 37,
  kTo = 1ull << 38,
  kSync = 1ull << 39,
  kIdx = 1ull << 40,
  kBfly = 1ull << 41,
  kUp = 1ull << 42,
  kDown = 1ull << 43,
  kBallot = 1ull << 44,
  kAll = 1ull << 45,
  kAny = 1ull << 46,
  kRed = 1ull << 47,
  kWarp = 1ull << 48,
  kAsync = 1ull << 49,
  kCommitGroup = 1ull << 50,
  kWaitGroup = 1ull << 51,
  kWaitAll = 1ull << 52,
  kTrans = 1ull << 53,
  kM16N8K16 = 1ull << 54,
  kM16N8K32 = 1ull << 55,
  kX1 = 1ull << 56,
  kX2 = 1ull << 57,
  kX4 = 1ull << 58,
  kL = 1ull << 59,  // shf
  kR = 1ull << 60,
  kWrap = 1ull << 61,
  kClamp = 1ull << 62,
  kHint =
      1ull << 63,  // changes no result: caches, vectors (the operands show), volatile, uni, scopes, aligned
};

inline constexpr uint64_t kRounding = kRn | kRz | kRm | kRp;
inline constexpr uint64_t kIntegerRounding = kRni | kRzi | kRmi | kRpi;
inline constexpr uint64_t kComparisons = kEq | kNe | kLt | kLe | kGt | kGe | kUnordered | kNan | kNum;
inline constexpr uint64_t kSpaces = kGlobal | kShared | kLocal | kParam | kConst;

}  // namespace weft::simt::ptx
#endif
