// Control networks: their numbers against diffusers, and the names that files have for their tensors.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/control_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"
#include "kernels/networks/unet/control_net.h"

namespace weft::testing {
namespace {

TEST(ControlNet, AgreesWithDiffusers) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const WeightFile file = take(WeightFile::open(folder("sd21/controlnet")));
  const CheckpointPart<ControlNetConfig> part = {
      take(read_control_net_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("sd21/controlnet")), u(folder("sd21/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<ControlNet> control(part, compute);
    const int64_t n = control.network.n_skips();
    ASSERT_EQ(n, 4);
    std::vector<std::vector<float>> memory(static_cast<size_t>(n) + 1);
    std::vector<TensorView> residuals;
    for (int64_t i = 0; i <= n; ++i) {
      const ControlNet::Skip skip = control.network.skip(i);
      const int64_t h = 12 >> skip.halvings, w = 8 >> skip.halvings;
      residuals.push_back(view_of(memory[static_cast<size_t>(i)],
                                  TensorView::contiguous(nullptr, DType::kF32, {2, h, w, skip.channels})));
    }
    const TensorView mid = residuals.back();
    residuals.pop_back();
    UNetInputs in = unet_inputs(u);
    Workspace workspace(control.network.workspace_bytes({2, 12, 8, 7}, 2, 2));
    const auto run = [&](const TensorView& picture) {
      demand(control.network.forward(in, picture, 0.75f, residuals, mid, workspace.span(),
                                     control.threads.executor()));
    };
    // One picture is for all images.
    TensorView one = e.view("picture"), alike = one;
    one.shape[0] = 1;
    std::vector<float> twice(one.as<float>(), one.as<float>() + one.count());
    twice.insert(twice.end(), one.as<float>(), one.as<float>() + one.count());
    alike.data = twice.data();
    run(one);
    const std::vector<std::vector<float>> of_one = memory;
    run(alike);
    EXPECT_EQ(memory, of_one);

    run(e.view("picture"));
    for (int64_t i = 0; i < n; ++i)
      EXPECT_LT(
          error(memory[static_cast<size_t>(i)], e.span<float>(("residual_" + std::to_string(i)).c_str())),
          allowed(compute))
          << i;
    EXPECT_LT(error(memory.back(), e.span<float>("mid")), allowed(compute));
    in.skip_residuals = residuals;
    in.mid_residual = mid;
    Loaded<UNet> unet(checkpoint.unet(), compute);
    EXPECT_LT(error(predict(unet, in, e.view("noise")), e.span<float>("noise")), allowed(compute));
  }
}

TEST(ControlCheckpoint, ReadsOriginalNamesAsDiffusers) {
  const ControlCheckpoint named = take(ControlCheckpoint::open(folder("sd15/controlnet")));
  const ControlCheckpoint original =
      take(ControlCheckpoint::open(folder("sd15/controlnet_original.safetensors"), kReduced));
  ASSERT_EQ(original.source().tensors().size(), named.source().tensors().size());
  Threads threads(1);
  for (const auto& [name, tensor] : named.source().tensors()) {
    ASSERT_TRUE(original.source().contains(name)) << name;
    std::vector<float> a(static_cast<size_t>(tensor.count())), b(a.size());
    demand(named.source().read(name, a.data(), threads.executor()));
    demand(original.source().read(name, b.data(), threads.executor()));
    EXPECT_EQ(a, b) << name;
  }
  EXPECT_EQ(original.config().hint_channels, named.config().hint_channels);
  const UNetConfig &found = original.config().unet, &wanted = named.config().unet;
  EXPECT_EQ(found.context_width, wanted.context_width);
  ASSERT_EQ(found.levels.size(), wanted.levels.size());
  for (size_t i = 0; i < found.levels.size(); ++i) {
    EXPECT_EQ(found.levels[i].channels, wanted.levels[i].channels);
    EXPECT_EQ(found.levels[i].down_transformer_layers, wanted.levels[i].down_transformer_layers);
  }
  // Every tensor has its place, and none is left over.
  take(ControlNet::open(original.source(), original.config(), DType::kF32));
}

TEST(ControlCheckpoint, SaysWhatAFileLacks) {
  const Result<ControlCheckpoint> other = ControlCheckpoint::open(folder("sd15/vae"));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.code(), StatusCode::kNotFound);
  EXPECT_EQ(other.error().message, "the file holds no control network");
}

}  // namespace
}  // namespace weft::testing
