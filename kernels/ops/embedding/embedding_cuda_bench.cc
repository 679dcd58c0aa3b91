// What `weft bench kernels embedding --device` measures: a prompt's rows of a table.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"
#include "kernels/quant/dequantize.h"

namespace weft {

std::vector<DeviceCase> embedding_device_cases() {
  std::vector<DeviceCase> cases;
  constexpr int64_t kCount = 2048, kWidth = 4096, kVocabulary = 32000;
  for (const WeightFormat format : {WeightFormat::kQ4_K, WeightFormat::kBF16}) {
    DeviceCase c;
    c.name = std::string(block_layout(format).name) + " " + std::to_string(kCount) + " x " +
             std::to_string(kWidth);
    c.bytes = static_cast<double>(kCount * (weights_bytes(format, kWidth) + 4 * kWidth));
    c.make = [format](const DeviceStream& stream) -> Result<DeviceRun> {
      auto memory = DeviceOperands::allocate(
          stream, {kVocabulary * weights_bytes(format, kWidth), kCount * 4, kCount * kWidth * 4});
      if (!memory.ok()) return memory.status();
      std::vector<int32_t> tokens(static_cast<size_t>(kCount));
      for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 7919 % kVocabulary);
      if (Status filled = memory->fill(stream, 1, tokens); !filled.ok()) return filled;
      return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
        return stream.device()->ops().embedding({.table = {format, m->at(0, i), kVocabulary, kWidth},
                                                 .tokens = m->as<int32_t>(1, i),
                                                 .y = m->as<float>(2, i),
                                                 .count = kCount},
                                                stream);
      });
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
