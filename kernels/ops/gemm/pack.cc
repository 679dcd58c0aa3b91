#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/ops/gemm/dense_pack.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/tensor_checks.h"

namespace weft {

namespace dense {

bool reads_format(WeightFormat format) {
  return format == WeightFormat::kF32 || format == WeightFormat::kF16 || format == WeightFormat::kBF16;
}

namespace {

template <WeightFormat kFormat>
float read(const uint8_t* bytes, int64_t index) {
  if constexpr (kFormat == WeightFormat::kF32) {
    float value;
    std::memcpy(&value, bytes + 4 * index, 4);
    return value;
  } else {
    uint16_t bits;
    std::memcpy(&bits, bytes + 2 * index, 2);
    return kFormat == WeightFormat::kF16 ? f32_from_f16_bits(bits) : f32_from_bf16_bits(bits);
  }
}

template <WeightFormat kFormat, DType kCompute>
void put(uint8_t* group, int lane, int64_t k, const uint8_t* row, int64_t index) {
  if constexpr (kCompute == DType::kF32) {
    reinterpret_cast<float*>(group)[plain_index(lane, k)] = read<kFormat>(row, index);
  } else {
    constexpr bool kIsF16 = kCompute == DType::kF16;
    uint16_t* to = reinterpret_cast<uint16_t*>(group) + (kIsF16 ? plain_index(lane, k) : bf16_index(lane, k));
    if constexpr (kFormat == (kIsF16 ? WeightFormat::kF16 : WeightFormat::kBF16))
      std::memcpy(to, row + 2 * index, 2);
    else *to = kIsF16 ? f16_bits(read<kFormat>(row, index)) : bf16_bits(read<kFormat>(row, index));
  }
}

// Channels that all outputs of a group are packed of in turn: what they become stays in the first-level cache.
constexpr int64_t kChannelsAtOnce = 64;

template <WeightFormat kFormat, DType kCompute>
void pack_group_of(const GroupSource& s, uint8_t* group) {
  for (int64_t first = 0; first < s.channels; first += kChannelsAtOnce) {
    const int64_t last = std::min(first + kChannelsAtOnce, s.channels);
    for (int lane = 0; lane < kGroup; ++lane) {
      const uint8_t* row = s.rows[lane];
      if (row == nullptr) continue;
      if (s.taps == 1) {
        for (int64_t c = first; c < last; ++c) put<kFormat, kCompute>(group, lane, c, row, c);
        continue;
      }
      for (int64_t c = first; c < last; ++c) {
        for (int64_t tap = 0; tap < s.taps; ++tap)
          put<kFormat, kCompute>(group, lane, tap * s.tap_k + c, row, c * s.taps + tap);
      }
    }
  }
}

template <DType kCompute>
void pack_group_from(const GroupSource& s, void* to) {
  uint8_t* group = static_cast<uint8_t*>(to);
  switch (s.format) {
    case WeightFormat::kF32: return pack_group_of<WeightFormat::kF32, kCompute>(s, group);
    case WeightFormat::kF16: return pack_group_of<WeightFormat::kF16, kCompute>(s, group);
    default:
      return pack_group_of<WeightFormat::kBF16, kCompute>(s, group);  // check_packing() refuses the others
  }
}

}  // namespace

void pack_group(DType compute, const GroupSource& source, int64_t bytes, void* group) {
  std::memset(group, 0, static_cast<size_t>(bytes));
  if (compute == DType::kF32) pack_group_from<DType::kF32>(source, group);
  else if (compute == DType::kF16) pack_group_from<DType::kF16>(source, group);
  else pack_group_from<DType::kBF16>(source, group);
}

float read_weight(WeightFormat format, const void* src, int64_t index) {
  const uint8_t* bytes = static_cast<const uint8_t*>(src);
  switch (format) {
    case WeightFormat::kF32: return read<WeightFormat::kF32>(bytes, index);
    case WeightFormat::kF16: return read<WeightFormat::kF16>(bytes, index);
    default: return read<WeightFormat::kBF16>(bytes, index);
  }
}

Status check_packing(WeightFormat format, const void* src, const void* dst) {
  if (!reads_format(format)) {
    return Status(StatusCode::kUnsupported, "dense weights cannot be packed from this format")
        .expected("F32, F16 or BF16")
        .got(block_layout(format).name);
  }
  if (src == nullptr || dst == nullptr || !is_aligned(dst, kGemmAlignment)) {
    return Status(StatusCode::kInvalidArgument, "memory of weights to pack is null or not aligned")
        .expected("a destination divisible by " + std::to_string(kGemmAlignment));
  }
  return {};
}

Result<int64_t> packed_bytes(DType compute, int64_t n_groups, int64_t k) {
  if (compute != DType::kF32 && compute != DType::kBF16 && compute != DType::kF16) {
    return Status(StatusCode::kUnsupported, "dense products are computed in f32, bf16 or f16 only")
        .got("type " + std::to_string(static_cast<int>(compute)));
  }
  constexpr int64_t kMostBytes = int64_t{1} << 62;
  constexpr int64_t kMostK = kMostBytes / (4 * kGroup) - kPadding;
  if (k > kMostK || n_groups > kMostBytes / (4 * kGroup * round_up(k, kPadding)))
    return Status(StatusCode::kOutOfRange, "packed weights would exceed 2^62 bytes");
  return n_groups * group_bytes(compute, k);
}

}  // namespace dense

namespace {

/// Row of W that stands in `lane` of packed group `group`, or -1: a lane that only fills up.
int64_t source_row(const GemmShape& shape, int64_t group, int lane) {
  using dense::kGroup, dense::kPairedGroups;
  if (shape.pairing == GemmPairing::kNone) {
    const int64_t row = group * kGroup + lane;
    return row < shape.n ? row : -1;
  }
  const int64_t half = shape.n / 2, pair = group / (2 * kPairedGroups);
  const int64_t groups = std::min<int64_t>(kPairedGroups, dense::n_groups(shape) / 2 - pair * kPairedGroups);
  const int64_t within = group - pair * 2 * kPairedGroups;
  const int64_t row = (pair * kPairedGroups + within % groups) * kGroup + lane;
  return row < half ? row + within / groups * half : -1;
}

}  // namespace

Result<int64_t> gemm_packed_bytes(const GemmShape& shape) {
  if (shape.n < 1 || shape.k < 1 || (shape.pairing == GemmPairing::kValueGate && shape.n % 2 != 0)) {
    return Status(StatusCode::kInvalidShape, "a weight matrix has an impossible shape")
        .expected("at least one row and column, an even number of rows if half of them are gates")
        .got("[" + std::to_string(shape.n) + ", " + std::to_string(shape.k) + "]");
  }
  return dense::packed_bytes(shape.compute, dense::n_groups(shape), shape.k);
}

Status pack_gemm_weights(const GemmShape& shape, WeightFormat format, const void* src, void* dst,
                         Executor executor) {
  Result<int64_t> size = gemm_packed_bytes(shape);
  if (!size.ok()) return size.status();
  if (Status status = dense::check_packing(format, src, dst); !status.ok()) return status;
  const int64_t bytes = dense::group_bytes(shape.compute, shape.k);
  executor.parallel_for(dense::n_groups(shape), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      dense::GroupSource source = {.format = format, .rows = {}, .channels = shape.k, .taps = 1, .tap_k = 0};
      for (int lane = 0; lane < dense::kGroup; ++lane) {
        const int64_t row = source_row(shape, g, lane);
        if (row >= 0)
          source.rows[lane] = static_cast<const uint8_t*>(src) + row * shape.k * block_layout(format).bytes;
      }
      dense::pack_group(shape.compute, source, bytes, static_cast<uint8_t*>(dst) + g * bytes);
    }
  });
  return {};
}

}  // namespace weft
