// Networks whose linear layers are block-quantised in a GGUF file: they stay so in memory, and what they compute is near to
// what the dequantised weights give.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"
#include "kernels/networks/diffusion_checkpoint/testing/quantized_file.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {
namespace {

constexpr double kRounding = 2e-2;  // activations to int8 in every layer, as bf16's tolerance

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

// The emoji model's UNet with its linear layers in these formats: they stay so, and give what the dequantised ones give.
void expect_near_dequantized(const std::string& label, std::span<const WeightFormat> formats) {
  SCOPED_TRACE(label);
  Threads threads(2);
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open("assets/models/emoji"));
  const UNetConfig& config = checkpoint.unet().config;
  const auto folder = fresh_folder("quantized_layers_" + label);
  const QuantizedFile made = write_quantized(checkpoint.unet().source, formats, folder / "blocks.gguf",
                                             folder / "values.gguf", threads.executor());
  ASSERT_GT(made.n_quantized, 1'000'000);
  ASSERT_GT(made.n_quantized - made.n_fallback, 300'000);
  const WeightFile blocks = take(WeightFile::open(folder / "blocks.gguf")),
                   values = take(WeightFile::open(folder / "values.gguf"));
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    UNet quantized = take(UNet::open(WeightSource::all_of(blocks), config, compute));
    UNet plain = take(UNet::open(WeightSource::all_of(values), config, compute));
    const int64_t saved = made.n_quantized * size_bytes(compute) - made.quantized_bytes;
    EXPECT_LT(quantized.packed_weights_bytes(), plain.packed_weights_bytes() - saved * 9 / 10);
    const std::vector<float> got = predict(quantized, threads), want = predict(plain, threads);
    const double off = relative_error(got.data(), want.data(), static_cast<int64_t>(want.size()));
    ::testing::Test::RecordProperty("error_" + label, std::to_string(off));
    EXPECT_LT(off, kRounding);
  }
}

TEST(QuantizedLayers, StayQuantizedAndPredictWhatTheDequantizedOnesDo) {
  for (const WeightFormat format :
       {WeightFormat::kQ8_0, WeightFormat::kQ5_1, WeightFormat::kQ4_0, WeightFormat::kQ6_K,
        WeightFormat::kQ5_K, WeightFormat::kQ4_K, WeightFormat::kQ3_K, WeightFormat::kQ2_K})
    expect_near_dequantized(block_layout(format).name, {&format, 1});
}

// As files are made that keep more bits where they matter; and half of this UNet's matrices have rows of 64, 128 or 192.
TEST(QuantizedLayers, MayHaveAnyFormatsSideBySide) {
  const WeightFormat formats[] = {WeightFormat::kQ4_K, WeightFormat::kQ6_K, WeightFormat::kQ3_K,
                                  WeightFormat::kQ4_1, WeightFormat::kQ5_K, WeightFormat::kQ2_K,
                                  WeightFormat::kQ5_0};
  expect_near_dequantized("mixed", formats);
}

// As stable-diffusion.cpp writes whole checkpoints: original names, and nothing but tensors that says what they are.
TEST(QuantizedLayers, MayComeInASingleFileWithOriginalNames) {
  Threads threads(2);
  const WeightFile original = take(WeightFile::open(folder("sd15/ldm.safetensors")));
  const auto place = fresh_folder("quantized_single_file");
  const WeightFormat formats[] = {WeightFormat::kQ4_K};  // too wide for most of these reduced layers
  write_quantized(WeightSource::all_of(original), formats, place / "blocks.gguf", place / "values.gguf",
                  threads.executor());
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(place / "blocks.gguf", kReduced));
  EXPECT_EQ(checkpoint.kind(), DiffusionKind::kSd1);
  const UNet unet = take(UNet::open(checkpoint.unet().source, checkpoint.unet().config, DType::kF32));
  EXPECT_GT(unet.packed_weights_bytes(), 0);
}

}  // namespace
}  // namespace weft::testing
