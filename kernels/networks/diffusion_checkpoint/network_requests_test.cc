// How the networks take requests: when they stop, what they refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"

namespace weft::testing {
namespace {

TEST(DiffusionNetworks, StopOnRequest) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  const GoldenTensors u(folder("sd15/unet")), v(folder("sd15/vae"));
  Loaded<UNet> unet(checkpoint.unet(), DType::kF32);
  std::vector<float> out;
  Workspace workspace(1 << 24);
  int polls = 0;
  const StopRequest third{[](void* context) { return ++*static_cast<int*>(context) == 3; }, &polls};
  EXPECT_EQ(unet.network
                .forward(unet_inputs(u), view_of(out, u.view("noise")), workspace.span(),
                         unet.threads.executor(), third)
                .code(),
            StatusCode::kCancelled);
  EXPECT_EQ(polls, 3);
  Loaded<Vae> vae(checkpoint.vae(), DType::kF32);
  const StopRequest always{[](void*) { return true; }, nullptr};
  EXPECT_EQ(vae.network
                .decode(v.view("latents"), view_of(out, v.view("decoded")), workspace.span(),
                        vae.threads.executor(), always)
                .code(),
            StatusCode::kCancelled);
}

TEST(DiffusionNetworks, StopLoadingOnRequest) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  UNet unet = take(UNet::open(checkpoint.unet().source, checkpoint.unet().config, DType::kF32));
  Threads threads(2);
  HeapWeightStore store;
  int polls = 0;
  const StopRequest third{[](void* context) { return ++*static_cast<int*>(context) == 3; }, &polls};
  EXPECT_EQ(unet.load(store, "stopped", threads.executor(), third).code(), StatusCode::kCancelled);
  EXPECT_EQ(polls, 3);
  EXPECT_FALSE(unet.loaded());
  EXPECT_TRUE(unet.load(store, "stopped", threads.executor()).ok());
}

TEST(DiffusionNetworks, RefuseInputsThatDoNotFit) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sdxl")));
  const GoldenTensors u(folder("sdxl/unet"));
  Loaded<UNet> unet(checkpoint.unet(), DType::kF32);
  std::vector<float> noise;
  const TensorView out = view_of(noise, u.view("noise"));
  const int64_t bytes = unet.network.workspace_bytes({2, 12, 8, 7}, 2);
  Workspace workspace(bytes);
  const auto code = [&](const UNetInputs& in, std::span<std::byte> memory) {
    return unet.network.forward(in, out, memory, unet.threads.executor()).code();
  };
  const UNetInputs good = unet_inputs(u);
  EXPECT_EQ(code(good, workspace.span()), StatusCode::kOk);
  EXPECT_EQ(code(good, workspace.span().first(static_cast<size_t>(bytes) - 64)), StatusCode::kOutOfMemory);
  EXPECT_EQ(code(good, workspace.span().subspan(4)), StatusCode::kOutOfMemory);
  UNetInputs bad = good;
  bad.pooled = {};
  EXPECT_EQ(code(bad, workspace.span()), StatusCode::kInvalidShape);
  bad = good;
  bad.timesteps = bad.timesteps.first(1);
  EXPECT_EQ(code(bad, workspace.span()), StatusCode::kInvalidArgument);
  bad = good;
  bad.context.shape[2] = 47;
  EXPECT_EQ(code(bad, workspace.span()), StatusCode::kInvalidShape);
  bad = good;
  bad.sample.data = nullptr;
  EXPECT_EQ(code(bad, workspace.span()), StatusCode::kInvalidArgument);
}

TEST(DiffusionNetworks, TextEncodersTakeEmbeddingsBeyondTheVocabulary) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  Loaded<ClipText> text(checkpoint.text_encoders()[0], DType::kF32);
  const int64_t width = text.network.config().width;
  const WeightFile file = take(WeightFile::open(folder("sd15/text_encoder")));
  std::vector<float> seventh(static_cast<size_t>(width));
  const WeightSource source = WeightSource::all_of(file);
  const std::string table = source.contains("embeddings.token_embedding.weight")
                                ? "embeddings.token_embedding.weight"
                                : "text_model.embeddings.token_embedding.weight";
  std::vector<float> rows(static_cast<size_t>(source.find(table)->count()));
  demand(source.read(table, rows.data(), text.threads.executor()));
  std::copy_n(rows.begin() + 7 * width, width, seventh.begin());
  const std::vector<int32_t> plain = {58, 7, 3, 59}, inverted = {58, 60, 3, 59};
  std::vector<float> a(static_cast<size_t>(4 * width)), b(a.size());
  Workspace workspace(text.network.workspace_bytes(1, 4, 2));
  demand(text.network.forward({.tokens = plain}, {.hidden = a.data()}, workspace.span(),
                              text.threads.executor()));
  ClipTextInputs in{.tokens = inverted, .extra_embeddings = seventh.data(), .n_extra = 1};
  demand(text.network.forward(in, {.hidden = b.data()}, workspace.span(), text.threads.executor()));
  EXPECT_EQ(a, b);
  in.n_extra = 0;
  EXPECT_EQ(text.network.forward(in, {.hidden = b.data()}, workspace.span(), text.threads.executor()).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::testing
