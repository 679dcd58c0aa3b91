// What `weft bench kernels activation` measures: the gated activations of a prompt's MLP.
#include <algorithm>

#include "kernels/bench/kernel_case.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> activation_cases() {
  std::vector<KernelCase> cases;
  constexpr int64_t kCount = 512 * 1536;  // 786432
  struct Named {
    const char *name, *peer_work;
    Activation f;
  };
  for (const Named named :
       {Named{"SwiGLU", "gated f32 around=silu count=786432", Activation::kSilu},
        Named{"GeGLU, erf", "gated f32 around=gelu count=786432", Activation::kGelu},
        Named{"GeGLU, tanh", "gated f32 around=gelu_tanh count=786432", Activation::kGeluTanh}}) {
    KernelCase c;
    c.name = std::string(named.name) + " of 512 x 1536";
    c.bytes = 12.0 * kCount;
    c.peer_work = named.peer_work;
    c.make = [f = named.f](Executor) -> KernelRun {
      return [f, gate = testing::random_normal(kCount, 1), up = testing::random_normal(kCount, 2),
              y = std::vector<float>(kCount)](Executor executor) mutable {
        executor.parallel_for(kCount, 4096, [&](int64_t begin, int64_t end) {
          std::copy(gate.begin() + begin, gate.begin() + end, y.begin() + begin);
          activate_gated(f, y.data() + begin, up.data() + begin, end - begin);
        });
      };
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
