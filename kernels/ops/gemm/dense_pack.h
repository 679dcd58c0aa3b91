/// Packing that ops/gemm and ops/convolution share; private to those two. The layout: dense_layout.h.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_PACK_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_PACK_H

#include "kernels/ops/gemm/dense_layout.h"
#include "kernels/ops/gemm/gemm.h"

namespace weft::dense {

/// Bytes of a group of 16 outputs.
constexpr int64_t group_bytes(DType compute, int64_t k) {
  return round_up(k, kPadding) * kGroup * size_bytes(compute);
}

constexpr int64_t n_groups(const GemmShape& shape) {
  if (shape.pairing == GemmPairing::kNone) return (shape.n - 1) / kGroup + 1;
  return ((shape.n / 2 - 1) / kGroup + 1) * 2;
}

/// Bytes of n_groups groups. Errors: kUnsupported, kOutOfRange. Precondition: both at least 1.
Result<int64_t> packed_bytes(DType compute, int64_t n_groups, int64_t k);

/// Whether weights of this format can be packed from src to dst. Errors: kUnsupported, kInvalidArgument.
Status check_packing(WeightFormat format, const void* src, const void* dst);

/// Weight number `index` of a file.
float read_weight(WeightFormat format, const void* src, int64_t index);

/// Where the weights of one group's 16 outputs are: channels * taps each, the taps of a channel adjacent.
struct GroupSource {
  WeightFormat format;
  const uint8_t* rows[kGroup];  // null: an output that only fills up
  int64_t channels;
  int64_t taps;   // 1 for a matrix
  int64_t tap_k;  // k from one tap to the next
};

/// Writes a group: group_bytes() of its k. k = tap * tap_k + channel.
void pack_group(DType compute, const GroupSource& source, int64_t bytes, void* group);

}  // namespace weft::dense
#endif
