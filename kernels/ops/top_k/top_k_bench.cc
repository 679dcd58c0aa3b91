// What `weft bench kernels top_k` measures: the vocabularies of SmolLM2 and Gemma 3.
#include "kernels/bench/kernel_case.h"
#include "kernels/ops/top_k/top_k.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> top_k_cases() {
  std::vector<KernelCase> cases;
  for (const int64_t n : {49152, 262144}) {
    for (const size_t k : {1, 40, 1000}) {
      KernelCase c;
      c.name = std::to_string(k) + " of " + std::to_string(n);
      c.bytes = 4.0 * static_cast<double>(n);
      c.peer_work = "top_k f32 n=" + std::to_string(n) + " k=" + std::to_string(k);
      c.make = [n, k](Executor) -> KernelRun {
        return [x = testing::random_normal(n, 1), top = std::vector<RankedValue>(k)](Executor) mutable {
          (void)top_k(x, top);
        };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
