/// The units of weight_tiles.h in device code: codes as the first operand of mma.m16n8k32, scales of a lane's rows, and how both
/// are made from blocks.
#ifndef WEFT_KERNELS_QUANT_WEIGHT_TILES_DEVICE_H
#define WEFT_KERNELS_QUANT_WEIGHT_TILES_DEVICE_H

#include "kernels/quant/weight_blocks_device.h"
#include "kernels/quant/weight_tiles.h"

namespace weft::device {

/// Of rows g and g + 8 of a tile: a weight is scale * code + shift.
struct RowScales {
  float scale[2], shift[2];
};

/// Blocks from which a unit is made: [of a row][row g, row g + 8]; null where the matrix ends.
template <int kCount>
struct UnitBlocks {
  const uint8_t* b[kCount][2];
};

/// Bits of each byte from bit `from` on moved to bit `to`; neighbours' bits are not masked away.
__device__ __forceinline__ uint32_t moved(uint32_t word, int from, int to) {
  return from >= to ? word >> (from - to) : word << (to - from);
}
__host__ __device__ constexpr uint32_t in_each_byte(uint32_t byte) { return byte * 0x01010101u; }

/// Codes of kBits bits of a unit with kRuns runs. Signed ones come out multiplied by kFactor, so that their sign is the byte's.
template <int kBits, bool kSigned, int kRuns>
struct CodePlanes {
  static constexpr int kLow = kBits == 8 ? 8 : kBits >= 4 ? 4 : 2, kHigh = kBits - kLow;
  static constexpr int kUp = kSigned ? 8 - kBits : 0;
  static constexpr float kFactor = static_cast<float>(1 << kUp);
  static constexpr int kLowBytes = kRuns * 64 * kLow, kHighBytes = kRuns * 64 * kHigh;
  static constexpr int kBytes = kLowBytes + kHighBytes;
  static constexpr uint32_t kLowMask = in_each_byte(((1u << kLow) - 1) << kUp);
  static constexpr uint32_t kHighMask = in_each_byte((((1u << kHigh) - 1) << kLow) << kUp);

  /// The words of a run for a lane: best a run that the compiler knows.
  static __device__ __forceinline__ void load(const uint8_t* unit, int run, int lane, uint32_t (&a)[4]) {
    [[maybe_unused]] const uint8_t* const mine = unit + lane * 16;
    if constexpr (kLow == 8) {
      const Words4 w = load16(mine + run * 512);
      for (int i = 0; i < 4; ++i) a[i] = w.w[i];
    } else if constexpr (kLow == 4) {
      const Words4 w = load16(mine + run / 2 * 512);
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] = moved(w.w[i], run % 2 * 4, kUp) & kLowMask;
    } else {
      const uint32_t w = load4(unit + run * 128 + lane * 4);
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] = moved(w, 2 * i, kUp) & kLowMask;
    }
    if constexpr (kHigh == 1) {
      const uint32_t w = load4(unit + kLowBytes + run / 2 * 128 + lane * 4);
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] |= moved(w, run % 2 * 4 + i, kUp + kLow) & kHighMask;
    } else if constexpr (kHigh == 2) {
      const uint32_t w = load4(unit + kLowBytes + run * 128 + lane * 4);
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] |= moved(w, 2 * i, kUp + kLow) & kHighMask;
    }
  }

  /// Writes a lane's codes of a whole unit, signed bytes or not.
  static __device__ __forceinline__ void store(uint8_t* unit, int lane, const uint32_t (&codes)[kRuns][4]) {
    [[maybe_unused]] uint8_t* const mine = unit + lane * 16;
    const auto field = [&](int run, int i, int from, int bits, int to) {
      return moved(codes[run][i] & in_each_byte(((1u << bits) - 1) << from), from, to);
    };
    const auto store_pairs = [&](uint8_t* plane, int from) {  // two bits of each code
#pragma unroll
      for (int run = 0; run < kRuns; ++run) {
        uint32_t w = 0;
        for (int i = 0; i < 4; ++i) w |= field(run, i, from, 2, 2 * i);
        store4(plane + run * 128 + lane * 4, w);
      }
    };
    if constexpr (kLow == 8) {
#pragma unroll
      for (int run = 0; run < kRuns; ++run)
        store16(mine + run * 512, {{codes[run][0], codes[run][1], codes[run][2], codes[run][3]}});
    } else if constexpr (kLow == 4) {
#pragma unroll
      for (int run = 0; run < kRuns; run += 2) {
        Words4 w;
        for (int i = 0; i < 4; ++i) w.w[i] = field(run, i, 0, 4, 0) | field(run + 1, i, 0, 4, 4);
        store16(mine + run / 2 * 512, w);
      }
    } else {
      store_pairs(unit, 0);
    }
    if constexpr (kHigh == 1) {
#pragma unroll
      for (int run = 0; run < kRuns; run += 2) {
        uint32_t w = 0;
        for (int i = 0; i < 4; ++i) w |= field(run, i, kLow, 1, i) | field(run + 1, i, kLow, 1, 4 + i);
        store4(unit + kLowBytes + run / 2 * 128 + lane * 4, w);
      }
    } else if constexpr (kHigh == 2) {
      store_pairs(unit + kLowBytes, kLow);
    }
  }
};

