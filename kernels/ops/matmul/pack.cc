#include <cstring>
#include <string>

#include "kernels/ops/matmul/matmul.h"
#include "kernels/ops/matmul/packed_layout.h"

namespace weft {
namespace {

using enum WeightFormat;

/// Where one row's scales of one step go: its lane's element in each array of packed_layout.h.
struct ScaleTarget {
  uint8_t* header;  // of the superblock; null for formats without
  uint8_t* step;
  int lane;

  void copy_f16(uint8_t* array, const uint8_t* half) const { std::memcpy(array + 2 * lane, half, 2); }
  void put(int array, int value) const { step[16 * array + lane] = static_cast<uint8_t>(value); }
};

void read_nibbles(const uint8_t* qs, uint8_t* code) {
  for (int i = 0; i < 16; ++i) {
    code[i] = qs[i] & 15;
    code[i + 16] = qs[i] >> 4;
  }
}

void add_fifth_bits(const uint8_t* qh, uint8_t* code) {
  uint32_t high;
  std::memcpy(&high, qh, 4);
  for (int i = 0; i < 32; ++i) code[i] = static_cast<uint8_t>(code[i] | (high >> i & 1) << 4);
}

/// The 6-bit scale and minimum number j of Q4_K and Q5_K.
void put_k_scales(const uint8_t* q, int j, const ScaleTarget& to) {
  to.put(0, j < 4 ? q[j] & 63 : (q[j + 4] & 15) | q[j - 4] >> 6 << 4);
  to.put(1, j < 4 ? q[j + 4] & 63 : q[j + 4] >> 4 | q[j] >> 6 << 4);
}

/// Codes and scales of step s (0 for blocks of 32, 0 to 7 for superblocks) of one row's block, as the file
/// stores them: see quant/dequantize.cc for the block structures.
template <WeightFormat kFormat>
void read_step(const uint8_t* b, int s, uint8_t* code, const ScaleTarget& to) {
  const int half = s / 4, quarter = s % 4;
  if constexpr (kFormat == kQ4_0 || kFormat == kIQ4_NL) {
    to.copy_f16(to.step, b);
    read_nibbles(b + 2, code);
  } else if constexpr (kFormat == kQ4_1) {
    to.copy_f16(to.step, b);
    to.copy_f16(to.step + 32, b + 2);
    read_nibbles(b + 4, code);
  } else if constexpr (kFormat == kQ5_0) {
    to.copy_f16(to.step, b);
    read_nibbles(b + 6, code);
    add_fifth_bits(b + 2, code);
  } else if constexpr (kFormat == kQ5_1) {
    to.copy_f16(to.step, b);
    to.copy_f16(to.step + 32, b + 2);
    read_nibbles(b + 8, code);
    add_fifth_bits(b + 4, code);
  } else if constexpr (kFormat == kQ8_0) {
    to.copy_f16(to.step, b);
    for (int i = 0; i < 32; ++i) code[i] = b[2 + i] ^ 0x80;
  } else if constexpr (kFormat == kMXFP4) {
    to.put(0, b[0]);
    read_nibbles(b + 1, code);
  } else if constexpr (kFormat == kQ2_K) {
    to.copy_f16(to.header, b + 80);
    to.copy_f16(to.header + 32, b + 82);
    to.put(0, b[2 * s]);
    to.put(1, b[2 * s + 1]);
    for (int i = 0; i < 32; ++i) code[i] = b[16 + 32 * half + i] >> (2 * quarter) & 3;
  } else if constexpr (kFormat == kQ3_K) {
    const uint8_t* scales = b + 96;
    to.copy_f16(to.header, b + 108);
    for (int h = 0; h < 2; ++h) {
      const int j = 2 * s + h;
      const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
      to.put(h, (low | (scales[8 + j % 4] >> (2 * (j / 4)) & 3) << 4) - 32);
    }
    for (int i = 0; i < 32; ++i) {
      code[i] = static_cast<uint8_t>((b[32 + 32 * half + i] >> (2 * quarter) & 3) | (b[i] >> s & 1) << 2);
    }
  } else if constexpr (kFormat == kQ4_K || kFormat == kQ5_K) {
    constexpr int kNibbles = kFormat == kQ4_K ? 16 : 48;
    to.copy_f16(to.header, b);
    to.copy_f16(to.header + 32, b + 2);
    put_k_scales(b + 4, s, to);
    for (int i = 0; i < 32; ++i) code[i] = b[kNibbles + s / 2 * 32 + i] >> (4 * (s % 2)) & 15;
    if constexpr (kFormat == kQ5_K) {
      for (int i = 0; i < 32; ++i) code[i] = static_cast<uint8_t>(code[i] | (b[16 + i] >> s & 1) << 4);
    }
  } else if constexpr (kFormat == kQ6_K) {
    to.copy_f16(to.header, b + 208);
    to.put(0, b[192 + 2 * s]);
    to.put(1, b[192 + 2 * s + 1]);
    for (int i = 0; i < 32; ++i) {
      const int low = b[64 * half + 32 * (quarter & 1) + i] >> (4 * (quarter >> 1)) & 15;
      const int high = b[128 + 32 * half + i] >> (2 * quarter) & 3;
      code[i] = static_cast<uint8_t>(low | high << 4);
    }
  } else {
    static_assert(kFormat == kIQ4_XS);
    uint16_t scales_high;
    std::memcpy(&scales_high, b + 2, 2);
    to.copy_f16(to.header, b);
    to.put(0, ((b[4 + s / 2] >> (4 * (s % 2)) & 15) | (scales_high >> (2 * s) & 3) << 4) - 32);
    read_nibbles(b + 8 + 16 * s, code);
  }
}

// Planes out of the codes of 16 rows; codes: [8][64] as in packed_layout.h.
void put_nibbles(const uint8_t (*codes)[kPlane], uint8_t* planes) {
  for (int i = 0; i < 4; ++i) {
    for (int p = 0; p < kPlane; ++p)
      planes[i * kPlane + p] = static_cast<uint8_t>((codes[i][p] & 15) | codes[i + 4][p] << 4);
  }
}

void put_bits(const uint8_t (*codes)[kPlane], int at, uint8_t* plane) {
  for (int p = 0; p < kPlane; ++p) {
    int bits = 0;
    for (int v = 0; v < 8; ++v) bits |= (codes[v][p] >> at & 1) << v;
    plane[p] = static_cast<uint8_t>(bits);
  }
}

void put_pairs(const uint8_t (*codes)[kPlane], int at, uint8_t* planes) {
  for (int i = 0; i < 2; ++i) {
    for (int p = 0; p < kPlane; ++p) {
      int pairs = 0;
      for (int f = 0; f < 4; ++f) pairs |= (codes[4 * i + f][p] >> at & 3) << (2 * f);
      planes[i * kPlane + p] = static_cast<uint8_t>(pairs);
    }
  }
}

template <WeightFormat kFormat>
void put_codes(const uint8_t (*codes)[kPlane], uint8_t* quants) {
  if constexpr (kFormat == kQ8_0) {
    std::memcpy(quants, codes, 8 * kPlane);
  } else if constexpr (kFormat == kQ2_K) {
    put_pairs(codes, 0, quants);
  } else if constexpr (kFormat == kQ3_K) {
    put_pairs(codes, 0, quants);
    put_bits(codes, 2, quants + 2 * kPlane);
  } else {
    put_nibbles(codes, quants);
    if constexpr (kFormat == kQ5_0 || kFormat == kQ5_1 || kFormat == kQ5_K)
      put_bits(codes, 4, quants + 4 * kPlane);
    if constexpr (kFormat == kQ6_K) put_pairs(codes, 4, quants + 4 * kPlane);
  }
}

/// rows: the file's first row of the group; `lanes` of them exist, the others are zero.
template <WeightFormat kFormat>
void pack_quantised_group(const uint8_t* rows, int lanes, int64_t k, uint8_t* group) {
  constexpr BlockLayout kBlock = block_layout(kFormat);
  constexpr QuantLayout kLayout = quant_layout(kFormat);
  constexpr int kStepsPerBlock = kBlock.elements / kStep;
  const int64_t row_bytes = k / kBlock.elements * kBlock.bytes;
  const int64_t bytes = group_bytes(kFormat, k);
  uint8_t* scales = group + k / kStep * kLayout.quant_bytes;
  std::memset(scales, 0, static_cast<size_t>(group + bytes - scales));
  uint8_t codes[8][kPlane] = {};
  for (int64_t step = 0; step < k / kStep; ++step) {
    const int64_t block = step / kStepsPerBlock;
    uint8_t* header = nullptr;
    if (kLayout.header_bytes != 0 && step % kStepsPerSuperblock == 0) scales += kLayout.header_bytes;
    if constexpr (kLayout.header_bytes != 0) {
      header = scales - step % kStepsPerSuperblock * kLayout.scale_bytes - kLayout.header_bytes;
    }
    for (int lane = 0; lane < lanes; ++lane) {
      uint8_t code[kStep];
      read_step<kFormat>(rows + lane * row_bytes + block * kBlock.bytes,
                         static_cast<int>(step % kStepsPerBlock), code, ScaleTarget{header, scales, lane});
      for (int v = 0; v < 8; ++v) std::memcpy(codes[v] + 4 * lane, code + 4 * v, 4);
    }
    put_codes<kFormat>(codes, group + step * kLayout.quant_bytes);
    scales += kLayout.scale_bytes;
  }
}

template <typename T>
void pack_float_group(const uint8_t* rows, int lanes, int64_t k, uint8_t* group) {
  T* out = reinterpret_cast<T*>(group);
  for (int64_t i = 0; i < k; ++i) {
    for (int lane = 0; lane < kGroupRows; ++lane) {
      T value = 0;
      if (lane < lanes)
        std::memcpy(&value, rows + (lane * k + i) * static_cast<int64_t>(sizeof(T)), sizeof(T));
      out[i * kGroupRows + lane] = value;
    }
  }
}

using PackGroup = void (*)(const uint8_t* rows, int lanes, int64_t k, uint8_t* group);

PackGroup pack_group_of(WeightFormat format) {
  switch (format) {
    case kF32: return pack_float_group<uint32_t>;
    case kF16:
    case kBF16: return pack_float_group<uint16_t>;
    case kQ4_0: return pack_quantised_group<kQ4_0>;
    case kQ4_1: return pack_quantised_group<kQ4_1>;
    case kQ5_0: return pack_quantised_group<kQ5_0>;
    case kQ5_1: return pack_quantised_group<kQ5_1>;
    case kQ8_0: return pack_quantised_group<kQ8_0>;
    case kQ2_K: return pack_quantised_group<kQ2_K>;
    case kQ3_K: return pack_quantised_group<kQ3_K>;
    case kQ4_K: return pack_quantised_group<kQ4_K>;
    case kQ5_K: return pack_quantised_group<kQ5_K>;
    case kQ6_K: return pack_quantised_group<kQ6_K>;
    case kIQ4_XS: return pack_quantised_group<kIQ4_XS>;
    case kIQ4_NL: return pack_quantised_group<kIQ4_NL>;
    case kMXFP4: return pack_quantised_group<kMXFP4>;
    default: return nullptr;
  }
}

std::string shape_text(int64_t n, int64_t k) {
  return "[" + std::to_string(n) + ", " + std::to_string(k) + "]";
}

}  // namespace

bool matmul_serves(WeightFormat format) { return is_float(format) || quant_layout(format).quant_bytes != 0; }

Result<int64_t> packed_size_bytes(WeightFormat format, int64_t n, int64_t k) {
  const BlockLayout block = block_layout(format);
  if (!matmul_serves(format)) {
    return Status(StatusCode::kUnsupported, "weights of this format cannot be multiplied")
        .expected("a float or block-quantised format")
        .got(block.name);
  }
  if (n < 1 || k < 1 || k % block.elements != 0) {
    return Status(StatusCode::kInvalidShape, "a weight matrix has a shape that its format does not allow")
        .expected(std::string("at least one row, columns in multiples of ") + std::to_string(block.elements) +
                  " for " + block.name)
        .got(shape_text(n, k));
  }
  constexpr int64_t kMostBytes = int64_t{1} << 62;
  // At most 6 bytes a weight in any format, and 16 rows a group.
  const int64_t n_groups = (n - 1) / kGroupRows + 1;
  if (k > kMostBytes / (6 * kGroupRows) || n_groups > kMostBytes / group_bytes(format, k)) {
    return Status(StatusCode::kOutOfRange, "a packed weight matrix would exceed 2^62 bytes")
        .got(shape_text(n, k));
  }
  return n_groups * group_bytes(format, k);
}

Status pack_matrix(WeightFormat format, int64_t n, int64_t k, const void* src, void* dst, Executor executor) {
  Result<int64_t> size = packed_size_bytes(format, n, k);
  if (!size.ok()) return size.status();
  const PackGroup pack_group = pack_group_of(format);
  const BlockLayout block = block_layout(format);
  const int64_t row_bytes = k / block.elements * block.bytes, bytes = group_bytes(format, k);
  executor.parallel_for((n + kGroupRows - 1) / kGroupRows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t first_row = g * kGroupRows;
      pack_group(static_cast<const uint8_t*>(src) + first_row * row_bytes,
                 static_cast<int>(n - first_row < kGroupRows ? n - first_row : kGroupRows), k,
                 static_cast<uint8_t*>(dst) + g * bytes);
    }
  });
  return {};
}

}  // namespace weft
