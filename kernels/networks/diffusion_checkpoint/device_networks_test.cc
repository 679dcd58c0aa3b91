// Networks of the Stable Diffusion family on a device, against diffusers' numbers on the reduced random models of
// scripts/make_golden/diffusion.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/control_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/taesd_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"
#include "kernels/networks/diffusion_checkpoint/testing/quantized_file.h"
#include "kernels/networks/testing/on_device.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::testing {
namespace {

DeviceBuffer workspace_for(const OnDevice<UNet>& u, const UNetInputs& in) {
  return u.workspace(u.network.device_workspace_bytes(
      {in.sample.shape[0], in.sample.shape[1], in.sample.shape[2], in.context.shape[1]}));
}

std::vector<float> predict(OnDevice<UNet>& u, const UNetInputs& in, const TensorView& like,
                           const DeviceBuffer& workspace) {
  std::vector<float> noise;
  const TensorView out = view_of(noise, like);
  demand(u.network.forward_on(u.passes, in, out, all_of(workspace)));
  return noise;
}
std::vector<float> predict(OnDevice<UNet>& u, const UNetInputs& in, const TensorView& like) {
  return predict(u, in, like, workspace_for(u, in));
}

class DeviceDiffusionGolden : public ::testing::TestWithParam<const char*> {
 protected:
  DeviceDiffusionGolden() : path_(folder(GetParam())), checkpoint_(take(DiffusionCheckpoint::open(path_))) {}
  std::string path_;
  DiffusionCheckpoint checkpoint_;
};

TEST_P(DeviceDiffusionGolden, UNetAgreesWithDiffusers) {
  const GoldenTensors e(path_ + "/unet");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<UNet> unet(checkpoint_.unet(), compute);
    EXPECT_LT(error(predict(unet, unet_inputs(e), e.view("noise")), e.span<float>("noise")),
              allowed(compute));
  }
}

TEST_P(DeviceDiffusionGolden, VaeAgreesWithDiffusers) {
  const GoldenTensors e(path_ + "/vae");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<Vae> vae(checkpoint_.vae(), compute);
    const TensorView latents = e.view("latents"), moments = e.view("moments");
    std::vector<float> decoded, encoded;
    const TensorView pictures = view_of(decoded, e.view("decoded")), made = view_of(encoded, moments);
    const DeviceBuffer to_decode = vae.workspace(vae.network.device_decode_workspace_bytes(
                           latents.shape[0], latents.shape[1], latents.shape[2])),
                       to_encode = vae.workspace(vae.network.device_encode_workspace_bytes(
                           moments.shape[0], moments.shape[1], moments.shape[2]));
    demand(vae.network.decode_on(vae.passes, latents, pictures, all_of(to_decode)));
    EXPECT_LT(error(decoded, e.span<float>("decoded")), allowed(compute));
    demand(vae.network.encode_on(vae.passes, e.view("pictures"), made, all_of(to_encode)));
    EXPECT_LT(error(encoded, e.span<float>("moments")), allowed(compute));
  }
}

struct TextStates {
  std::vector<float> hidden, pooled;
};
TextStates encode_on(OnDevice<ClipText>& t, const GoldenTensors& e, int64_t skipped_layers, bool final_norm) {
  const TensorView tokens = e.view("tokens");
  const ClipTextInputs in{.tokens = e.span<int32_t>("tokens"),
                          .n_sequences = tokens.shape[0],
                          .skipped_layers = skipped_layers,
                          .final_norm = final_norm};
  TextStates out;
  view_of(out.hidden, e.view("hidden"));
  view_of(out.pooled, e.view("pooled"));
  const DeviceBuffer workspace =
      t.workspace(t.network.device_workspace_bytes(tokens.shape[0], tokens.shape[1]));
  demand(t.network.forward_on(t.passes, in, {out.hidden.data(), out.pooled.data()}, all_of(workspace)));
  return out;
}