__device__ __forceinline__ float low_half(uint32_t w) { return to_f32(from_bits<F16>(w & 0xffff)); }
__device__ __forceinline__ float high_half(uint32_t w) { return to_f32(from_bits<F16>(w >> 16)); }
__device__ __forceinline__ uint32_t load2_or_0(const uint8_t* p, int at) { return p ? load2(p + at) : 0; }
__device__ __forceinline__ uint32_t load1_or_0(const uint8_t* p, int at) { return p ? load1(p + at) : 0; }
__device__ __forceinline__ float from_unsigned(uint32_t byte) { return static_cast<float>(byte & 255); }
__device__ __forceinline__ float from_signed(uint32_t byte) {
  return static_cast<float>(static_cast<int8_t>(byte & 255));
}

// Below, `p` is where a unit's scales begin, and load(p, i, g) gives those of its i-th run of kRun elements, i % 4 being best a
// lane's own; lane 4 g + c stores those of runs c, c + 4 and so on.

/// One f16 a block of 32: [run][g][row g, row g + 8].
struct BlockScales {
  static constexpr int kBytes = 64;
  static constexpr bool kShifts = false;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const uint32_t w = load4(p + (run * 8 + g) * 4);
    return {{low_half(w), high_half(w)}, {}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<2>& from) {
    const int g = lane / 4, run = lane % 4;
    if (run < 2)
      store4(p + (run * 8 + g) * 4, load2_or_0(from.b[run][0], 0) | load2_or_0(from.b[run][1], 0) << 16);
  }
};

/// Two f16 a block of 32, scale and shift: [run][g][row g, row g + 8][scale, shift].
struct BlockScalesAndShifts {
  static constexpr int kBytes = 128;
  static constexpr bool kShifts = true;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const Words2 w = load8(p + (run * 8 + g) * 8);
    return {{low_half(w.w[0]), low_half(w.w[1])}, {high_half(w.w[0]), high_half(w.w[1])}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<2>& from) {
    const int g = lane / 4, run = lane % 4;
    if (run >= 2) return;
    Words2 w;
    for (int i = 0; i < 2; ++i) w.w[i] = load2_or_0(from.b[run][i], 0) | load2_or_0(from.b[run][i], 2) << 16;
    store8(p + (run * 8 + g) * 8, w);
  }
};

