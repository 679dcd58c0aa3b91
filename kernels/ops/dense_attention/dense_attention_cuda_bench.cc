// What `weft bench kernels dense_attention --device` measures: the attention of Stable Diffusion's UNet for two images of 512 x 512
// over pixels and over text, of SDXL's, of CLIP's text encoder and of an autoencoder.
#include <cmath>

#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {
namespace {

DeviceCase attention_case(DType dtype, int64_t batch, int64_t queries, int64_t keys, int64_t heads,
                          int64_t head_dim, AttentionMask mask = AttentionMask::kNone) {
  DeviceCase c;
  c.name = std::string(dtype == DType::kF32 ? "f32 " : "bf16 ") + std::to_string(batch) + "x" +
           std::to_string(queries) + "x" + std::to_string(keys) + " h" + std::to_string(heads) + "x" +
           std::to_string(head_dim) + (mask == AttentionMask::kCausal ? " causal" : "");
  const int64_t width = heads * head_dim, size = size_bytes(dtype);
  c.bytes = static_cast<double>(size * batch * width * 2 * (queries + keys));
  c.operations = 4.0 * static_cast<double>(batch * queries * keys * width);
  c.arithmetic = dtype == DType::kF32 ? Arithmetic::kF32 : Arithmetic::kBF16;
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    const int64_t of_queries = batch * queries * width * size, of_keys = batch * keys * width * size;
    auto memory = DeviceOperands::allocate(stream, {of_queries, of_keys, of_keys, of_queries});
    if (!memory.ok()) return memory.status();
    return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
      DenseAttentionCuda a;
      a.batch = batch, a.n_queries = queries, a.n_keys = keys, a.n_heads = heads, a.head_dim = head_dim;
      a.dtype = dtype, a.mask = mask;
      a.scale = 1 / std::sqrt(static_cast<float>(head_dim));
      a.q = {m->at(0, i), width, queries * width};
      a.k = {m->at(1, i), width, keys * width};
      a.v = {m->at(2, i), width, keys * width};
      a.y = {m->at(3, i), width, queries * width};
      return stream.device()->ops().dense_attention(a, stream);
    });
  };
  return c;
}

}  // namespace

std::vector<DeviceCase> dense_attention_device_cases() {
  constexpr DType kBF16 = DType::kBF16;
  return {attention_case(kBF16, 2, 4096, 4096, 8, 40),
          attention_case(kBF16, 2, 4096, 77, 8, 40),
          attention_case(kBF16, 2, 1024, 1024, 8, 80),
          attention_case(kBF16, 2, 256, 256, 8, 160),
          attention_case(kBF16, 2, 4096, 4096, 10, 64),
          attention_case(kBF16, 2, 4096, 4096, 8, 128),
          attention_case(kBF16, 2, 77, 77, 12, 64, AttentionMask::kCausal),
          attention_case(kBF16, 1, 4096, 4096, 1, 512),
          attention_case(DType::kF32, 2, 1024, 1024, 8, 64)};
}

}  // namespace weft