TEST_P(DeviceDiffusionGolden, TextEncodersAgreeWithTransformers) {
  const size_t n = checkpoint_.text_encoders().size();
  for (size_t i = 0; i < n; ++i) {
    const GoldenTensors e(path_ + text_folder(GetParam(), i, n));
    for (DType compute : {DType::kF32, DType::kBF16}) {
      OnDevice<ClipText> text(checkpoint_.text_encoders()[i], compute);
      const TextStates last = encode_on(text, e, 0, true), penultimate = encode_on(text, e, 1, false);
      EXPECT_LT(error(last.hidden, e.span<float>("hidden")), allowed(compute)) << i;
      EXPECT_LT(error(last.pooled, e.span<float>("pooled")), allowed(compute)) << i;
      EXPECT_LT(error(penultimate.hidden, e.span<float>("penultimate")), allowed(compute)) << i;
      EXPECT_LT(error(penultimate.pooled, e.span<float>("pooled")), allowed(compute)) << i;
      EXPECT_LT(error(encode_on(text, e, 1, true).hidden, e.span<float>("skipped")), allowed(compute)) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceDiffusionGolden, ::testing::Values("sd15", "sd21", "sdxl", "refiner"),
                         [](const auto& model) { return std::string(model.param); });

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float apart = std::abs(a[i] - b[i]);
    if (!(apart <= largest)) largest = apart;  // NaN too
  }
  return largest;
}

// Latents that go from flat to busy, so that tiles' own statistics differ.
std::vector<float> busy_latents(int64_t pixels, int64_t channels) {
  std::vector<float> values(static_cast<size_t>(pixels * channels));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto pixel = static_cast<float>(i / static_cast<size_t>(channels));
    values[i] = 8 * pixel / static_cast<float>(pixels) * std::sin(0.9f * static_cast<float>(i)) - 2;
  }
  return values;
}

constexpr float kTwoSteps = 2 * 2.0f / 255;  // of 8 bits, in pictures of [-1, 1]

TEST(DeviceVae, TilesHaveNoSeams) {
  constexpr int64_t kHeight = 14, kWidth = 13;
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  const VaeConfig& c = checkpoint.vae().config;
  const int64_t channels = c.latent_channels, f = c.factor();
  std::vector<float> values = busy_latents(kHeight * kWidth, channels);
  const TensorView latents =
      TensorView::contiguous(values.data(), DType::kF32, {1, kHeight, kWidth, channels});
  const TensorView like_moments =
      TensorView::contiguous(nullptr, DType::kF32, {1, kHeight, kWidth, 2 * channels});
  TensorView picture =
      TensorView::contiguous(nullptr, DType::kF32, {1, kHeight * f, kWidth * f, c.image_channels});
  for (DType compute : {DType::kF32, DType::kBF16}) {
    SCOPED_TRACE(compute == DType::kF32 ? "f32" : "bf16");
    OnDevice<Vae> vae(checkpoint.vae(), compute);
    const int64_t tile = vae.network.least_tile();
    ASSERT_LT(tile, kWidth);
    std::vector<float> whole, tiled;
    picture = view_of(whole, picture);
    const DeviceBuffer workspace =
        vae.workspace(std::max(vae.network.device_decode_workspace_bytes(1, kHeight, kWidth),
                               vae.network.device_encode_workspace_bytes(1, kHeight, kWidth)));
    demand(vae.network.decode_on(vae.passes, latents, picture, all_of(workspace)));
    const TensorView out = view_of(tiled, picture);
    const DeviceBuffer to_decode =
        vae.workspace(vae.network.device_tiled_decode_workspace_bytes(kHeight, kWidth, tile));
    demand(vae.network.decode_tiled_on(vae.passes, latents, out, tile, all_of(to_decode)));
    const float apart = largest_difference(whole, tiled);
    RecordProperty(compute == DType::kF32 ? "apart_f32" : "apart_bf16", std::to_string(apart));
    EXPECT_LE(apart, kTwoSteps);

    std::vector<float> moments, tiled_moments;
    demand(vae.network.encode_on(vae.passes, picture, view_of(moments, like_moments), all_of(workspace)));
    const TensorView made = view_of(tiled_moments, like_moments);
    const DeviceBuffer to_encode =
        vae.workspace(vae.network.device_tiled_encode_workspace_bytes(kHeight, kWidth, tile));
    demand(vae.network.encode_tiled_on(vae.passes, picture, made, tile, all_of(to_encode)));
    float largest = 0;
    for (float value : moments) largest = std::max(largest, std::abs(value));
    EXPECT_LE(largest_difference(moments, tiled_moments), 0.01f * largest);

    EXPECT_EQ(
        vae.network.decode_tiled_on(vae.passes, latents, out, tile, all_of(to_decode).subspan(64)).code(),
        StatusCode::kOutOfMemory);
    EXPECT_EQ(vae.network.encode_tiled_on(vae.passes, picture, made, tile - 1, all_of(to_encode)).code(),
              StatusCode::kInvalidArgument);
    const StopRequest stop{[](void*) { return true; }, nullptr};
    EXPECT_EQ(vae.network.decode_tiled_on(vae.passes, latents, out, tile, all_of(to_decode), stop).code(),
              StatusCode::kCancelled);
  }
}

