#include "kernels/ops/gemm/gemm.h"

#include <algorithm>
#include <string>

#include "kernels/ops/gemm/dense_pack.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

Status check_rows(const char* name, const TensorView& view) {
  if (view.shape[0] < 2 || view.strides[0] >= view.shape[1]) return {};
  return Status(StatusCode::kInvalidShape, std::string(name) + " has rows that overlap")
      .expected("a stride of at least " + std::to_string(view.shape[1]))
      .got(std::to_string(view.strides[0]));
}

Status check_matrix(const char* name, const TensorView& view, int64_t m, int64_t n) {
  if (Status status = check_float_view(name, view, 2); !status.ok()) return status;
  const TensorView expected = TensorView::contiguous(nullptr, view.dtype, {m, n});
  if (Status status = check_same_shape(name, view, expected); !status.ok()) return status;
  return check_rows(name, view);
}

/// sums[16] = the products of row `row` of A with one packed group.
void multiply_group(const Gemm& g, int64_t row, int64_t group, float* sums) {
  const GemmShape& shape = g.w.shape;
  const bool f32 = shape.compute == DType::kF32;
  const uint8_t* w =
      static_cast<const uint8_t*>(g.w.data) + group * dense::group_bytes(shape.compute, shape.k);
  std::fill(sums, sums + dense::kGroup, 0.0f);
  for (int64_t k = 0; k < shape.k; ++k) {
    const float a = load_element(g.a.data, g.a.dtype, row * g.a.strides[0] + k);
    for (int lane = 0; lane < dense::kGroup; ++lane) {
      if (f32) sums[lane] += a * reinterpret_cast<const float*>(w)[dense::f32_index(lane, k)];
      else sums[lane] += rounded_to_bf16(a) * load_element(w, DType::kBF16, dense::bf16_index(lane, k));
    }
  }
}

void finish_group(const Gemm& g, int64_t row, int64_t first, float* sums, float* gates, IsaLevel level) {
  const int64_t count = std::min<int64_t>(dense::kGroup, g.c.shape[1] - first);
  for (int64_t i = 0; g.bias && i < count; ++i) {
    sums[i] += g.bias[first + i];
    if (gates) gates[i] += g.bias[g.w.shape.n / 2 + first + i];
  }
  if (g.activation) activate(*g.activation, gates ? gates : sums, count, level);
  for (int64_t i = 0; i < count; ++i) {
    float y = gates ? sums[i] * gates[i] : sums[i];
    if (g.residual.rank != 0)
      y += load_element(g.residual.data, g.residual.dtype, row * g.residual.strides[0] + first + i);
    store_element(g.c.data, g.c.dtype, row * g.c.strides[0] + first + i, y);
  }
}

}  // namespace

int64_t gemm_scratch_bytes(uint32_t n_threads) { return n_threads * dense::kScratchBytes; }

Status check_gemm(const Gemm& g) {
  const GemmShape& shape = g.w.shape;
  Result<int64_t> size = gemm_packed_bytes(shape);
  if (!size.ok()) return size.status();
  const int64_t m = g.a.rank == 2 ? g.a.shape[0] : 0;
  const int64_t width = shape.pairing == GemmPairing::kNone ? shape.n : shape.n / 2;
  if (Status status = check_matrix("the input of a product", g.a, m, shape.k); !status.ok()) return status;
  if (Status status = check_matrix("the output of a product", g.c, m, width); !status.ok()) return status;
  if (g.residual.rank != 0) {
    Status status = check_matrix("the residual of a product", g.residual, m, width);
    if (!status.ok()) return status;
  }
  if (m == 0) return {};
  if (g.w.data == nullptr || !is_aligned(g.w.data, kGemmAlignment) || g.scratch == nullptr ||
      !is_aligned(g.scratch, kGemmAlignment)) {
    return Status(StatusCode::kInvalidArgument,
                  "packed weights or the scratch of a product are null or not aligned")
        .expected("addresses divisible by " + std::to_string(kGemmAlignment));
  }
  return {};
}

void gemm_share(const Gemm& g, uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const bool gated = g.w.shape.pairing == GemmPairing::kValueGate;
  const int64_t m = g.c.shape[0], groups = (g.c.shape[1] + dense::kGroup - 1) / dense::kGroup;
  for (int64_t at = m * groups * thread / n_threads; at < m * groups * (thread + 1) / n_threads; ++at) {
    const int64_t row = at / groups, group = at % groups;
    float sums[dense::kGroup], gates[dense::kGroup];
    multiply_group(g, row, gated ? 2 * group : group, sums);
    if (gated) multiply_group(g, row, 2 * group + 1, gates);
    finish_group(g, row, group * dense::kGroup, sums, gated ? gates : nullptr, level);
  }
}

Status gemm(const Gemm& g, Executor executor, IsaLevel level) {
  if (Status status = check_gemm(g); !status.ok()) return status;
  if (g.c.shape[0] == 0) return {};
  executor.run([&](Team team) { gemm_share(g, team.thread(), team.n_threads(), level); });
  return {};
}

const char* gemm_body_name(DType, IsaLevel level) {
  return level >= IsaLevel::kAvx512Vnni ? "avx512" : level >= IsaLevel::kAvx2 ? "avx2" : "scalar";
}

}  // namespace weft
