// Networks whose linear layers are block-quantised in a GGUF file: they stay so in memory, and what they compute is near to
// what the dequantised weights give.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/quant/dequantize.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {
namespace {

constexpr double kRounding = 2e-2;  // activations to int8 in every layer, as bf16's tolerance

// The tensors of `source` in a GGUF file, matrices of linear layers as `format`; and, to compare with, the same rounded to
// that format and back to f32.
struct Files {
  Files(const WeightSource& source, WeightFormat format, Threads& threads) {
    GgufWriter quantized, dequantized;
    for (const auto& [name, tensor] : source.tensors()) {
      const std::vector<int64_t> shape = tensor.shape();
      const std::vector<uint64_t> extents(shape.begin(), shape.end());
      std::vector<float> values(static_cast<size_t>(tensor.count()));
      demand(source.read(name, values.data(), threads.executor()));
      const bool linear = shape.size() == 2 && shape[1] % block_layout(format).elements == 0;
      if (linear) {
        std::string blocks(static_cast<size_t>(weights_bytes(format, tensor.count())), '\0');
        EXPECT_TRUE(quantize(format, values.data(), tensor.count(), blocks.data()));
        dequantize(format, blocks.data(), tensor.count(), values.data());
        quantized.add_tensor(name, format, extents, blocks);
        n_linear += tensor.count();
      }
      const std::string_view unpacked(reinterpret_cast<const char*>(values.data()), values.size() * 4);
      dequantized.add_tensor(name, WeightFormat::kF32, extents, unpacked);
      if (!linear) quantized.add_tensor(name, WeightFormat::kF32, extents, unpacked);
    }
    const auto folder = fresh_folder(std::string("quantized_layers_") + block_layout(format).name);
    quantized.save(folder / "quantized.gguf");
    dequantized.save(folder / "dequantized.gguf");
    as_is.emplace(take(WeightFile::open(folder / "quantized.gguf")));
    plain.emplace(take(WeightFile::open(folder / "dequantized.gguf")));
  }
  std::optional<WeightFile> as_is, plain;
  int64_t n_linear = 0;
};

std::vector<float> predict(UNet& unet, Threads& threads) {
  HeapWeightStore store;
  demand(unet.load(store, "quantized", threads.executor()));
  const int64_t width = unet.config().context_width, channels = unet.config().in_channels;
  const UNetExtent extent{2, 16, 16, 7};
  std::vector<float> sample(static_cast<size_t>(2 * 16 * 16 * channels)),
      context(static_cast<size_t>(2 * 7 * width));
  for (size_t i = 0; i < sample.size(); ++i) sample[i] = std::sin(0.37f * static_cast<float>(i % 997));
  for (size_t i = 0; i < context.size(); ++i) context[i] = std::cos(0.61f * static_cast<float>(i % 991));
  const std::vector<float> timesteps = {999, 20};
  UNetInputs in{.sample = TensorView::contiguous(sample.data(), DType::kF32, {2, 16, 16, channels}),
                .timesteps = timesteps,
                .context = TensorView::contiguous(context.data(), DType::kF32, {2, 7, width})};
  std::vector<float> out(static_cast<size_t>(2 * 16 * 16 * unet.config().out_channels));
  Workspace workspace(unet.workspace_bytes(extent, 2));
  demand(unet.forward(
      in, TensorView::contiguous(out.data(), DType::kF32, {2, 16, 16, unet.config().out_channels}),
      workspace.span(), threads.executor()));
  return out;
}

TEST(QuantizedLayers, StayQuantizedAndPredictWhatTheDequantizedOnesDo) {
  Threads threads(2);
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open("assets/models/emoji"));
  const UNetConfig& config = checkpoint.unet().config;
  for (const WeightFormat format : {WeightFormat::kQ8_0, WeightFormat::kQ5_1, WeightFormat::kQ4_0}) {
    const Files files(checkpoint.unet().source, format, threads);
    ASSERT_GT(files.n_linear, 1'000'000);
    for (const DType compute : {DType::kF32, DType::kBF16}) {
      UNet quantized = take(UNet::open(WeightSource::all_of(*files.as_is), config, compute));
      UNet plain = take(UNet::open(WeightSource::all_of(*files.plain), config, compute));
      const int64_t saved = files.n_linear * size_bytes(compute) - weights_bytes(format, files.n_linear);
      EXPECT_LT(quantized.packed_weights_bytes(), plain.packed_weights_bytes() - saved * 9 / 10);
      const std::vector<float> got = predict(quantized, threads), want = predict(plain, threads);
      const double off = relative_error(got.data(), want.data(), static_cast<int64_t>(want.size()));
      RecordProperty(std::string("error_") + block_layout(format).name, std::to_string(off));
      EXPECT_LT(off, kRounding) << block_layout(format).name;
    }
  }
}

}  // namespace
}  // namespace weft::testing