// Four tiles and nine, of which the first, those between and the last have a shape each.
TEST(DeviceVae, TilesOfOneShapeAreOneGraph) {
  constexpr int64_t kWidth = 2;
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  const VaeConfig& c = checkpoint.vae().config;
  OnDevice<Vae> vae(checkpoint.vae(), DType::kF32);
  const int64_t tile = vae.network.least_tile();
  ASSERT_EQ(tile, 12);  // with three latents that overlap on each side
  size_t graphs[2];
  for (const int64_t height : {24, 54}) {
    SCOPED_TRACE(height);
    std::vector<float> values = busy_latents(height * kWidth, c.latent_channels), whole, tiled;
    const TensorView latents =
        TensorView::contiguous(values.data(), DType::kF32, {1, height, kWidth, c.latent_channels});
    const TensorView like = TensorView::contiguous(
        nullptr, DType::kF32, {1, height * c.factor(), kWidth * c.factor(), c.image_channels});
    const DeviceBuffer for_whole =
        vae.workspace(vae.network.device_decode_workspace_bytes(1, height, kWidth));
    const DeviceBuffer for_tiles =
        vae.workspace(vae.network.device_tiled_decode_workspace_bytes(height, kWidth, tile));
    demand(vae.network.decode_on(vae.passes, latents, view_of(whole, like), all_of(for_whole)));
    const TensorView out = view_of(tiled, like);
    const size_t before = vae.passes.n_graphs();
    demand(vae.network.decode_tiled_on(vae.passes, latents, out, tile, all_of(for_tiles)));
    EXPECT_LE(largest_difference(whole, tiled), kTwoSteps);
    const std::vector<float> first = tiled;
    tiled.assign(tiled.size(), NAN);
    demand(vae.network.decode_tiled_on(vae.passes, latents, out, tile, all_of(for_tiles)));
    EXPECT_EQ(tiled, first);
    graphs[height > 24] = vae.passes.n_graphs() - before;
  }
  EXPECT_GT(graphs[0], 0u);
  EXPECT_EQ(graphs[0], graphs[1]);
}