/// One exponent a block of 32: [run][g][row g, row g + 8].
struct BlockExponents {
  static constexpr int kBytes = 32;
  static constexpr bool kShifts = false;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const uint8_t* const two = p + (run * 8 + g) * 2;
    return {{Block<WeightFormat::kMXFP4>::scale(two, 0).scale,
             Block<WeightFormat::kMXFP4>::scale(two + 1, 0).scale},
            {}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<2>& from) {
    const int g = lane / 4, run = lane % 4;
    if (run >= 2) return;
    for (int i = 0; i < 2; ++i)
      p[(run * 8 + g) * 2 + i] = static_cast<uint8_t>(load1_or_0(from.b[run][i], 0));
  }
};

/// Eight numbers of 6 bits a lane, in 48 bits: in a word the low nibbles, of numbers 0 to 3 in the low halves of its bytes, of 4 to
/// 7 in the high ones; in 16 bits the others: 4 and 5, 12 and 13, 6 and 7, 14 and 15 are those of numbers 0 to 3, 0 and 1, 8 and 9,
/// 2 and 3, 10 and 11 those of 4 to 7. [lane] words, then [lane] 16 bits.
struct SixBits {
  static constexpr int kBytes = 192;
  /// Numbers 0 to 3 and 4 to 7, a byte each.
  static __device__ __forceinline__ Words2 load(const uint8_t* p, int lane) {
    const uint32_t low = load4(p + lane * 4), high = load2(p + 128 + lane * 2);
    return {{(low & 0x0f0f0f0fu) | ((high | high << 14) & 0x30303030u),
             (low >> 4 & 0x0f0f0f0fu) | ((high << 4 | high << 18) & 0x30303030u)}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, Words2 numbers) {
    store4(p + lane * 4, (numbers.w[0] & 0x0f0f0f0fu) | (numbers.w[1] & 0x0f0f0f0fu) << 4);
    const uint32_t first = numbers.w[0] & 0x30303030u, second = numbers.w[1] & 0x30303030u;
    const uint32_t high =
        (first & 0x3030) | (first >> 14 & 0xc0c0) | (second >> 4 & 0x0303) | (second >> 18 & 0x0c0c);
    *reinterpret_cast<uint16_t*>(p + 128 + lane * 2) = static_cast<uint16_t>(high);
  }
};

/// Q4_K and Q5_K: numbers 0 to 3 of SixBits are the scales of (row g, run c), (g + 8, c), (g, c + 4), (g + 8, c + 4), 4 to 7 the
/// minima; then [g][row g, row g + 8][f16 d, f16 dmin].
struct SuperblockScalesAndMinima {
  static constexpr int kBytes = SixBits::kBytes + 64;
  static constexpr bool kShifts = true;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const Words2 six = SixBits::load(p, g * 4 + run % 4), d = load8(p + SixBits::kBytes + g * 8);
    const int first = run / 4 * 16;
    RowScales s;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      s.scale[i] = low_half(d.w[i]) * from_unsigned(six.w[0] >> (first + 8 * i));
      s.shift[i] = -high_half(d.w[i]) * from_unsigned(six.w[1] >> (first + 8 * i));
    }
    return s;
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<1>& from) {
    const int g = lane / 4, c = lane % 4;
    Words2 six = {};
    Words2 d = {};
    for (int i = 0; i < 2; ++i) {
      const uint8_t* const b = from.b[0][i];
      if (b == nullptr) continue;
      const Words4 head = load16(b);
      d.w[i] = head.w[0];
      const auto of_run = [&](int run) {
        const uint32_t scales =
            run < 4 ? head.w[1] & 0x3f3f3f3fu : (head.w[3] & 0x0f0f0f0fu) | (head.w[1] >> 2 & 0x30303030u);
        const uint32_t minima = run < 4 ? head.w[2] & 0x3f3f3f3fu
                                        : (head.w[3] >> 4 & 0x0f0f0f0fu) | (head.w[2] >> 2 & 0x30303030u);
        six.w[0] |= (scales >> 8 * (run % 4) & 255) << (run / 4 * 16 + 8 * i);
        six.w[1] |= (minima >> 8 * (run % 4) & 255) << (run / 4 * 16 + 8 * i);
      };
      of_run(c), of_run(c + 4);
    }
    SixBits::store(p, lane, six);
    if (c == 0) store8(p + SixBits::kBytes + g * 8, d);
  }
};

