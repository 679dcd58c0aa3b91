#include "kernels/ops/gemm/quantized_gemm.h"

#include <algorithm>

#include "kernels/ops/gemm/dense_rows.h"
#include "kernels/ops/gemm/dense_steps.h"

namespace weft {
namespace {

constexpr int64_t kRows = 256;  // at a time: enough that weights are read rarely, so few that sums stay near

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t outputs(const QuantizedGemm& g) {
  int64_t n = 0;
  for (const PackedMatrix& part : g.parts) n += part.n;
  return n;
}

struct Share {
  int64_t begin, end;
};
Share share(int64_t count, const Team& team) {
  return {dense::share_begin(count, team.thread(), team.n_threads()),
          dense::share_begin(count, team.thread() + 1, team.n_threads())};
}

uint8_t* element(const TensorView& view, int64_t row) {
  return view.as<uint8_t>() + row * view.strides[0] * size_bytes(view.dtype);
}

/// One thread's way through a product.
class Product {
 public:
  Product(const QuantizedGemm& g, Team team, IsaLevel level)
      : g_(g),
        team_(team),
        level_(level),
        rows_(WEFT_ISA_BODY_WITH_BF16_AND_AMX(kDenseRowBodies, level)),
        n_(outputs(g)),
        k_(g.a.shape[1]) {
    const int64_t most = std::min(kRows, g.a.shape[0]);
    wide_ = reinterpret_cast<float*>(g.scratch);
    rounded_ = g.scratch + aligned(most * k_ * 4);
    sums_ = reinterpret_cast<float*>(rounded_ + aligned(activations_bytes(most, k_)));
  }

  void run() {
    const int64_t m = g_.a.shape[0];
    for (int64_t first = 0; first < m; first += kRows) {
      const int64_t count = std::min(kRows, m - first);
      multiply(first, count);
      finish(first, count);
    }
    team_.barrier();
  }

 private:
  void multiply(int64_t first, int64_t count) {
    Activations a = {.x = reinterpret_cast<const float*>(element(g_.a, first)),
                     .m = count,
                     .k = k_,
                     .x_stride = g_.a.strides[0],
                     .scratch = rounded_};
    if (g_.a.dtype != DType::kF32) {
      const Share own = share(count, team_);
      for (int64_t row = own.begin; row < own.end; ++row)
        dense::to_f32(rows_, element(g_.a, first + row), g_.a.dtype, k_, wide_ + row * k_);
      a.x = wide_;
      a.x_stride = k_;
      team_.barrier();
    }
    if (team_.thread() == 0) g_.work->reset(team_.n_threads());
    quantize_activations_share(a, team_.thread(), team_.n_threads(), level_);
    team_.barrier();
    MatmulTerm terms[kMostQuantizedParts];
    int64_t column = 0;
    for (size_t i = 0; i < g_.parts.size(); ++i) {
      terms[i] = {.w = &g_.parts[i], .y = sums_ + column, .y_stride = n_, .bias = nullptr};
      column += g_.parts[i].n;
    }
    matmul_share(a, terms, static_cast<int>(g_.parts.size()), *g_.work, team_.thread(), team_.n_threads(),
                 level_);
    team_.barrier();
  }

  void finish(int64_t first, int64_t count) {
    const Share own = share(count, team_);
    const bool gated = g_.pairing == GemmPairing::kValueGate;
    const int64_t width = gated ? n_ / 2 : n_;
    RowsOutput rows = {};
    rows.n_rows = own.end - own.begin;
    rows.count = width;
    rows.sums = sums_ + own.begin * n_;
    rows.sums_stride = n_;
    rows.bias = g_.bias;
    if (gated) rows.gates = rows.sums + width;
    if (gated && g_.bias != nullptr) rows.gate_bias = g_.bias + width;
    if (g_.residual.rank != 0) rows.residual = element(g_.residual, first + own.begin);
    rows.residual_stride = g_.residual.strides[0];
    rows.out = element(g_.c, first + own.begin);
    rows.out_stride = g_.c.strides[0];
    rows.residual_type = dense::panel_element(g_.residual.dtype);
    rows.out_type = dense::panel_element(g_.c.dtype);
    rows.activation = dense::activation_number(g_.activation);
    if (rows.n_rows > 0) rows_.finish(rows);
  }

  const QuantizedGemm& g_;
  Team team_;
  IsaLevel level_;
  const DenseRowBodies& rows_;
  int64_t n_, k_;
  float* wide_;
  std::byte* rounded_;
  float* sums_;
};

}  // namespace

int64_t quantized_gemm_scratch_bytes(int64_t m, int64_t n, int64_t k) {
  const int64_t rows = std::min(kRows, m);
  return aligned(rows * k * 4) + aligned(activations_bytes(rows, k)) + aligned(rows * n * 4);
}

void quantized_gemm_team(const QuantizedGemm& g, Team team, IsaLevel level) {
  if (g.a.shape[0] > 0) Product(g, team, level).run();
}

}  // namespace weft
