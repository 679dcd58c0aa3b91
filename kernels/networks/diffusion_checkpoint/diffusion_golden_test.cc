// Every network of the Stable Diffusion family against diffusers and transformers, on the reduced random models of
// scripts/make_golden/diffusion.py, from diffusers folders and from single files; on the shipped model; and, where there is
// one, on a model of full size. In f32 and bf16.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"

namespace weft::testing {
namespace {

TensorView first_image(TensorView view) {
  view.shape[0] = 1;
  return view;
}

class DiffusionGolden : public ::testing::TestWithParam<const char*> {
 protected:
  DiffusionGolden()
      : path_(folder(GetParam())),
        checkpoint_(take(DiffusionCheckpoint::open(path_))),
        single_(take(DiffusionCheckpoint::open(path_ + "/ldm.safetensors", kReduced))) {}
  std::string path_;
  DiffusionCheckpoint checkpoint_, single_;
};

TEST_P(DiffusionGolden, UNetAgreesWithDiffusers) {
  const GoldenTensors e(path_ + "/unet");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<UNet> unet(checkpoint_.unet(), compute);
    const std::vector<float> got = predict(unet, unet_inputs(e), e.view("noise"));
    const double off = error(got, e.span<float>("noise"));
    RecordProperty(compute == DType::kF32 ? "error_f32" : "error_bf16", std::to_string(off));
    EXPECT_LT(off, allowed(compute));
  }
}

TEST_P(DiffusionGolden, VaeAgreesWithDiffusers) {
  const GoldenTensors e(path_ + "/vae");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<Vae> vae(checkpoint_.vae(), compute);
    EXPECT_LT(error(decode(vae, e.view("latents"), e.view("decoded")), e.span<float>("decoded")),
              allowed(compute));
    EXPECT_LT(error(encode(vae, e.view("pictures"), e.view("moments")), e.span<float>("moments")),
              allowed(compute));
  }
}

TEST_P(DiffusionGolden, TextEncodersAgreeWithTransformers) {
  const size_t n = checkpoint_.text_encoders().size();
  for (size_t i = 0; i < n; ++i) {
    const GoldenTensors e(path_ + text_folder(GetParam(), i, n));
    for (DType compute : {DType::kF32, DType::kBF16}) {
      Loaded<ClipText> text(checkpoint_.text_encoders()[i], compute);
      const TextOutputs last = encode_text(text, e, 0, true);
      EXPECT_LT(error(last.hidden, e.span<float>("hidden")), allowed(compute)) << i;
      EXPECT_LT(error(last.pooled, e.span<float>("pooled")), allowed(compute)) << i;
      const TextOutputs penultimate = encode_text(text, e, 1, false);
      EXPECT_LT(error(penultimate.hidden, e.span<float>("penultimate")), allowed(compute)) << i;
      EXPECT_EQ(penultimate.pooled, last.pooled);
      EXPECT_LT(error(encode_text(text, e, 1, true).hidden, e.span<float>("skipped")), allowed(compute)) << i;
    }
  }
}

TEST_P(DiffusionGolden, SingleFilesGiveTheSameBits) {
  EXPECT_EQ(single_.kind(), checkpoint_.kind());
  ASSERT_EQ(single_.text_encoders().size(), checkpoint_.text_encoders().size());
  const GoldenTensors u(path_ + "/unet"), v(path_ + "/vae");
  Loaded<UNet> unet(checkpoint_.unet(), DType::kF32), other_unet(single_.unet(), DType::kF32);
  EXPECT_EQ(predict(unet, unet_inputs(u), u.view("noise")),
            predict(other_unet, unet_inputs(u), u.view("noise")));
  Loaded<Vae> vae(checkpoint_.vae(), DType::kF32), other_vae(single_.vae(), DType::kF32);
  EXPECT_EQ(decode(vae, v.view("latents"), v.view("decoded")),
            decode(other_vae, v.view("latents"), v.view("decoded")));
  EXPECT_EQ(encode(vae, v.view("pictures"), v.view("moments")),
            encode(other_vae, v.view("pictures"), v.view("moments")));
  EXPECT_FLOAT_EQ(single_.vae().config.scaling_factor, checkpoint_.vae().config.scaling_factor);
  const size_t n = checkpoint_.text_encoders().size();
  for (size_t i = 0; i < n; ++i) {
    const GoldenTensors e(path_ + text_folder(GetParam(), i, n));
    Loaded<ClipText> text(checkpoint_.text_encoders()[i], DType::kF32),
        other(single_.text_encoders()[i], DType::kF32);
    EXPECT_EQ(encode_text(text, e, 0, true).hidden, encode_text(other, e, 0, true).hidden) << i;
    EXPECT_EQ(encode_text(text, e, 0, true).pooled, encode_text(other, e, 0, true).pooled) << i;
  }
}