/// Q6_K: a signed byte for 16 elements: [g][c] eight bytes, of runs c, c + 4, c + 8, c + 12 for row g and row g + 8 each; then
/// [g][row g, row g + 8] f16 d.
struct SuperblockSignedScales {
  static constexpr int kBytes = 256 + 32;
  static constexpr bool kShifts = false;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const Words2 w = load8(p + (g * 4 + run % 4) * 8);
    const uint32_t d = load4(p + 256 + g * 4), mine = w.w[run / 8] >> (run / 4 % 2 * 16);
    return {{low_half(d) * from_signed(mine), high_half(d) * from_signed(mine >> 8)}, {}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<1>& from) {
    const int g = lane / 4, c = lane % 4;
    Words2 w = {};
    for (int run = 0; run < 4; ++run)
      for (int i = 0; i < 2; ++i)
        w.w[run / 2] |= load1_or_0(from.b[0][i], 192 + c + 4 * run) << (run % 2 * 16 + 8 * i);
    store8(p + lane * 8, w);
    if (c == 0) store4(p + 256 + g * 4, load2_or_0(from.b[0][0], 208) | load2_or_0(from.b[0][1], 208) << 16);
  }
};

/// Q2_K: a byte for 16 elements, the scale in its low half and the minimum in the high one, [g][c] eight as in Q6_K; then
/// [g][row g, row g + 8][f16 d, f16 dmin].
struct SuperblockNibbleScales {
  static constexpr int kBytes = 256 + 64;
  static constexpr bool kShifts = true;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const Words2 w = load8(p + (g * 4 + run % 4) * 8), d = load8(p + 256 + g * 8);
    const uint32_t mine = w.w[run / 8] >> (run / 4 % 2 * 16);
    RowScales s;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      s.scale[i] = low_half(d.w[i]) * from_unsigned(mine >> 8 * i & 15);
      s.shift[i] = -high_half(d.w[i]) * from_unsigned(mine >> (8 * i + 4) & 15);
    }
    return s;
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<1>& from) {
    const int g = lane / 4, c = lane % 4;
    Words2 w = {};
    for (int run = 0; run < 4; ++run)
      for (int i = 0; i < 2; ++i)
        w.w[run / 2] |= load1_or_0(from.b[0][i], c + 4 * run) << (run % 2 * 16 + 8 * i);
    store8(p + lane * 8, w);
    Words2 d;
    for (int i = 0; i < 2; ++i) d.w[i] = load2_or_0(from.b[0][i], 80) | load2_or_0(from.b[0][i], 82) << 16;
    if (c == 0) store8(p + 256 + g * 8, d);
  }
};

/// Q3_K: numbers 0 to 7 of SixBits are those of runs c, c + 4, c + 8, c + 12 of 16 elements, for row g and row g + 8 each, plus 32;
/// then [g][row g, row g + 8] f16 d.
struct SuperblockSixBitScales {
  static constexpr int kBytes = SixBits::kBytes + 32;
  static constexpr bool kShifts = false;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const Words2 six = SixBits::load(p, g * 4 + run % 4);
    const uint32_t d = load4(p + SixBits::kBytes + g * 4), mine = six.w[run / 8] >> (run / 4 % 2 * 16);
    return {{low_half(d) * (from_unsigned(mine) - 32), high_half(d) * (from_unsigned(mine >> 8) - 32)}, {}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<1>& from) {
    const int g = lane / 4, c = lane % 4;
    Words2 six = {};
    for (int i = 0; i < 2; ++i) {
      const uint8_t* const b = from.b[0][i];
      for (int run = 0; b != nullptr && run < 4; ++run) {
        const int j = c + 4 * run;
        const uint32_t low = j < 8 ? load1(b + 96 + j) & 15 : load1(b + 96 + j - 8) >> 4;
        const uint32_t high = load1(b + 104 + j % 4) >> (2 * (j / 4)) & 3;
        six.w[run / 2] |= (low | high << 4) << (run % 2 * 16 + 8 * i);
      }
    }
    SixBits::store(p, lane, six);
    if (c == 0)
      store4(p + SixBits::kBytes + g * 4, load2_or_0(from.b[0][0], 108) | load2_or_0(from.b[0][1], 108)
                                                                              << 16);
  }
};

