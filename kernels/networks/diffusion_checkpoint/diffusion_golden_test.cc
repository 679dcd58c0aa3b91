// Every network of the Stable Diffusion family against diffusers and transformers, on the reduced random models of
// scripts/make_golden/diffusion.py: from diffusers folders and from single files, in f32 and bf16.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/control_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_lora.h"
#include "kernels/networks/diffusion_checkpoint/taesd_checkpoint.h"
#include "kernels/networks/unet/unet.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using testing::Workspace;

constexpr double kTolerance = 1e-4, kBf16Tolerance = 2e-2;  // relative, of f32 and bf16 compute

// The published models' shapes, reduced as the golden models are.
constexpr UntoldShapes kReduced = {
    .groups = 4, .heads = 4, .head_dim = 4, .text_head_dim = 8, .added_time_width = 8};

double allowed(DType compute) { return compute == DType::kF32 ? kTolerance : kBf16Tolerance; }

std::string folder(const std::string& name) { return "assets/golden/diffusion/" + name; }

template <typename T>
T take(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(to_string(result.error()));
  return std::move(*result);
}
void demand(const Status& status) {
  if (!status.ok()) throw std::runtime_error(to_string(status.error()));
}

// A golden file's tensors as the networks take them.
class Expected {
 public:
  explicit Expected(const std::string& part)
      : file_(take(WeightFile::open(part + "/expected.safetensors"))) {}
  explicit Expected(WeightFile file) : file_(std::move(file)) {}
  TensorView view(const char* name) const {
    const WeightTensor& t = *take(file_.tensor(name));
    TensorView view;
    view.data = const_cast<std::byte*>(t.data);
    view.rank = t.rank;
    int64_t stride = 1;
    for (int i = t.rank - 1; i >= 0; --i) {
      view.shape[i] = t.extents[i];
      view.strides[i] = stride;
      stride *= t.extents[i];
    }
    return view;
  }
  TensorView view_or_none(const char* name) const { return file_.find(name) ? view(name) : TensorView(); }
  bool has(const char* name) const { return file_.find(name) != nullptr; }
  template <typename T>
  std::span<const T> span(const char* name) const {
    const TensorView v = view(name);
    return {v.as<const T>(), static_cast<size_t>(v.count())};
  }

 private:
  WeightFile file_;
};

double error(const std::vector<float>& got, std::span<const float> want) {
  if (got.size() != want.size()) return INFINITY;
  return testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
}

TensorView view_of(std::vector<float>& values, const TensorView& like) {
  values.assign(static_cast<size_t>(like.count()), NAN);
  TensorView view = like;
  view.data = values.data();
  return view;
}

TensorView first_image(TensorView view) {
  view.shape[0] = 1;
  return view;
}

// A network opened and loaded.
template <typename Network>
struct Loaded {
  template <typename Config>
  Loaded(const CheckpointPart<Config>& part, DType compute, uint32_t n_threads = 2)
      : threads(n_threads), network(take(Network::open(part.source, part.config, compute))) {
    demand(network.load(store, "golden", threads.executor()));
  }
  testing::Threads threads;
  HeapWeightStore store;
  Network network;
};

UNetInputs unet_inputs(const Expected& e) {
  UNetInputs in;
  in.sample = e.view("sample");
  in.timesteps = e.span<float>("timesteps");
  in.context = e.view("context");
  in.pooled = e.view_or_none("pooled");
  in.sizes = e.view_or_none("sizes");
  in.guidance = e.view_or_none("guidance");
  if (e.has("classes")) in.classes = e.span<int32_t>("classes");
  return in;
}

std::vector<float> predict(Loaded<UNet>& u, const UNetInputs& in, const TensorView& like) {
  std::vector<float> noise;
  const TensorView out = view_of(noise, like);
  Workspace workspace(u.network.workspace_bytes(
      {in.sample.shape[0], in.sample.shape[1], in.sample.shape[2], in.context.shape[1]},
      u.threads.executor().max_threads()));
  demand(u.network.forward(in, out, workspace.span(), u.threads.executor()));
  return noise;
}

std::vector<float> decode(Loaded<Vae>& v, const TensorView& latents, const TensorView& like) {
  std::vector<float> pictures;
  const TensorView out = view_of(pictures, like);
  Workspace workspace(v.network.decode_workspace_bytes(latents.shape[0], latents.shape[1], latents.shape[2],
                                                       v.threads.executor().max_threads()));
  demand(v.network.decode(latents, out, workspace.span(), v.threads.executor()));
  return pictures;
}

std::vector<float> encode(Loaded<Vae>& v, const TensorView& pictures, const TensorView& like) {
  std::vector<float> moments;
  const TensorView out = view_of(moments, like);
  Workspace workspace(v.network.encode_workspace_bytes(like.shape[0], like.shape[1], like.shape[2],
                                                       v.threads.executor().max_threads()));
  demand(v.network.encode(pictures, out, workspace.span(), v.threads.executor()));
  return moments;
}

struct TextOutputs {
  std::vector<float> hidden, pooled;
};

