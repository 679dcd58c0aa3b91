// What `weft bench kernels rope` measures: the rotation of a prompt's queries and keys in place.
#include "kernels/bench/kernel_case.h"
#include "kernels/ops/rope/rope.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> rope_cases() {
  std::vector<KernelCase> cases;
  constexpr int64_t kRows = 512, kHeads = 12, kHeadDim = 64, kRow = kHeads * kHeadDim;
  for (const RopeLayout layout : {RopeLayout::kInterleaved, RopeLayout::kHalves}) {
    KernelCase c;
    c.name = std::string(layout == RopeLayout::kInterleaved ? "interleaved" : "halves") + " 512 x 12 x 64";
    c.bytes = 8.0 * kRows * kRow;
    c.operations = 3.0 * kRows * kRow;
    c.make = [layout](Executor) -> KernelRun {
      RopeConfig config;
      config.layout = layout;
      config.n_rotated = kHeadDim;
      std::vector<double> frequencies(kHeadDim / 2);
      const float magnitude = rope_frequencies(config, nullptr, frequencies.data());
      std::vector<float> turns(kHeadDim);
      rope_cos_sin(frequencies.data(), kHeadDim, magnitude, 100, turns.data());
      return [layout, turns, x = testing::random_normal(kRows * kRow, 1)](Executor executor) mutable {
        executor.parallel_for(kRows, 16, [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r)
            rope_heads(layout, kHeadDim, turns.data(), x.data() + r * kRow, kHeads, kHeadDim);
        });
      };
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
