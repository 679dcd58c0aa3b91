// What `weft bench kernels norm` measures.
#include "kernels/bench/kernel_case.h"
#include "kernels/ops/norm/norm.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> norm_cases() {
  std::vector<KernelCase> cases;
  constexpr int64_t kRows = 512;
  for (const NormKind kind : {NormKind::kRms, NormKind::kLayer}) {
    for (const int64_t cols : {576, 4096}) {
      KernelCase c;
      c.name = std::string(kind == NormKind::kRms ? "rms " : "layer ") + std::to_string(kRows) + " x " +
               std::to_string(cols);
      c.bytes = 8.0 * kRows * static_cast<double>(cols);
      c.operations = (kind == NormKind::kRms ? 4.0 : 8.0) * kRows * static_cast<double>(cols);
      c.peer_work = std::string(kind == NormKind::kRms ? "rms_norm" : "layer_norm") +
                    " f32 rows=" + std::to_string(kRows) + " cols=" + std::to_string(cols);
      c.make = [kind, cols](Executor) -> KernelRun {
        return [kind, cols, x = testing::random_normal(kRows * cols, 1),
                weight = testing::random_normal(cols, 2),
                y = std::vector<float>(static_cast<size_t>(kRows * cols))](Executor executor) mutable {
          const Norm how{kind, weight.data(), kind == NormKind::kLayer ? weight.data() : nullptr, 1e-5f};
          (void)norm(how, x.data(), cols, y.data(), cols, kRows, cols, executor);
        };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
