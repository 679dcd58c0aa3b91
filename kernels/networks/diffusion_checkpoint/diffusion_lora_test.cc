// Adapters: merged, they give what diffusers and peft give, by whichever names.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/diffusion_lora.h"
#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"

namespace weft::testing {
namespace {

TEST(DiffusionLora, AgreesWithMergedWeightsUnderAllNames) {
  const std::string model = folder("sd15");
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const DiffusionCheckpoint single = take(DiffusionCheckpoint::open(model + "/ldm.safetensors", kReduced));
  const GoldenTensors u(model + "/unet"), t(model + "/text_encoder");
  const GoldenTensors adapted(take(WeightFile::open(model + "/lora_expected.safetensors")));
  std::vector<float> first;
  for (const char* name : {"/lora_kohya.safetensors", "/lora_diffusers.safetensors"}) {
    const WeightFile adapter = take(WeightFile::open(model + name));
    for (const DiffusionCheckpoint* c : {&checkpoint, &single}) {
      CheckpointPart<UNetConfig> unet_part = c->unet();
      CheckpointPart<ClipTextConfig> text_part = c->text_encoders()[0];
      const LoraTargets targets = {&unet_part.source, &text_part.source, nullptr};
      EXPECT_EQ(take(merge_diffusion_lora(adapter, targets, 1, 1)), 10);
      Loaded<UNet> unet(unet_part, DType::kF32);
      const std::vector<float> noise = predict(unet, unet_inputs(u), u.view("noise"));
      EXPECT_LT(error(noise, adapted.span<float>("noise")), allowed(DType::kF32)) << name;
      EXPECT_GT(error(noise, u.span<float>("noise")), 0.05) << "the adapter does nothing";
      if (first.empty()) first = noise;
      EXPECT_EQ(noise, first) << name;
      Loaded<ClipText> text(text_part, DType::kF32);
      EXPECT_LT(error(encode_text(text, t, 0, true).hidden, adapted.span<float>("hidden")),
                allowed(DType::kF32))
          << name;
      // And away again.
      EXPECT_EQ(take(merge_diffusion_lora(adapter, targets, -1, -1)), 10);
      Loaded<UNet> without(unet_part, DType::kF32);
      EXPECT_LT(error(predict(without, unet_inputs(u), u.view("noise")), u.span<float>("noise")),
                allowed(DType::kF32));
    }
  }
}

TEST(DiffusionLora, KnowsOriginalNames) {
  const std::string model = folder("sdxl");
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const GoldenTensors u(model + "/unet");
  std::vector<std::vector<float>> noises;
  for (const char* name : {"/lora_original.safetensors", "/lora_diffusers.safetensors"}) {
    const WeightFile adapter = take(WeightFile::open(model + name));
    CheckpointPart<UNetConfig> part = checkpoint.unet();
    EXPECT_EQ(take(merge_diffusion_lora(adapter, {.unet = &part.source}, 0.5f, 1)), 10);
    Loaded<UNet> unet(part, DType::kF32);
    noises.push_back(predict(unet, unet_inputs(u), u.view("noise")));
  }
  EXPECT_EQ(noises[0], noises[1]);
  EXPECT_GT(error(noises[0], u.span<float>("noise")), 0.05);
}

TEST(DiffusionLora, RefusesWhatDoesNotFit) {
  const DiffusionCheckpoint sd15 = take(DiffusionCheckpoint::open(folder("sd15")));
  const DiffusionCheckpoint sdxl = take(DiffusionCheckpoint::open(folder("sdxl")));
  const WeightFile adapter = take(WeightFile::open(folder("sd15/lora_kohya.safetensors")));
  WeightSource unet = sd15.unet().source, other = sdxl.unet().source, text = sd15.text_encoders()[0].source;
  EXPECT_EQ(merge_diffusion_lora(adapter, {&unet, nullptr, nullptr}, 1, 1).code(), StatusCode::kNotFound);
  EXPECT_EQ(merge_diffusion_lora(adapter, {&other, &text, nullptr}, 1, 1).code(), StatusCode::kNotFound);
  EXPECT_FALSE(unet.has_delta("down_blocks.0.resnets.0.conv1.weight")) << "half an adapter was merged";
  const WeightFile no_adapter = take(WeightFile::open(folder("emoji.safetensors")));
  EXPECT_EQ(merge_diffusion_lora(no_adapter, {&unet, &text, nullptr}, 1, 1).code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft::testing
