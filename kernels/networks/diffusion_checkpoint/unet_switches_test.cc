// What UNets of published models have that the reduced ones of the family do not: switches of the configuration, residuals
// of a control network.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"

namespace weft::testing {
namespace {

CheckpointPart<UNetConfig> switches() {
  static const WeightFile file = take(WeightFile::open(folder("switches/unet")));
  return {take(read_unet_config(file.metadata())), WeightSource::all_of(file), {}};
}

// Nine input channels, a class table, an embedding of guidance, cross attention only, extents that do not halve.
TEST(UNetSwitches, AgreeWithDiffusers) {
  const GoldenTensors e(folder("switches/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<UNet> unet(switches(), compute);
    EXPECT_LT(error(predict(unet, unet_inputs(e), e.view("noise")), e.span<float>("noise")),
              allowed(compute));
  }
}

TEST(UNetSwitches, ChannelsMayComeInTwoParts) {
  const GoldenTensors e(folder("switches/unet"));
  Loaded<UNet> unet(switches(), DType::kF32);
  const TensorView whole = e.view("sample");
  const int64_t pixels = whole.shape[0] * whole.shape[1] * whole.shape[2];
  std::vector<float> latents(static_cast<size_t>(pixels * 4)), mask(static_cast<size_t>(pixels * 5));
  for (int64_t i = 0; i < pixels; ++i) {
    std::memcpy(latents.data() + i * 4, whole.as<float>() + i * 9, 4 * 4);
    std::memcpy(mask.data() + i * 5, whole.as<float>() + i * 9 + 4, 5 * 4);
  }
  UNetInputs in = unet_inputs(e);
  in.sample = TensorView::contiguous(latents.data(), DType::kF32,
                                     {whole.shape[0], whole.shape[1], whole.shape[2], 4});
  in.extra =
      TensorView::contiguous(mask.data(), DType::kF32, {whole.shape[0], whole.shape[1], whole.shape[2], 5});
  EXPECT_EQ(predict(unet, in, e.view("noise")), predict(unet, unet_inputs(e), e.view("noise")));
}

// Residuals of zero change nothing, others do.
TEST(UNetSwitches, TakesAControlNetworksResiduals) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const GoldenTensors e(folder("sd21/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<UNet> unet(checkpoint.unet(), compute);
    const int64_t extents[][3] = {{12, 8, 8}, {12, 8, 8}, {6, 4, 8}, {6, 4, 16}, {6, 4, 16}};
    ASSERT_EQ(unet.network.n_skips(), 4);
    std::vector<std::vector<float>> memory(5);
    std::vector<TensorView> views;
    for (size_t i = 0; i < 5; ++i)
      views.push_back(view_of(
          memory[i],
          TensorView::contiguous(nullptr, DType::kF32, {2, extents[i][0], extents[i][1], extents[i][2]})));
    for (std::vector<float>& residual : memory) residual.assign(residual.size(), 0);
    UNetInputs in = unet_inputs(e);
    const std::vector<float> plain = predict(unet, in, e.view("noise"));
    in.skip_residuals = std::span(views).first(4);
    in.mid_residual = views[4];
    EXPECT_EQ(predict(unet, in, e.view("noise")), plain);
    memory[4].assign(memory[4].size(), 1);
    EXPECT_GT(error(predict(unet, in, e.view("noise")), plain), 0.01);
    in.skip_residuals = std::span(views).first(3);
    Workspace workspace(unet.network.workspace_bytes({2, 12, 8, 7}, 2));
    std::vector<float> noise;
    EXPECT_EQ(
        unet.network.forward(in, view_of(noise, e.view("noise")), workspace.span(), unet.threads.executor())
            .code(),
        StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace weft::testing
