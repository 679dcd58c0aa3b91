// What `weft bench kernels matmul --device` measures: products of one row with the matrices of decoders of 7 and 8 billion weights
// and of SmolLM2, in the formats of their files, those of a batch, the unpacking that comes before those of a prompt, and the making
// of tiles.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/weight_tiles.h"

namespace weft {
namespace {

DeviceCase product_case(WeightFormat format, int64_t m, int64_t n, int64_t k) {
  DeviceCase c;
  c.name = std::string(block_layout(format).name) + " " + std::to_string(m) + " x " + std::to_string(n) +
           " x " + std::to_string(k);
  const int64_t bytes = device_matrix_bytes(format, n, k);
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
      GemvCuda g;
      g.format = format, g.w = w, g.x = x, g.y = y;
      g.m = m, g.n = n, g.k = k;
      return ops.gemv(g, stream);
    });
  };
  return c;
}

/// m rows of x with plain weights, for more rows than gemv is for.
DeviceCase plain_case(WeightFormat format, int64_t m, int64_t n, int64_t k) {
  DeviceCase c = product_case(format, m, n, k);
  const int64_t bytes = n * weights_bytes(format, k);
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    auto memory = DeviceOperands::allocate(stream, {bytes, m * k * 4, m * n * 4});
    if (!memory.ok()) return memory.status();
    return DeviceRun([=, operands = share(*std::move(memory))](int64_t i) {
      return stream.device()->ops().matmul({.format = format,
                                            .w = operands->at(0, i),
                                            .x = operands->as<float>(1, i),
                                            .y = operands->as<float>(2, i),
                                            .m = m,
                                            .n = n,
                                            .k = k},
                                           stream);
    });
  };
  return c;
}

/// From `bytes` to `made` bytes of a matrix [n, k].
template <typename Call>
DeviceCase layout_case(std::string name, int64_t bytes, int64_t made, const Call& call) {
  DeviceCase c;
  c.name = std::move(name);
  c.bytes = static_cast<double>(bytes + made);
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    auto memory = DeviceOperands::allocate(stream, {bytes, made});
    if (!memory.ok()) return memory.status();
    return DeviceRun(
        [=, m = share(*std::move(memory))](int64_t i) { return call(stream, m->at(0, i), m->at(1, i)); });
  };
  return c;
}

DeviceCase unpack_case(WeightFormat format, int64_t n, int64_t k) {
  return layout_case(std::string("unpack ") + block_layout(format).name, device_matrix_bytes(format, n, k),
                     2 * n * k, [=](const DeviceStream& stream, const std::byte* from, std::byte* to) {
                       return stream.device()->ops().unpack({format, from, DType::kF16, to, n, k}, stream);
                     });
}
DeviceCase tile_case(WeightFormat format, int64_t n, int64_t k) {
  return layout_case(std::string("tiles ") + block_layout(format).name, n * weights_bytes(format, k),
                     device_matrix_bytes(format, n, k),
                     [=](const DeviceStream& stream, const std::byte* from, std::byte* to) {
                       return stream.device()->ops().tile_weights({format, from, to, n, k}, stream);
                     });
}

}  // namespace

std::vector<DeviceCase> matmul_device_cases() {
  std::vector<DeviceCase> cases;
  for (const WeightFormat format :
       {WeightFormat::kQ4_0, WeightFormat::kQ4_1, WeightFormat::kQ4_K, WeightFormat::kQ5_K,
        WeightFormat::kQ6_K, WeightFormat::kQ8_0, WeightFormat::kF16, WeightFormat::kBF16})
    cases.push_back(product_case(format, 1, 11008, 4096));
  // Of Llama 3 8B: queries, keys and values; the attention's output; gate or up; down; a part of the vocabulary.
  for (const int64_t n : {6144, 4096, 14336}) cases.push_back(product_case(WeightFormat::kQ4_K, 1, n, 4096));
  cases.push_back(product_case(WeightFormat::kQ6_K, 1, 4096, 14336));
  cases.push_back(product_case(WeightFormat::kQ6_K, 1, 32064, 4096));
  cases.push_back(product_case(WeightFormat::kQ4_1, 1, 1536, 576));
  cases.push_back(product_case(WeightFormat::kQ4_1, 1, 49152, 576));
  for (const int64_t m : {2, 4, 8, 16}) {
    cases.push_back(product_case(WeightFormat::kQ4_K, m, 11008, 4096));
    cases.push_back(product_case(WeightFormat::kQ4_K, m, 4096, 14336));
  }
  cases.push_back(plain_case(WeightFormat::kF32, 32, 4096, 4096));
  for (const WeightFormat format : {WeightFormat::kQ4_K, WeightFormat::kQ6_K, WeightFormat::kF32})
    cases.push_back(unpack_case(format, 11008, 4096));
  cases.push_back(tile_case(WeightFormat::kQ4_K, 11008, 4096));
  return cases;
}

}  // namespace weft
