/// Four adjacent weights of a block, in f32 or as codes and their scale, for each format of format.h that products serve;
/// device code.
/// dequantize.cc says what a block means; here e, the first of the four, is a multiple of 4.
///
/// Each format says the alignment that its blocks have in a matrix whose first byte is a multiple of 16; codes are read in
/// the largest pieces that it allows.
#ifndef WEFT_KERNELS_QUANT_WEIGHT_BLOCKS_DEVICE_H
#define WEFT_KERNELS_QUANT_WEIGHT_BLOCKS_DEVICE_H

#include <string>
#include <type_traits>

#include "kernels/quant/format.h"
#include "kernels/simt/target.h"

namespace weft::device {

/// The four bytes at p, in pieces of kAlignment bytes.
template <int kAlignment>
__device__ __forceinline__ uint32_t bytes4(const uint8_t* p) {
  if constexpr (kAlignment >= 4) return load4(p);
  else if constexpr (kAlignment == 2) return load2(p) | load2(p + 2) << 16;
  else return load1(p) | load1(p + 1) << 8 | load1(p + 2) << 16 | load1(p + 3) << 24;
}
__device__ __forceinline__ float half_at(const uint8_t* p) { return to_f32(from_bits<F16>(load2(p))); }
__device__ __forceinline__ int byte_of(uint32_t word, int i) { return static_cast<int>(word >> 8 * i & 255); }

/// Codes of 4 bits in the 16 bytes at p: the low ones are elements 0 to 15, the high ones 16 to 31. Those of e + in; e: 0 or 16.
template <int kAlignment>
__device__ __forceinline__ uint32_t nibbles(const uint8_t* p, int e, int in) {
  return bytes4<kAlignment>(p + in) >> (e / 4) & 0x0f0f0f0fu;
}

/// Codes less `zero`, which no code exceeds by more than 127: signed bytes, without a borrow from one to the next.
template <int zero>
__device__ __forceinline__ uint32_t centred(uint32_t codes) {
  return ((codes | 0x80808080u) - 0x01010101u * zero) ^ 0x80808080u;
}

/// What the 16 codes of 4 bits stand for, as signed bytes; two words of 8.
struct CodeTable {
  uint64_t low, high;
};
constexpr CodeTable kIq4Table = {0xf6eaddcfbfad9881u, 0x7159453526190d01u};
constexpr CodeTable kFp4DoubledTable = {0x0c08060403020100u, 0xf4f8fafcfdfeff00u};
__device__ __forceinline__ uint32_t looked_up(uint32_t codes, CodeTable table) {
  uint32_t bytes = 0;
  for (int j = 0; j < 4; ++j) {
    const int code = byte_of(codes, j);
    const uint64_t eight = code < 8 ? table.low : table.high;
    bytes |= static_cast<uint32_t>(eight >> 8 * (code % 8) & 255) << 8 * j;
  }
  return bytes;
}

/// Bit e + j of the mask into bit 4 of byte j.
__device__ __forceinline__ uint32_t fifth_bits(uint32_t mask, int e) {
  return ((mask >> e & 15) * 0x00204081u & 0x01010101u) << 4;
}

/// A weight is scale * code + shift.
struct Scale {
  float scale, shift;
};

/// Two adjacent halves, 4-byte aligned.
__device__ __forceinline__ Scale halves_at(const uint8_t* p) {
  const uint32_t w = load4(p);
  return {to_f32(from_bits<F16>(w & 0xffff)), to_f32(from_bits<F16>(w >> 16))};
}

/// For every format: kElements and kBytes of a block, and weights(block, e), the four from e on. Quantised ones also have
/// codes(block, e, in), those four from e + in on as signed bytes, where e is a multiple of 16 (best one that the compiler knows)
/// and `in` one of 4 below 16; and scale(block, e), which is that of a whole run of kRun elements; where
/// kShifts is false its shift is 0.
template <WeightFormat kFormat>
struct Block;

template <typename T>
struct PlainBlock {
  static constexpr int kElements = 4, kBytes = 4 * sizeof(T);
  static constexpr bool kQuantised = false;
  static __device__ __forceinline__ Quad weights(const uint8_t* b, int) {
    return load_quad(reinterpret_cast<const T*>(b));
  }
};
template <>
struct Block<WeightFormat::kF32> : PlainBlock<float> {};
template <>
struct Block<WeightFormat::kF16> : PlainBlock<F16> {};
template <>
struct Block<WeightFormat::kBF16> : PlainBlock<BF16> {};

template <WeightFormat kFormat, int kElementsOfARun, bool kHasShift>
struct QuantisedBlock {
  static constexpr int kElements = block_layout(kFormat).elements, kBytes = block_layout(kFormat).bytes;
  static constexpr int kRun = kElementsOfARun;
  static constexpr bool kQuantised = true, kShifts = kHasShift;
  static __device__ __forceinline__ Quad weights(const uint8_t* b, int e) {
    const uint32_t codes = Block<kFormat>::codes(b, e / 16 * 16, e % 16);
    const Scale s = Block<kFormat>::scale(b, e);
    Quad w;
    for (int j = 0; j < 4; ++j) {
      w.v[j] = s.scale * static_cast<float>(static_cast<int8_t>(codes >> 8 * j & 255));
      if constexpr (kHasShift) w.v[j] += s.shift;
    }
    return w;
  }
};

template <>
struct Block<WeightFormat::kQ4_0> : QuantisedBlock<WeightFormat::kQ4_0, 32, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return centred<8>(nibbles<2>(b + 2, e, in));
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) { return {half_at(b), 0}; }
};
template <>
struct Block<WeightFormat::kQ4_1> : QuantisedBlock<WeightFormat::kQ4_1, 32, true> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return nibbles<4>(b + 4, e, in);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) { return halves_at(b); }
};
template <>
struct Block<WeightFormat::kQ5_0> : QuantisedBlock<WeightFormat::kQ5_0, 32, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return centred<16>(nibbles<2>(b + 6, e, in) | fifth_bits(bytes4<2>(b + 2), e + in));
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) { return {half_at(b), 0}; }
};
template <>
struct Block<WeightFormat::kQ5_1> : QuantisedBlock<WeightFormat::kQ5_1, 32, true> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return nibbles<4>(b + 8, e, in) | fifth_bits(load4(b + 4), e + in);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) { return halves_at(b); }
};
template <>
struct Block<WeightFormat::kQ8_0> : QuantisedBlock<WeightFormat::kQ8_0, 32, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return bytes4<2>(b + 2 + e + in);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) { return {half_at(b), 0}; }
};
template <>
struct Block<WeightFormat::kIQ4_NL> : QuantisedBlock<WeightFormat::kIQ4_NL, 32, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return looked_up(nibbles<2>(b + 2, e, in), kIq4Table);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) { return {half_at(b), 0}; }
};
template <>
struct Block<WeightFormat::kMXFP4> : QuantisedBlock<WeightFormat::kMXFP4, 32, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return looked_up(nibbles<1>(b + 1, e, in), kFp4DoubledTable);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int) {
    const uint32_t exponent = load1(b);  // 2^(exponent - 128): the table is doubled
    return {__uint_as_float(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23), 0};
  }
};