TextOutputs encode_text(Loaded<ClipText>& t, const Expected& e, int64_t skipped_layers, bool final_norm) {
  ClipTextInputs in;
  in.tokens = e.span<int32_t>("tokens");
  in.n_sequences = e.view("tokens").shape[0];
  in.skipped_layers = skipped_layers;
  in.final_norm = final_norm;
  TextOutputs out;
  view_of(out.hidden, e.view("hidden"));
  view_of(out.pooled, e.view("pooled"));
  Workspace workspace(t.network.workspace_bytes(in.n_sequences, e.view("tokens").shape[1],
                                                t.threads.executor().max_threads()));
  demand(
      t.network.forward(in, {out.hidden.data(), out.pooled.data()}, workspace.span(), t.threads.executor()));
  return out;
}

const char* text_folder(const std::string& model, size_t i, size_t n) {
  return n == 2 && i == 1 ? "/text_encoder_2" : model == "refiner" ? "/text_encoder_2" : "/text_encoder";
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
  const Expected e(path_ + "/unet");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<UNet> unet(checkpoint_.unet(), compute);
    const std::vector<float> got = predict(unet, unet_inputs(e), e.view("noise"));
    const double off = error(got, e.span<float>("noise"));
    RecordProperty(compute == DType::kF32 ? "error_f32" : "error_bf16", std::to_string(off));
    EXPECT_LT(off, allowed(compute));
  }
}

TEST_P(DiffusionGolden, VaeAgreesWithDiffusers) {
  const Expected e(path_ + "/vae");
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
    const Expected e(path_ + text_folder(GetParam(), i, n));
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
  const Expected u(path_ + "/unet"), v(path_ + "/vae");
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
    const Expected e(path_ + text_folder(GetParam(), i, n));
    Loaded<ClipText> text(checkpoint_.text_encoders()[i], DType::kF32),
        other(single_.text_encoders()[i], DType::kF32);
    EXPECT_EQ(encode_text(text, e, 0, true).hidden, encode_text(other, e, 0, true).hidden) << i;
    EXPECT_EQ(encode_text(text, e, 0, true).pooled, encode_text(other, e, 0, true).pooled) << i;
  }
}