TEST_P(DiffusionGolden, BitsDoNotDependOnTheBatchOrTheThreads) {
  const GoldenTensors u(path_ + "/unet"), v(path_ + "/vae");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<UNet> unet(checkpoint_.unet(), compute, 1), threaded(checkpoint_.unet(), compute, 3);
    const std::vector<float> both = predict(unet, unet_inputs(u), u.view("noise"));
    EXPECT_EQ(both, predict(threaded, unet_inputs(u), u.view("noise")));
    UNetInputs one = unet_inputs(u);
    one.sample = first_image(one.sample);
    one.context = first_image(one.context);
    one.timesteps = one.timesteps.first(1);
    if (one.pooled.rank > 0) {
      one.pooled = first_image(one.pooled);
      one.sizes = first_image(one.sizes);
    }
    const std::vector<float> alone = predict(unet, one, first_image(u.view("noise")));
    EXPECT_EQ(std::memcmp(alone.data(), both.data(), alone.size() * 4), 0);
    Loaded<Vae> vae(checkpoint_.vae(), compute, 1), threaded_vae(checkpoint_.vae(), compute, 3);
    const std::vector<float> pictures = decode(vae, v.view("latents"), v.view("decoded"));
    EXPECT_EQ(pictures, decode(threaded_vae, v.view("latents"), v.view("decoded")));
    const std::vector<float> picture =
        decode(vae, first_image(v.view("latents")), first_image(v.view("decoded")));
    EXPECT_EQ(std::memcmp(picture.data(), pictures.data(), picture.size() * 4), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DiffusionGolden, ::testing::Values("sd15", "sd21", "sdxl", "refiner"),
                         [](const auto& model) { return std::string(model.param); });

// The model that is shipped, not a random one.
TEST(EmojiModel, AgreesWithDiffusers) {
  const std::filesystem::path model = "assets/models/emoji";
  if (!std::filesystem::exists(model / "unet")) GTEST_SKIP() << "skipped: no weights in " << model;
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const GoldenTensors e(take(WeightFile::open(folder("emoji.safetensors"))));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    const char* hint = "if the weights are new: scripts/make_golden/emoji.py";
    Loaded<ClipText> text(checkpoint.text_encoders()[0], compute);
    ClipTextInputs tokens{.tokens = e.span<int32_t>("tokens"), .n_sequences = 2};
    std::vector<float> hidden;
    view_of(hidden, e.view("hidden"));
    Workspace workspace(text.network.workspace_bytes(2, 32, 2));
    demand(
        text.network.forward(tokens, {.hidden = hidden.data()}, workspace.span(), text.threads.executor()));
    EXPECT_LT(error(hidden, e.span<float>("hidden")), allowed(compute)) << hint;
    Loaded<UNet> unet(checkpoint.unet(), compute);
    UNetInputs in;
    in.sample = e.view("sample");
    in.timesteps = e.span<float>("timesteps");
    in.context = e.view("hidden");
    EXPECT_LT(error(predict(unet, in, e.view("noise")), e.span<float>("noise")), allowed(compute)) << hint;
    Loaded<Vae> vae(checkpoint.vae(), compute);
    EXPECT_LT(error(decode(vae, e.view("latents"), e.view("decoded")), e.span<float>("decoded")),
              allowed(compute))
        << hint;
    EXPECT_LT(error(encode(vae, e.view("decoded"), e.view("moments")), e.span<float>("moments")),
              allowed(compute))
        << hint;
  }
}

// A whole model of SD 1.5's shape, where scripts/make_golden/diffusion_full.py has put one.
TEST(FullSize, AgreesWithDiffusers) {
  const char* path = std::getenv("WEFT_FULL_DIFFUSION");
  if (!path) GTEST_SKIP() << "skipped: WEFT_FULL_DIFFUSION names no checkpoint";
  const std::string model = path;
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const GoldenTensors t(model + "/text_encoder"), u(model + "/unet"), v(model + "/vae");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    const auto near = [&](const char* what, const std::vector<float>& got, std::span<const float> want) {
      const double off = error(got, want);
      std::printf("%s, %s: %.2g\n", compute == DType::kF32 ? "f32" : "bf16", what, off);
      EXPECT_LT(off, allowed(compute)) << what;
    };
    {
      Loaded<ClipText> text(checkpoint.text_encoders()[0], compute);
      near("text", encode_text(text, t, 0, true).hidden, t.span<float>("hidden"));
    }
    {
      Loaded<UNet> unet(checkpoint.unet(), compute);
      near("unet", predict(unet, unet_inputs(u), u.view("noise")), u.span<float>("noise"));
    }
    Loaded<Vae> vae(checkpoint.vae(), compute);
    near("decode", decode(vae, v.view("latents"), v.view("decoded")), v.span<float>("decoded"));
    near("encode", encode(vae, v.view("pictures"), v.view("moments")), v.span<float>("moments"));
  }
}

}  // namespace
}  // namespace weft::testing