// A control network's residuals in the device's memory: of the skip connections, and last of the middle.
struct Residuals {
  Residuals(const OnDevice<ControlNet>& control, const UNetExtent& extent) : stream(control.stream) {
    for (int64_t i = 0; i <= control.network.n_skips(); ++i) {
      views.push_back(control.network.residual(i, extent));
      memory.push_back(control.workspace(views.back().count() * 4));
      views.back().data = memory.back().data();
    }
  }
  std::span<const TensorView> skips() const { return std::span(views).first(views.size() - 1); }
  std::vector<float> values(size_t i) const {
    std::vector<float> got(static_cast<size_t>(views[i].count()));
    demand(stream.copy_to_host(got.data(), views[i].data, got.size() * 4));
    demand(stream.synchronize());
    return got;
  }
  DeviceStream stream;
  std::vector<DeviceBuffer> memory;
  std::vector<TensorView> views;
};

// A control picture in the device's memory.
struct Brought {
  Brought(const OnDevice<ControlNet>& control, const TensorView& of_host)
      : memory(control.workspace(of_host.count() * 4)), view(of_host) {
    view.data = memory.data();
    demand(control.stream.copy_to_device(view.data, of_host.data, memory.size_bytes()));
    demand(control.stream.synchronize());
  }
  DeviceBuffer memory;
  TensorView view;
};