/// Codes of 2 bits of a superblock: 64 bytes, in each of whose halves byte i holds elements i, i + 32, i + 64 and i + 96.
template <int kAlignment>
__device__ __forceinline__ uint32_t pairs_of_bits(const uint8_t* p, int e, int in) {
  return bytes4<kAlignment>(p + e / 128 * 32 + e % 32 + in) >> (2 * (e / 32 % 4)) & 0x03030303u;
}
template <>
struct Block<WeightFormat::kQ2_K> : QuantisedBlock<WeightFormat::kQ2_K, 16, true> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return pairs_of_bits<4>(b + 16, e, in);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int e) {
    const int scale = static_cast<int>(load1(b + e / 16));
    return {half_at(b + 80) * static_cast<float>(scale & 15),
            -half_at(b + 82) * static_cast<float>(scale >> 4)};
  }
};
template <>
struct Block<WeightFormat::kQ3_K> : QuantisedBlock<WeightFormat::kQ3_K, 16, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    const uint32_t third = (bytes4<2>(b + e % 32 + in) >> (e / 32) & 0x01010101u) << 2;
    return centred<4>(pairs_of_bits<2>(b + 32, e, in) | third);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int e) {
    const uint8_t* scales = b + 96;
    const int j = e / 16;
    const int low = static_cast<int>(j < 8 ? load1(scales + j) & 15 : load1(scales + j - 8) >> 4);
    const int high = static_cast<int>(load1(scales + 8 + j % 4) >> (2 * (j / 4)) & 3);
    return {half_at(b + 108) * static_cast<float>((low | high << 4) - 32), 0};
  }
};

