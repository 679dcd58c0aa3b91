// What `weft bench kernels sampling --device` measures: the tokens of one and of 32 sequences.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"
#include "kernels/ops/sampling/device_draws.h"
#include "kernels/testing/random.h"

namespace weft {

std::vector<DeviceCase> sampling_device_cases() {
  constexpr int64_t kCols = 128256;
  SamplingParameters no_top_k, plain;
  no_top_k.top_k = 0;
  plain.top_k = 0;
  plain.top_p = 1;
  plain.min_p = 0;
  struct Named {
    const char* name;
    SamplingParameters parameters;
  };
  std::vector<DeviceCase> cases;
  for (const Named& named :
       {Named{"defaults", {}}, Named{"top-p and min-p", no_top_k}, Named{"temperature", plain}}) {
    for (const int64_t rows : {1, 32}) {
      DeviceCase c;
      c.name = std::string(named.name) + ", " + std::to_string(rows) + " x " + std::to_string(kCols);
      c.bytes = 4.0 * static_cast<double>(rows * kCols);
      c.make = [parameters = named.parameters, rows](const DeviceStream& stream) -> Result<DeviceRun> {
        DeviceDraws draws(kCols);
        for (int64_t row = 0; row < rows; ++row) {
          SamplingInput input;
          input.step = static_cast<uint64_t>(row);
          draws.add(static_cast<int32_t>(row), parameters, input);
        }
        std::vector<std::byte> written(static_cast<size_t>(draws.size_bytes()));
        draws.write(written.data());
        auto memory = DeviceOperands::allocate(stream, {rows * kCols * 4, draws.size_bytes(), rows * 4});
        if (!memory.ok()) return memory.status();
        std::vector<float> logits = testing::random_normal(rows * kCols, 1);
        for (float& logit : logits) logit *= 3;
        if (Status filled = memory->fill(stream, 0, logits); !filled.ok()) return filled;
        if (Status filled = memory->fill(stream, 1, written); !filled.ok()) return filled;
        return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
          return stream.device()->ops().sampling(
              draws.at(m->at(1, i), m->as<float>(0, i), m->as<int32_t>(2, i)), stream);
        });
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace weft