/// IQ4_XS: four numbers of 6 bits a lane, plus 32: of (row g, run c), (g + 8, c), (g, c + 4), (g + 8, c + 4), their low halves in
/// [lane] 16 bits, the others in [lane] bytes; then [g][row g, row g + 8] f16 d.
struct SuperblockLinearScales {
  static constexpr int kBytes = 64 + 32 + 32;
  static constexpr bool kShifts = false;
  static __device__ __forceinline__ RowScales load(const uint8_t* p, int run, int g) {
    const int lane = g * 4 + run % 4, first = run / 4 * 2;
    const uint32_t low = load2(p + lane * 2), high = load1(p + 64 + lane), d = load4(p + 96 + g * 4);
    const auto number = [&](int i) {
      return static_cast<float>(static_cast<int>((low >> 4 * i & 15) | (high >> 2 * i & 3) << 4) - 32);
    };
    return {{low_half(d) * number(first), high_half(d) * number(first + 1)}, {}};
  }
  static __device__ __forceinline__ void store(uint8_t* p, int lane, const UnitBlocks<1>& from) {
    const int g = lane / 4, c = lane % 4;
    uint32_t low = 0, high = 0;
    for (int i = 0; i < 4; ++i) {
      const uint8_t* const b = from.b[0][i % 2];
      if (b == nullptr) continue;
      const int j = c + i / 2 * 4;
      low |= (load1(b + 4 + j / 2) >> (4 * (j % 2)) & 15) << 4 * i;
      high |= (load2(b + 2) >> (2 * j) & 3) << 2 * i;
    }
    *reinterpret_cast<uint16_t*>(p + lane * 2) = static_cast<uint16_t>(low);
    p[64 + lane] = static_cast<uint8_t>(high);
    if (c == 0) store4(p + 96 + g * 4, load2_or_0(from.b[0][0], 0) | load2_or_0(from.b[0][1], 0) << 16);
  }
};

template <WeightFormat kFormat>
struct TilePlanes;
template <typename CodesOfUnit, typename ScalesOfUnit>
struct Planes {
  using Codes = CodesOfUnit;
  using Scales = ScalesOfUnit;
};
// clang-format off
template <> struct TilePlanes<WeightFormat::kQ4_0> : Planes<CodePlanes<4, true, 2>, BlockScales> {};
template <> struct TilePlanes<WeightFormat::kQ4_1> : Planes<CodePlanes<4, false, 2>, BlockScalesAndShifts> {};
template <> struct TilePlanes<WeightFormat::kQ5_0> : Planes<CodePlanes<5, true, 2>, BlockScales> {};
template <> struct TilePlanes<WeightFormat::kQ5_1> : Planes<CodePlanes<5, false, 2>, BlockScalesAndShifts> {};
template <> struct TilePlanes<WeightFormat::kQ8_0> : Planes<CodePlanes<8, true, 2>, BlockScales> {};
template <> struct TilePlanes<WeightFormat::kIQ4_NL> : Planes<CodePlanes<4, false, 2>, BlockScales> {};
template <> struct TilePlanes<WeightFormat::kMXFP4> : Planes<CodePlanes<4, false, 2>, BlockExponents> {};
template <> struct TilePlanes<WeightFormat::kQ2_K> : Planes<CodePlanes<2, false, 8>, SuperblockNibbleScales> {};
template <> struct TilePlanes<WeightFormat::kQ3_K> : Planes<CodePlanes<3, true, 8>, SuperblockSixBitScales> {};
template <> struct TilePlanes<WeightFormat::kQ4_K> : Planes<CodePlanes<4, false, 8>, SuperblockScalesAndMinima> {};
template <> struct TilePlanes<WeightFormat::kQ5_K> : Planes<CodePlanes<5, false, 8>, SuperblockScalesAndMinima> {};
template <> struct TilePlanes<WeightFormat::kQ6_K> : Planes<CodePlanes<6, true, 8>, SuperblockSignedScales> {};
template <> struct TilePlanes<WeightFormat::kIQ4_XS> : Planes<CodePlanes<4, false, 8>, SuperblockLinearScales> {};
// clang-format on

