// What `weft bench kernels matmul --device` measures: products of one row with the matrices of a decoder of 7 billion weights
// and of SmolLM2, in the formats of their files, those of a batch, and the unpacking that comes before those of a prompt.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

DeviceCase product_case(WeightFormat format, int64_t m, int64_t n, int64_t k) {
  DeviceCase c;
  c.name = std::string(block_layout(format).name) + " " + std::to_string(m) + " x " + std::to_string(n) +
           " x " + std::to_string(k);
  const int64_t bytes = n * weights_bytes(format, k);
  c.bytes = static_cast<double>(bytes + 4 * m * (n + k));
  c.operations = 2.0 * static_cast<double>(m * n * k);
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    auto memory = DeviceOperands::allocate(stream, {bytes, m * k * 4, m * n * 4});
    if (!memory.ok()) return memory.status();
    return DeviceRun([=, operands = share(*std::move(memory))](int64_t i) {
      const DeviceOps& ops = stream.device()->ops();
      const std::byte* w = operands->at(0, i);
      const float* x = operands->as<float>(1, i);
      float* y = operands->as<float>(2, i);
      if (m > 16)
        return ops.matmul({.format = format, .w = w, .x = x, .y = y, .m = m, .n = n, .k = k}, stream);
      GemvCuda g;
      g.format = format, g.w = w, g.x = x, g.y = y;
      g.m = m, g.n = n, g.k = k;
      return ops.gemv(g, stream);
    });
  };
  return c;
}

DeviceCase unpack_case(WeightFormat format, int64_t count) {
  DeviceCase c;
  c.name = "unpack " + std::string(block_layout(format).name) + ", " + std::to_string(count);
  const int64_t bytes = weights_bytes(format, count);
  c.bytes = static_cast<double>(bytes + 2 * count);
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    auto memory = DeviceOperands::allocate(stream, {bytes, 2 * count});
    if (!memory.ok()) return memory.status();
    return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
      return stream.device()->ops().unpack({format, m->at(0, i), DType::kF16, m->at(1, i), count}, stream);
    });
  };
  return c;
}

}  // namespace

std::vector<DeviceCase> matmul_device_cases() {
  std::vector<DeviceCase> cases;
  for (const WeightFormat format :
       {WeightFormat::kQ4_0, WeightFormat::kQ4_1, WeightFormat::kQ4_K, WeightFormat::kQ5_K,
        WeightFormat::kQ6_K, WeightFormat::kQ8_0, WeightFormat::kF16, WeightFormat::kBF16})
    cases.push_back(product_case(format, 1, 11008, 4096));
  cases.push_back(product_case(WeightFormat::kQ4_K, 1, 4096, 4096));
  cases.push_back(product_case(WeightFormat::kQ6_K, 1, 4096, 11008 / 256 * 256));
  cases.push_back(product_case(WeightFormat::kQ4_1, 1, 1536, 576));
  cases.push_back(product_case(WeightFormat::kQ4_1, 1, 49152, 576));
  for (const int64_t m : {2, 4, 8, 16, 32})
    cases.push_back(product_case(WeightFormat::kQ4_K, m, 11008, 4096));
  for (const WeightFormat format : {WeightFormat::kQ4_K, WeightFormat::kF32})
    cases.push_back(unpack_case(format, 11008 * 4096));
  return cases;
}

}  // namespace weft