TEST_P(DiffusionGolden, BitsDoNotDependOnTheBatchOrTheThreads) {
  const Expected u(path_ + "/unet"), v(path_ + "/vae");
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

CheckpointPart<UNetConfig> switches() {
  static const WeightFile file = take(WeightFile::open(folder("switches/unet")));
  return {take(read_unet_config(file.metadata())), WeightSource::all_of(file), {}};
}

// Nine input channels, a class table, an embedding of guidance, cross attention only, extents that do not halve.
TEST(UNetSwitches, AgreeWithDiffusers) {
  const Expected e(folder("switches/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    Loaded<UNet> unet(switches(), compute);
    EXPECT_LT(error(predict(unet, unet_inputs(e), e.view("noise")), e.span<float>("noise")),
              allowed(compute));
  }
}

TEST(UNetSwitches, ChannelsMayComeInTwoParts) {
  const Expected e(folder("switches/unet"));
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
  const Expected e(folder("sd21/unet"));
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

TEST(DiffusionNetworks, StopOnRequest) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  const Expected u(folder("sd15/unet")), v(folder("sd15/vae"));
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
  testing::Threads threads(2);
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
  const Expected u(folder("sdxl/unet"));
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

TEST(ControlNet, AgreesWithDiffusers) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const WeightFile file = take(WeightFile::open(folder("sd21/controlnet")));
  const CheckpointPart<ControlNetConfig> part = {
      take(read_control_net_config(file.metadata())), WeightSource::all_of(file), {}};
  const Expected e(folder("sd21/controlnet")), u(folder("sd21/unet"));
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
    Workspace workspace(control.network.workspace_bytes({2, 12, 8, 7}, 2));
    demand(control.network.forward(in, e.view("picture"), 0.75f, residuals, mid, workspace.span(),
                                   control.threads.executor()));
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
  testing::Threads threads(1);
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

TEST(Taesd, AgreesWithDiffusers) {
  const WeightFile file = take(WeightFile::open(folder("taesd")));
  const CheckpointPart<TaesdConfig> part = {
      take(read_taesd_config(file.metadata())), WeightSource::all_of(file), {}};
  const Expected e(folder("taesd"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    for (uint32_t n_threads : {1, 3}) {
      Loaded<Taesd> tiny(part, compute, n_threads);
      std::vector<float> got;
      TensorView out = view_of(got, e.view("decoded"));
      Workspace decoding(tiny.network.decode_workspace_bytes(2, 5, 3, n_threads));
      demand(tiny.network.decode(e.view("latents"), out, decoding.span(), tiny.threads.executor()));
      EXPECT_LT(error(got, e.span<float>("decoded")), allowed(compute));
      out = view_of(got, e.view("encoded"));
      Workspace encoding(tiny.network.encode_workspace_bytes(2, 5, 3, n_threads));
      demand(tiny.network.encode(e.view("pictures"), out, encoding.span(), tiny.threads.executor()));
      EXPECT_LT(error(got, e.span<float>("encoded")), allowed(compute));
    }
  }
}

TEST(TaesdCheckpoint, ReadsFoldersAndOriginalDecoders) {
  const Expected e(folder("taesd"));
  for (const char* path : {"taesd", "taesd/taesd_decoder.safetensors"}) {
    const TaesdCheckpoint checkpoint = take(TaesdCheckpoint::open(folder(path)));
    Loaded<Taesd> tiny(CheckpointPart<TaesdConfig>{checkpoint.config(), checkpoint.source(), {}},
                       DType::kF32);
    std::vector<float> got;
    TensorView out = view_of(got, e.view("decoded"));
    Workspace workspace(tiny.network.decode_workspace_bytes(2, 5, 3, 2));
    demand(tiny.network.decode(e.view("latents"), out, workspace.span(), tiny.threads.executor()));
    EXPECT_LT(error(got, e.span<float>("decoded")), kTolerance) << path;
    if (path == std::string("taesd")) continue;
    out = view_of(got, e.view("encoded"));
    EXPECT_EQ(tiny.network.encode(e.view("pictures"), out, workspace.span(), tiny.threads.executor()).code(),
              StatusCode::kInvalidArgument)
        << "there is no encoder";
  }
  EXPECT_EQ(TaesdCheckpoint::open(folder("sd15/vae")).code(), StatusCode::kNotFound);
}

TEST(DiffusionLora, AgreesWithMergedWeightsUnderAllNames) {
  const std::string model = folder("sd15");
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const DiffusionCheckpoint single = take(DiffusionCheckpoint::open(model + "/ldm.safetensors", kReduced));
  const Expected u(model + "/unet"), t(model + "/text_encoder");
  const Expected adapted(take(WeightFile::open(model + "/lora_expected.safetensors")));
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
      EXPECT_LT(error(noise, adapted.span<float>("noise")), kTolerance) << name;
      EXPECT_GT(error(noise, u.span<float>("noise")), 0.05) << "the adapter does nothing";
      if (first.empty()) first = noise;
      EXPECT_EQ(noise, first) << name;
      Loaded<ClipText> text(text_part, DType::kF32);
      EXPECT_LT(error(encode_text(text, t, 0, true).hidden, adapted.span<float>("hidden")), kTolerance)
          << name;
      // And away again.
      EXPECT_EQ(take(merge_diffusion_lora(adapter, targets, -1, -1)), 10);
      Loaded<UNet> without(unet_part, DType::kF32);
      EXPECT_LT(error(predict(without, unet_inputs(u), u.view("noise")), u.span<float>("noise")), kTolerance);
    }
  }
}

TEST(DiffusionLora, KnowsOriginalNames) {
  const std::string model = folder("sdxl");
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const Expected u(model + "/unet");
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

// The model that is shipped, not a random one.
TEST(EmojiModel, AgreesWithDiffusers) {
  const std::filesystem::path model = "assets/models/emoji";
  if (!std::filesystem::exists(model / "unet")) GTEST_SKIP() << "skipped: no weights in " << model;
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(model));
  const Expected e(take(WeightFile::open(folder("emoji.safetensors"))));
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
  const Expected t(model + "/text_encoder"), u(model + "/unet"), v(model + "/vae");
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

TEST(DiffusionCheckpoint, ListsMissingMisshapenAndUnexpectedTensors) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd15")));
  UNetConfig config = checkpoint.unet().config;
  config.context_width = 31;
  config.levels[2].down_transformer_layers = 1;
  config.levels[0].up_transformer_layers = 0;
  const Result<UNet> unet = UNet::open(checkpoint.unet().source, config, DType::kF32);
  ASSERT_FALSE(unet.ok());
  EXPECT_EQ(unet.code(), StatusCode::kInvalidShape);
  const std::string message = to_string(unet.error());
  EXPECT_NE(message.find("'down_blocks.2.attentions.0.norm.weight' [16]"), std::string::npos) << message;
  EXPECT_NE(message.find("to_k.weight' is [8, 32], not [8, 31]"), std::string::npos) << message;
  EXPECT_NE(message.find("unexpected: 'up_blocks.2.attentions.0"), std::string::npos) << message;
  EXPECT_TRUE(message.starts_with("assets/golden/diffusion/sd15/unet: ")) << message;
}

TEST(DiffusionCheckpoint, SaysWhatASingleFileLacks) {
  const std::filesystem::path path = testing::fresh_folder("diffusion_single_file") / "other.safetensors";
  testing::write_file(
      path, testing::safetensors_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234"));
  const Result<DiffusionCheckpoint> checkpoint = DiffusionCheckpoint::open(path);
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.code(), StatusCode::kNotFound);
  EXPECT_EQ(checkpoint.error().message, "the file holds no UNet");
}

TEST(DiffusionCheckpoint, RefusesSwitchesThatAreNotThere) {
  Metadata metadata("config.json");
  ASSERT_TRUE(
      metadata
          .insert_owned("act_fn", MetadataType::kString, false, 1, std::string("\4\0\0\0\0\0\0\0gelu", 12))
          .ok());
  const Result<VaeConfig> config = read_vae_config(metadata);
  ASSERT_FALSE(config.ok());
}

}  // namespace
}  // namespace weft