TEST(DeviceControlNet, AgreesWithDiffusers) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const WeightFile file = take(WeightFile::open(folder("sd21/controlnet")));
  const CheckpointPart<ControlNetConfig> part = {
      take(read_control_net_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("sd21/controlnet")), u(folder("sd21/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<ControlNet> control(part, compute);
    OnDevice<UNet> unet(checkpoint.unet(), compute);
    UNetInputs in = unet_inputs(u);
    const UNetExtent extent = {2, 12, 8, 7};
    const Residuals residuals(control, extent);
    const TensorView& mid = residuals.views.back();
    const Brought picture(control, e.view("picture"));
    const DeviceBuffer workspace = control.workspace(control.network.device_workspace_bytes(extent, 2));
    std::vector<float> alone;
    if (compute == DType::kF32) alone = predict(unet, in, e.view("noise"));
    for (const float strength : {0.25f, 0.75f, 0.75f}) {  // the last one captured
      demand(control.network.forward_on(control.passes, in, picture.view, strength, residuals.skips(), mid,
                                        all_of(workspace)));
    }
    for (size_t i = 0; i + 1 < residuals.views.size(); ++i) {
      const std::string name = "residual_" + std::to_string(i);
      EXPECT_LT(error(residuals.values(i), e.span<float>(name.c_str())), allowed(compute)) << i;
    }
    EXPECT_LT(error(residuals.values(residuals.views.size() - 1), e.span<float>("mid")), allowed(compute));
    in.skip_residuals = residuals.skips();
    in.mid_residual = mid;
    const DeviceBuffer of_unet = workspace_for(unet, in);
    EXPECT_LT(error(predict(unet, in, e.view("noise"), of_unet), e.span<float>("noise")), allowed(compute));
    if (compute != DType::kF32) continue;
    EXPECT_LT(error(predict(unet, in, e.view("noise"), of_unet), e.span<float>("noise")), allowed(compute));
    // Without them it is another graph.
    EXPECT_EQ(predict(unet, unet_inputs(u), e.view("noise"), of_unet), alone);
    EXPECT_EQ(control.network
                  .forward_on(control.passes, in, picture.view, 1, residuals.skips(), mid,
                              all_of(workspace).subspan(64))
                  .code(),
              StatusCode::kOutOfMemory);
    in.skip_residuals = in.skip_residuals.subspan(1);
    EXPECT_EQ(unet.network.forward_on(unet.passes, in, e.view("noise"), all_of(of_unet)).code(),
              StatusCode::kInvalidArgument);
  }
}

TEST(DeviceControlNet, TakesOnePictureForAllImages) {
  const WeightFile file = take(WeightFile::open(folder("sd21/controlnet")));
  const CheckpointPart<ControlNetConfig> part = {
      take(read_control_net_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("sd21/controlnet")), u(folder("sd21/unet"));
  OnDevice<ControlNet> control(part, DType::kF32);
  const UNetInputs in = unet_inputs(u);
  const UNetExtent extent = {2, 12, 8, 7};
  TensorView one = e.view("picture");
  one.shape[0] = 1;
  std::vector<float> twice(one.as<float>(), one.as<float>() + one.count());
  twice.insert(twice.end(), one.as<float>(), one.as<float>() + one.count());
  TensorView both = e.view("picture");
  both.data = twice.data();
  const Residuals shared(control, extent), each(control, extent);
  const DeviceBuffer workspace = control.workspace(control.network.device_workspace_bytes(extent, 2));
  EXPECT_LT(control.network.device_workspace_bytes(extent, 1),
            control.network.device_workspace_bytes(extent, 2));
  const Brought of_all(control, one), of_each(control, both);
  demand(control.network.forward_on(control.passes, in, of_all.view, 1, shared.skips(), shared.views.back(),
                                    all_of(workspace)));
  demand(control.network.forward_on(control.passes, in, of_each.view, 1, each.skips(), each.views.back(),
                                    all_of(workspace)));
  for (size_t i = 0; i < each.views.size(); ++i)
    EXPECT_LT(error(shared.values(i), each.values(i)), allowed(DType::kF32)) << i;
}

TEST(DeviceTaesd, AgreesWithDiffusers) {
  const WeightFile file = take(WeightFile::open(folder("taesd")));
  const CheckpointPart<TaesdConfig> part = {
      take(read_taesd_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("taesd"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<Taesd> tiny(part, compute);
    std::vector<float> decoded, encoded;
    const TensorView pictures = view_of(decoded, e.view("decoded")),
                     latents = view_of(encoded, e.view("encoded"));
    const DeviceBuffer to_decode = tiny.workspace(tiny.network.device_decode_workspace_bytes(2, 5, 3)),
                       to_encode = tiny.workspace(tiny.network.device_encode_workspace_bytes(2, 5, 3));
    for (int i = 0; i < 3; ++i) {  // queued, captured, launched
      demand(tiny.network.decode_on(tiny.passes, e.view("latents"), pictures, all_of(to_decode)));
      EXPECT_LT(error(decoded, e.span<float>("decoded")), allowed(compute)) << i;
      demand(tiny.network.encode_on(tiny.passes, e.view("pictures"), latents, all_of(to_encode)));
      EXPECT_LT(error(encoded, e.span<float>("encoded")), allowed(compute)) << i;
      decoded.assign(decoded.size(), NAN), encoded.assign(encoded.size(), NAN);
    }
    EXPECT_EQ(tiny.network.decode_on(tiny.passes, e.view("latents"), pictures, all_of(to_decode).subspan(64))
                  .code(),
              StatusCode::kOutOfMemory);
    // On the host its weights are not.
    EXPECT_EQ(tiny.network.decode(e.view("latents"), pictures, {}, tiny.threads.executor()).code(),
              StatusCode::kInvalidArgument);
  }
}

// Nine input channels in two parts, a class table, an embedding of guidance, cross attention only, extents that do not halve.
TEST(DeviceUNet, TakesTheSwitchesOfPublishedModels) {
  const WeightFile file = take(WeightFile::open(folder("switches/unet")));
  const CheckpointPart<UNetConfig> part{
      take(read_unet_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("switches/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<UNet> unet(part, compute);
    EXPECT_LT(error(predict(unet, unet_inputs(e), e.view("noise")), e.span<float>("noise")),
              allowed(compute));
  }
}

// The second pass of a shape is captured, further ones are launched.
TEST(DeviceUNet, PassesThatComeAgainReadTheirOwnInputs) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const GoldenTensors e(folder("sd21/unet"));
  OnDevice<UNet> unet(checkpoint.unet(), DType::kF32);
  const UNetInputs in = unet_inputs(e);
  const TensorView like = e.view("noise");
  UNetInputs other = in;
  std::vector<float> times(in.timesteps.size(), 7),
      sample(in.sample.as<float>(), in.sample.as<float>() + in.sample.count());
  for (float& value : sample) value = -value;
  other.timesteps = times;
  other.sample.data = sample.data();
  const std::vector<float> first = predict(unet, in, like), second = predict(unet, other, like);
  ASSERT_NE(first, second);
  unet.passes = DevicePasses(unet.stream);
  const DeviceBuffer workspace = workspace_for(unet, in);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(predict(unet, in, like, workspace), first) << i;
    EXPECT_EQ(predict(unet, other, like, workspace), second) << i;
  }
  // Other weights' graph is another one, wherever they are.
  unet.network.unload();
  const DeviceBuffer elsewhere = unet.workspace(4096);
  demand(unet.network.load_on(unet.stream, unet.threads.executor()));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(predict(unet, in, like, workspace), first) << i;
}

TEST(DeviceUNet, StopsBetweenPassesThatAreGraphs) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const GoldenTensors e(folder("sd21/unet"));
  OnDevice<UNet> unet(checkpoint.unet(), DType::kF32);
  const UNetInputs in = unet_inputs(e);
  const DeviceBuffer workspace = workspace_for(unet, in);
  std::vector<float> noise;
  const TensorView out = view_of(noise, e.view("noise"));
  int asked = 0;
  const StopRequest later{[](void* count) { return ++*static_cast<int*>(count) > 3; }, &asked};
  const std::vector<float> want = predict(unet, in, out, workspace);
  for (int i = 0; i < 2; ++i) {  // while it would be captured, and before it would be launched
    asked = 0;
    EXPECT_EQ(unet.network.forward_on(unet.passes, in, out, all_of(workspace), later).code(),
              StatusCode::kCancelled);
    EXPECT_EQ(predict(unet, in, out, workspace), want);
  }
}

TEST(DeviceUNet, UnpacksQuantizedMatrices) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  const GoldenTensors e(folder("sd15/unet"));
  Threads threads(2);
  const auto made_in = fresh_folder("device_quantized_matrices");
  const WeightFormat formats[] = {WeightFormat::kQ8_0};
  const QuantizedFile made = write_quantized(checkpoint.unet().source, formats, made_in / "blocks.gguf",
                                             made_in / "values.gguf", threads.executor());
  ASSERT_GT(made.n_quantized, 0);
  std::vector<std::vector<float>> predicted;
  for (const char* name : {"blocks.gguf", "values.gguf"}) {
    const WeightFile file = take(WeightFile::open(made_in / name));
    const CheckpointPart<UNetConfig> part{checkpoint.unet().config, WeightSource::all_of(file), {}};
    OnDevice<UNet> unet(part, DType::kF32);
    predicted.push_back(predict(unet, unet_inputs(e), e.view("noise")));
  }
  EXPECT_EQ(predicted[0], predicted[1]);
}

TEST(DeviceUNet, RefusesWhatItCannotDo) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const GoldenTensors e(folder("sd21/unet"));
  OnDevice<UNet> unet(checkpoint.unet(), DType::kF32);
  std::vector<float> noise;
  const TensorView out = view_of(noise, e.view("noise"));
  UNetInputs in = unet_inputs(e);
  const DeviceBuffer workspace = workspace_for(unet, in);
  const std::span<std::byte> all = all_of(workspace);
  EXPECT_EQ(unet.network.forward_on(unet.passes, in, out, all.first(all.size() - 64)).code(),
            StatusCode::kOutOfMemory);
  const StopRequest stop{[](void*) { return true; }, nullptr};
  EXPECT_EQ(unet.network.forward_on(unet.passes, in, out, all, stop).code(), StatusCode::kCancelled);
  // On the host its weights are not.
  EXPECT_EQ(unet.network.forward(in, out, {}, unet.threads.executor()).code(), StatusCode::kInvalidArgument);
  in.mid_residual = out;  // without the others
  EXPECT_EQ(unet.network.forward_on(unet.passes, in, out, all).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft::testing
