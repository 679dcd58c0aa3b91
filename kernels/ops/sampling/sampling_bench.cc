// What `weft bench kernels sampling` measures: one token from the vocabularies of SmolLM2 and Gemma 3.
#include "kernels/bench/kernel_case.h"
#include "kernels/ops/sampling/sampling.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> sampling_cases() {
  SamplingParameters greedy, no_top_k, plain;
  greedy.temperature = 0;
  no_top_k.top_k = 0;
  plain.top_k = 0;
  plain.top_p = 1;
  plain.min_p = 0;
  struct Named {
    const char* name;
    SamplingParameters parameters;
  };
  std::vector<KernelCase> cases;
  for (const Named& named : {Named{"greedy", greedy}, Named{"defaults", {}},
                             Named{"top-p and min-p alone", no_top_k}, Named{"temperature alone", plain}}) {
    for (const int64_t vocabulary : {49152, 262144}) {
      KernelCase c;
      c.name = std::string(named.name) + " of " + std::to_string(vocabulary);
      c.bytes = 4.0 * static_cast<double>(vocabulary);
      c.make = [parameters = named.parameters, vocabulary](Executor) -> KernelRun {
        std::vector<float> logits = testing::random_normal(vocabulary, 1);
        for (float& logit : logits) logit *= 3;
        return [parameters, logits, step = uint64_t{0},
                workspace = std::vector<std::byte>(
                    static_cast<size_t>(sampling_workspace_bytes(vocabulary, 0)))](Executor) mutable {
          (void)sample(parameters, {logits, {}, {}, step++}, workspace);
        };
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
