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

float read_weight(WeightFormat format, const void* src, int64_t index) {
  const uint8_t* bytes = static_cast<const uint8_t*>(src);
  if (format == WeightFormat::kF32) {
    float value;
    std::memcpy(&value, bytes + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes + 2 * index, 2);
  return format == WeightFormat::kF16 ? f32_from_f16_bits(bits) : f32_from_bf16_bits(bits);
}

void PackedGroup::put(int lane, int64_t k, float value) const {
  if (compute == DType::kF32) static_cast<float*>(data)[f32_index(lane, k)] = value;
  else static_cast<uint16_t*>(data)[bf16_index(lane, k)] = bf16_bits(value);
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
  if (compute != DType::kF32 && compute != DType::kBF16) {
    return Status(StatusCode::kUnsupported, "dense products are computed in f32 or bf16 only")
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
      uint8_t* group = static_cast<uint8_t*>(dst) + g * bytes;
      std::memset(group, 0, static_cast<size_t>(bytes));
      const dense::PackedGroup packed{shape.compute, group};
      for (int lane = 0; lane < dense::kGroup; ++lane) {
        const int64_t row = source_row(shape, g, lane);
        if (row < 0) continue;
        for (int64_t k = 0; k < shape.k; ++k)
          packed.put(lane, k, dense::read_weight(format, src, row * shape.k + k));
      }
    }
  });
  return {};
}

}  // namespace weft
