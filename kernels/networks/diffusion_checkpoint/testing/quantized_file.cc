#include "kernels/networks/diffusion_checkpoint/testing/quantized_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/k_quants.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {

QuantizedFile write_quantized(const WeightSource& source, std::span<const WeightFormat> formats,
                              const std::filesystem::path& quantized,
                              const std::filesystem::path& dequantized, Executor executor) {
  QuantizedFile made;
  GgufWriter blocks_file, values_file;
  size_t turn = 0;
  for (const auto& [name, tensor] : source.tensors()) {
    const std::vector<int64_t> shape = tensor.shape();
    const std::vector<uint64_t> extents(shape.begin(), shape.end());
    const int64_t count = tensor.count();
    std::vector<float> values(static_cast<size_t>(count));
    demand(source.read(name, values.data(), executor));
    WeightFormat format = formats[turn % formats.size()];
    const auto fits = [&] { return shape.size() == 2 && shape[1] % block_layout(format).elements == 0; };
    const bool first_choice = fits();
    if (!first_choice) format = WeightFormat::kQ8_0;
    if (fits()) {
      turn += first_choice;
      std::string blocks(static_cast<size_t>(weights_bytes(format, count)), '\0');
      EXPECT_TRUE(quantize_k(format, values.data(), count, blocks.data()) ||
                  quantize(format, values.data(), count, blocks.data()));
      dequantize(format, blocks.data(), count, values.data());
      blocks_file.add_tensor(name, format, extents, blocks);
      made.n_quantized += count;
      made.n_fallback += first_choice ? 0 : count;
      made.quantized_bytes += static_cast<int64_t>(blocks.size());
    }
    const std::string_view plain(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    if (!fits()) blocks_file.add_tensor(name, WeightFormat::kF32, extents, plain);
    values_file.add_tensor(name, WeightFormat::kF32, extents, plain);
  }
  blocks_file.save(quantized);
  values_file.save(dequantized);
  return made;
}

}  // namespace weft::testing