/// A unit of a tile of a quantised format.
template <WeightFormat kFormat>
struct TileUnit {
  using Codes = typename TilePlanes<kFormat>::Codes;
  using Scales = typename TilePlanes<kFormat>::Scales;
  static constexpr int kElements = static_cast<int>(tile_unit_elements(kFormat));
  static constexpr int kBytes = static_cast<int>(tile_unit_bytes(kFormat));
  static constexpr int kRuns = kElements / 32;       // of 32
  static constexpr int kRun = Block<kFormat>::kRun;  // elements that share a scale
  static constexpr int kHalves = 32 / kRun;          // scales of a run of 32
  static constexpr bool kShifts = Scales::kShifts;
  static constexpr int kBlocks = kElements / Block<kFormat>::kElements;  // of a row
  static_assert(Codes::kBytes + Scales::kBytes == kBytes && Scales::kShifts == Block<kFormat>::kShifts);
  static constexpr bool kTable =
      kFormat == WeightFormat::kIQ4_NL || kFormat == WeightFormat::kIQ4_XS || kFormat == WeightFormat::kMXFP4;

  /// Words 0 to 3 of run `run` of 32, signed bytes.
  static __device__ __forceinline__ void codes(const uint8_t* unit, int run, int lane, uint32_t (&a)[4]) {
    Codes::load(unit, run, lane, a);
    if constexpr (kTable) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[i] = looked_up(a[i], kFormat == WeightFormat::kMXFP4 ? kFp4DoubledTable : kIq4Table);
    }
  }
  /// Of the i-th run of kRun elements, for codes as codes() gives them.
  static __device__ __forceinline__ RowScales scales(const uint8_t* unit, int i, int g) {
    RowScales s = Scales::load(unit + Codes::kBytes, i, g);
    for (float& scale : s.scale) scale *= 1 / Codes::kFactor;
    return s;
  }
  /// A lane's part of a unit, from its blocks.
  static __device__ __forceinline__ void store(uint8_t* unit, int lane, const UnitBlocks<kBlocks>& from) {
    const int c = lane % 4;
    uint32_t words[kRuns][4];
#pragma unroll
    for (int run = 0; run < kRuns; ++run) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint8_t* const b = from.b[run * kBlocks / kRuns][i % 2];
        const int e = run % (kRuns / kBlocks) * 32 + i / 2 * 16;
        words[run][i] = b == nullptr ? 0 : plain_codes(b, e, c * 4);
      }
    }
    Codes::store(unit, lane, words);
    Scales::store(unit + Codes::kBytes, lane, from);
  }

 private:
  /// As the block has them, where a table follows.
  static __device__ __forceinline__ uint32_t plain_codes(const uint8_t* b, int e, int in) {
    if constexpr (kFormat == WeightFormat::kIQ4_NL) return nibbles<2>(b + 2, e, in);
    else if constexpr (kFormat == WeightFormat::kMXFP4) return nibbles<1>(b + 1, e, in);
    else if constexpr (kFormat == WeightFormat::kIQ4_XS) return nibbles<4>(b + 8 + e / 32 * 16, e % 32, in);
    else return Block<kFormat>::codes(b, e, in);
  }
};

}  // namespace weft::device
#endif
