// What `weft bench kernels embedding` measures: 512 tokens of a table as wide as a small decoder's, in every format of a file.
#include "kernels/bench/kernel_case.h"
#include "kernels/ops/embedding/embedding.h"
#include "kernels/quant/dequantize.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<KernelCase> embedding_cases() {
  constexpr int64_t kRows = 4096, kWidth = 1024, kTokens = 512;
  std::vector<KernelCase> cases;
  for (int f = 0; f < kWeightFormatCount; ++f) {
    const auto format = static_cast<WeightFormat>(f);
    KernelCase c;
    c.name = std::string(block_layout(format).name) + " " + std::to_string(kTokens) + " of " +
             std::to_string(kRows) + " x " + std::to_string(kWidth);
    c.bytes = static_cast<double>(kTokens * (weights_bytes(format, kWidth) + 4 * kWidth));
    const char* type = format == WeightFormat::kF32    ? "f32"
                       : format == WeightFormat::kF16  ? "f16"
                       : format == WeightFormat::kBF16 ? "bf16"
                                                       : nullptr;
    if (type)
      c.peer_work = std::string("embedding ") + type + " tokens=" + std::to_string(kTokens) +
                    " rows=" + std::to_string(kRows) + " width=" + std::to_string(kWidth);
    c.make = [format](Executor) -> KernelRun {
      testing::Random random(2);
      std::vector<int32_t> tokens(kTokens);
      for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(kRows));
      return [format, tokens, data = testing::repeated_weights(format, kRows * kWidth, 1),
              y = std::vector<float>(kTokens * kWidth)](Executor executor) mutable {
        (void)embedding({format, data.data(), kRows, kWidth}, tokens, 1, y.data(), executor);
      };
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