/// Of the j-th of 8 runs of 32, from Q4_K's and Q5_K's head: {f16 d, f16 dmin, 12 bytes of scales and minima of 6 bits}.
__device__ __forceinline__ Scale scale_and_min(const uint8_t* b, int j) {
  const Words4 head = load16(b);
  const uint32_t first = head.w[1], second = head.w[2], third = head.w[3];  // four runs at a time
  const uint32_t scales = j < 4 ? first & 0x3f3f3f3fu : (third & 0x0f0f0f0fu) | (first >> 2 & 0x30303030u);
  const uint32_t mins =
      j < 4 ? second & 0x3f3f3f3fu : (third >> 4 & 0x0f0f0f0fu) | (second >> 2 & 0x30303030u);
  return {to_f32(from_bits<F16>(head.w[0] & 0xffff)) * static_cast<float>(byte_of(scales, j % 4)),
          -to_f32(from_bits<F16>(head.w[0] >> 16)) * static_cast<float>(byte_of(mins, j % 4))};
}
template <>
struct Block<WeightFormat::kQ4_K> : QuantisedBlock<WeightFormat::kQ4_K, 32, true> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return load4(b + 16 + e / 64 * 32 + e % 32 + in) >> (4 * (e / 32 % 2)) & 0x0f0f0f0fu;
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int e) { return scale_and_min(b, e / 32); }
};
template <>
struct Block<WeightFormat::kQ5_K> : QuantisedBlock<WeightFormat::kQ5_K, 32, true> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    const uint32_t low = load4(b + 48 + e / 64 * 32 + e % 32 + in) >> (4 * (e / 32 % 2)) & 0x0f0f0f0fu;
    return low | (load4(b + 16 + e % 32 + in) >> (e / 32) & 0x01010101u) << 4;
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int e) { return scale_and_min(b, e / 32); }
};
template <>
struct Block<WeightFormat::kQ6_K> : QuantisedBlock<WeightFormat::kQ6_K, 16, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    const int half = e / 128, quarter = e / 32 % 4;
    const uint32_t low =
        bytes4<2>(b + 64 * half + 32 * (quarter & 1) + e % 32 + in) >> (4 * (quarter >> 1)) & 0x0f0f0f0fu;
    const uint32_t high = bytes4<2>(b + 128 + 32 * half + e % 32 + in) >> (2 * quarter) & 0x03030303u;
    return centred<32>(low | high << 4);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int e) {
    return {half_at(b + 208) * static_cast<float>(static_cast<int8_t>(load1(b + 192 + e / 16))), 0};
  }
};
template <>
struct Block<WeightFormat::kIQ4_XS> : QuantisedBlock<WeightFormat::kIQ4_XS, 32, false> {
  static __device__ __forceinline__ uint32_t codes(const uint8_t* b, int e, int in) {
    return looked_up(nibbles<4>(b + 8 + e / 32 * 16, e % 32, in), kIq4Table);
  }
  static __device__ __forceinline__ Scale scale(const uint8_t* b, int e) {
    const int j = e / 32;
    const int low = static_cast<int>(load1(b + 4 + j / 2) >> (4 * (j % 2)) & 15);
    const int high = static_cast<int>(load2(b + 2) >> (2 * j) & 3);
    return {half_at(b) * static_cast<float>((low | high << 4) - 32), 0};
  }
};

/// Whether the format has codes and scales. Host code.
constexpr bool is_quantised(WeightFormat format) { return block_layout(format).elements > 1; }

/// What `start` gives for the format as a std::integral_constant. what: "embeddings". Host code. Errors: start's, kUnsupported (a
/// format without a Block).
template <typename Start>
Status start_for_format(WeightFormat format, const char* what, const Start& start) {
#define WEFT_WITH_FORMAT(f) \
  case WeightFormat::f: return start(std::integral_constant<WeightFormat, WeightFormat::f>());
  switch (format) {
    WEFT_WITH_FORMAT(kF32)
    WEFT_WITH_FORMAT(kF16)
    WEFT_WITH_FORMAT(kBF16)
    WEFT_WITH_FORMAT(kQ4_0)
    WEFT_WITH_FORMAT(kQ4_1)
    WEFT_WITH_FORMAT(kQ5_0)
    WEFT_WITH_FORMAT(kQ5_1)
    WEFT_WITH_FORMAT(kQ8_0)
    WEFT_WITH_FORMAT(kQ2_K)
    WEFT_WITH_FORMAT(kQ3_K)
    WEFT_WITH_FORMAT(kQ4_K)
    WEFT_WITH_FORMAT(kQ5_K)
    WEFT_WITH_FORMAT(kQ6_K)
    WEFT_WITH_FORMAT(kIQ4_XS)
    WEFT_WITH_FORMAT(kIQ4_NL)
    WEFT_WITH_FORMAT(kMXFP4)
    case WeightFormat::kF64:
    case WeightFormat::kI8:
    case WeightFormat::kI16:
    case WeightFormat::kI32:
    case WeightFormat::kI64: break;
  }
#undef WEFT_WITH_FORMAT
  return Status(StatusCode::kUnsupported,
                std::string(what) + " on a device do not read " + block_layout(format).name);
}

}  // namespace weft::device
#endif
