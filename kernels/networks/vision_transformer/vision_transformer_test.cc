// CLIP's image towers against transformers, on the reduced random models of scripts/make_golden/clip_vision.py and on the
// emoji model's; and the promise that a picture's bits do not depend on the batch or the threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/networks/vision_transformer/vision_transformer.h"
#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"
#include "kernels/testing/workspace.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Workspace;

const std::string kGolden = "assets/golden/clip_vision/";

template <typename T>
T take(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(to_string(result.error()));
  return std::move(*result);
}
void demand(const Status& status) {
  if (!status.ok()) throw std::runtime_error(to_string(status.error()));
}

std::vector<float> read(const std::string& file, const char* name) {
  const WeightFile weights = take(WeightFile::open(file));
  const WeightTensor& tensor = *take(weights.tensor(name));
  std::vector<float> values(static_cast<size_t>(tensor.count()));
  std::memcpy(values.data(), tensor.data, values.size() * 4);
  return values;
}

double error(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return INFINITY;
  return testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
}

// A folder's tower, opened and loaded.
struct Tower {
  explicit Tower(const std::string& folder, DType compute = DType::kF32, uint32_t n_threads = 2)
      : threads(n_threads),
        file(take(WeightFile::open(folder))),
        clip(take(VisionTransformer::open(vision_transformer_source(file),
                                          take(read_vision_transformer_config(file.metadata())), compute))) {
    demand(clip.load(store, "golden", threads.executor()));
  }
  struct Output {
    std::vector<float> hidden, pooled;
    bool operator==(const Output&) const = default;
  };
  Output encode(std::vector<float> pictures) const {
    const VisionTransformerConfig& c = clip.config();
    const int64_t n = static_cast<int64_t>(pictures.size()) / (c.image_size * c.image_size * 3);
    Output out;
    out.hidden.assign(static_cast<size_t>(n * c.n_tokens() * c.width), NAN);
    out.pooled.assign(static_cast<size_t>(n * c.projection_width), NAN);
    Workspace workspace(clip.workspace_bytes(n, threads.executor().max_threads()));
    demand(clip.forward(
        TensorView::contiguous(pictures.data(), DType::kF32, {n, c.image_size, c.image_size, 3}),
        {.hidden = out.hidden.data(), .pooled = out.pooled.data()}, workspace.span(), threads.executor()));
    return out;
  }

  testing::Threads threads;
  WeightFile file;
  HeapWeightStore store;
  VisionTransformer clip;
};

class VisionTransformerGolden : public ::testing::TestWithParam<const char*> {
 protected:
  std::string folder() const { return kGolden + GetParam(); }
  std::vector<float> expected(const char* name) const {
    return read(folder() + "/expected.safetensors", name);
  }
};

TEST_P(VisionTransformerGolden, AgreesWithTransformers) {
  for (const auto& [compute, allowed] : {std::pair(DType::kF32, 1e-4), std::pair(DType::kBF16, 2e-2)}) {
    const Tower::Output got = Tower(folder(), compute).encode(expected("pictures"));
    EXPECT_LT(error(got.hidden, expected("hidden")), allowed);
    EXPECT_LT(error(got.pooled, expected("pooled")), allowed);
  }
}

TEST_P(VisionTransformerGolden, BitsOfAPictureDoNotDependOnTheBatchOrTheThreads) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const std::vector<float> pictures = expected("pictures");
    const Tower tower(folder(), compute);
    const Tower::Output together = tower.encode(pictures);
    for (uint32_t n_threads : {1, 3})
      EXPECT_EQ(Tower(folder(), compute, n_threads).encode(pictures), together);
    const size_t one = pictures.size() / 3;
    const Tower::Output alone = tower.encode({pictures.begin() + static_cast<std::ptrdiff_t>(one),
                                              pictures.begin() + static_cast<std::ptrdiff_t>(2 * one)});
    EXPECT_EQ(std::memcmp(alone.hidden.data(), together.hidden.data() + alone.hidden.size(),
                          alone.hidden.size() * 4),
              0);
    EXPECT_EQ(std::memcmp(alone.pooled.data(), together.pooled.data() + alone.pooled.size(),
                          alone.pooled.size() * 4),
              0);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, VisionTransformerGolden, ::testing::Values("tower", "whole"),
                         [](const auto& model) { return std::string(model.param); });

TEST(VisionTransformerEmoji, AgreesWithTransformers) {
  const Tower tower("assets/models/emoji/clip");
  const int64_t size = tower.clip.config().image_size;
  std::vector<float> picture;
  for (int64_t i = 0; i < size * size * 3; ++i)
    picture.push_back(static_cast<float>(static_cast<double>(7919 * i % 255) / 127.5 - 1));
  EXPECT_LT(error(tower.encode(picture).pooled, read(kGolden + "emoji.safetensors", "pooled")), 1e-4);
}

// A tower of ViT-L/14's size, where scripts/make_golden/clip_vision.py --full has put one.
TEST(VisionTransformerFullSize, AgreesWithTransformers) {
  const char* folder = std::getenv("WEFT_FULL_VISION");
  if (!folder) GTEST_SKIP() << "skipped: WEFT_FULL_VISION names no folder";
  const std::string expected = std::string(folder) + "/expected.safetensors";
  for (const auto& [compute, allowed] : {std::pair(DType::kF32, 1e-4), std::pair(DType::kBF16, 2e-2)}) {
    const Tower::Output got = Tower(folder, compute).encode(read(expected, "pictures"));
    const double hidden = error(got.hidden, read(expected, "hidden"));
    const double pooled = error(got.pooled, read(expected, "pooled"));
    std::printf("%s: hidden states %.2g, vectors %.2g\n", compute == DType::kF32 ? "f32" : "bf16", hidden,
                pooled);
    EXPECT_LT(hidden, allowed);
    EXPECT_LT(pooled, allowed);
  }
}

TEST(VisionTransformerForward, RefusesOtherPicturesAndCanBeStopped) {
  const Tower tower(kGolden + "tower");
  std::vector<float> pictures(2 * 20 * 20 * 3), pooled(2 * 24);
  Workspace workspace(tower.clip.workspace_bytes(2, 2));
  const auto code = [&](const TensorView& view, const StopRequest& stop = {}) {
    return tower.clip
        .forward(view, {.pooled = pooled.data()}, workspace.span(), tower.threads.executor(), stop)
        .code();
  };
  const TensorView good = TensorView::contiguous(pictures.data(), DType::kF32, {2, 20, 20, 3});
  EXPECT_EQ(code(good), StatusCode::kOk);
  EXPECT_EQ(code(TensorView::contiguous(pictures.data(), DType::kF32, {2, 20, 19, 3})),
            StatusCode::kInvalidShape);
  EXPECT_EQ(code(TensorView::contiguous(pictures.data(), DType::kF32, {2, 20, 20, 1})),
            StatusCode::kInvalidShape);
  EXPECT_EQ(code(TensorView::contiguous(pictures.data(), DType::kBF16, {2, 20, 20, 3})),
            StatusCode::kUnsupported);
  EXPECT_EQ(code(good, {[](void*) { return true; }, nullptr}), StatusCode::kCancelled);
}

// What opening the folder says, or "accepted".
std::string refusal_of(const std::filesystem::path& folder) {
  const WeightFile file = take(WeightFile::open(folder));
  const Result<VisionTransformerConfig> read = read_vision_transformer_config(file.metadata());
  if (!read.ok()) return to_string(read.error());
  const Result<VisionTransformer> clip =
      VisionTransformer::open(vision_transformer_source(file), *read, DType::kF32);
  return clip.ok() ? "accepted" : to_string(clip.error());
}

TEST(VisionTransformerOpen, NamesWhatIsWrong) {
  const auto refusal = [](const std::string& name, const std::string& config) -> std::string {
    const std::filesystem::path folder = testing::fresh_folder("vision_transformer_" + name);
    std::filesystem::copy_file(kGolden + "tower/model.safetensors", folder / "model.safetensors");
    testing::write_file(folder / "config.json", config);
    return refusal_of(folder);
  };
  EXPECT_THAT(refusal("type", R"({"model_type": "resnet"})"),
              AllOf(HasSubstr("resnet"), HasSubstr("clip_vision_model")));
  EXPECT_THAT(refusal("patch", R"({"model_type": "clip_vision_model", "image_size": 8, "patch_size": 9})"),
              HasSubstr("patches of 9 pixels"));
  EXPECT_THAT(
      refusal("shape", R"({"model_type": "clip_vision_model", "hidden_size": 32, "num_attention_heads": 4})"),
      HasSubstr("'embeddings.patch_embedding.weight' is [32, 3, 6, 6], not [32, 3, 32, 32]"));
}

// A folder of OpenCLIP's with one entry of its configuration changed: "" leaves it as it is.
class OpenClipVision : public ::testing::Test {
 protected:
  static std::string refusal(const std::string& from, const std::string& to) {
    const std::filesystem::path golden = "assets/golden/open_clip/models/custom",
                                folder = testing::fresh_folder("vision_open_clip");
    std::filesystem::copy_file(golden / "open_clip_model.safetensors",
                               folder / "open_clip_model.safetensors");
    std::ostringstream text;
    text << std::ifstream(golden / "open_clip_config.json").rdbuf();
    std::string config = text.str();
    const size_t at = config.find(from);
    if (at == std::string::npos) return "there is no " + from;
    testing::write_file(folder / "open_clip_config.json", config.replace(at, from.size(), to));
    return refusal_of(folder);
  }
  // The tower's first key comes behind these.
  static std::string with(const std::string& keys) {
    return refusal("\"vision_cfg\": {", "\"vision_cfg\": {" + keys + ", ");
  }
};

TEST_F(OpenClipVision, TakesWhatChangesNothing) {
  EXPECT_EQ(refusal("", ""), "accepted");
  EXPECT_EQ(
      with(R"("patch_dropout": 0.5, "output_tokens": true, "pool_type": "tok", "final_ln_after_pool": true,
                     "qk_norm": false, "block_type": null, "act_kwargs": {}, "timm_pool": "avg")"),
      "accepted");
}

TEST_F(OpenClipVision, NamesTheKeyOfWhatItCannotDo) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("timm_model_name": "convnext_base", "timm_drop": 0.0)", "vision_cfg.timm_model_name"},
      {R"("attentional_pool": true)", "vision_cfg.attentional_pool"},
      {R"("attentional_pool": "parallel")", "vision_cfg.attentional_pool"},
      {R"("pool_type": "avg")", "vision_cfg.pool_type"},
      {R"("pool_type": 3)", "vision_cfg.pool_type"},
      {R"("ls_init_value": 1e-5)", "vision_cfg.ls_init_value"},
      {R"("qk_norm": true)", "vision_cfg.qk_norm"},
      {R"("pos_embed_type": "rope")", "vision_cfg.pos_embed_type"},
      {R"("act_kwargs": {"approximate": "sigmoid"})", "vision_cfg.act_kwargs.approximate"},
      {R"("act_kwargs": {"inplace": true})", "vision_cfg.act_kwargs.inplace"}};
  for (const auto& [keys, key] : cases)
    EXPECT_THAT(with(keys),
                AllOf(HasSubstr(std::string("'model_cfg.") + key + "'"), HasSubstr("open_clip_config.json")))
        << keys;
  EXPECT_THAT(refusal("\"layers\": 2", "\"layers\": [3, 4, 6, 3]"),
              AllOf(HasSubstr("'model_cfg.vision_cfg.layers'"), HasSubstr("ModifiedResNet")));
  EXPECT_THAT(refusal("\"embed_dim\"", "\"multimodal_cfg\": {\"heads\": 8}, \"embed_dim\""),
              AllOf(HasSubstr("'model_cfg.multimodal_cfg'"), HasSubstr("CoCa")));
  EXPECT_THAT(refusal("\"embed_dim\"", "\"init_logit_bias\": -10, \"embed_dim\""),
              HasSubstr("'model_cfg.init_logit_bias'"));
  EXPECT_THAT(refusal("\"embed_dim\"", "\"embed_width\""), HasSubstr("'model_cfg.embed_width'"));
}

TEST_F(OpenClipVision, NamesTheKeyOfAWrongValue) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"\"layers\": 2", "\"layers\": 0", "'model_cfg.vision_cfg.layers'"},
      {"\"layers\": 2", "\"layers\": \"two\"", "'model_cfg.vision_cfg.layers'"},
      {"\"width\": 32", "\"width\": -32", "'model_cfg.vision_cfg.width'"},
      {"\"head_width\": 16", "\"head_width\": 33", "'model_cfg.vision_cfg.head_width'"},
      {"\"head_width\": 16", "\"head_width\": 10", "'model_cfg.vision_cfg.head_width'"},
      {"\"mlp_ratio\": 3.1", "\"mlp_ratio\": 1e300", "'model_cfg.vision_cfg.mlp_ratio'"},
      {"\"mlp_ratio\": 3.1", "\"mlp_ratio\": 0.001", "'model_cfg.vision_cfg.mlp_ratio'"},
      {"\"patch_size\": 6", "\"patch_size\": [6, 5]", "'model_cfg.vision_cfg.patch_size'"},
      {"\"patch_size\": 6", "\"patch_size\": [\"6\"]", "'model_cfg.vision_cfg.patch_size'"},
      {"\"patch_size\": 6", "\"patch_size\": 25", "patches of 25 pixels"},
      {"\"embed_dim\": 28", "\"embed_dim\": 4294967296", "'model_cfg.embed_dim'"},
      {"\"eps\": 0.0001", "\"eps\": 0", "'model_cfg.vision_cfg.norm_kwargs.eps'"}};
  for (const auto& [from, to, key] : cases) EXPECT_THAT(refusal(from, to), HasSubstr(key)) << to;
}

TEST_F(OpenClipVision, NamesTensorsThatDoNotFit) {
  EXPECT_THAT(refusal("\"layers\": 2", "\"layers\": 3"),
              AllOf(HasSubstr("missing"), HasSubstr("encoder.layers.2.")));
  EXPECT_THAT(refusal("\"layers\": 2", "\"layers\": 1"), HasSubstr("unexpected"));
  EXPECT_THAT(refusal("\"patch_size\": 6", "\"patch_size\": 4"),
              HasSubstr("'embeddings.patch_embedding.weight' is [32, 3, 6, 6], not [32, 3, 4, 4]"));
  EXPECT_THAT(refusal("\"embed_dim\": 28", "\"embed_dim\": 29"),
              HasSubstr("'visual_projection.weight' is [28, 32], not [29, 32]"));
  EXPECT_THAT(refusal("\"no_ln_pre\": true", "\"no_ln_pre\": false"), HasSubstr("pre_layrnorm"));
}

}  // namespace
}  // namespace weft
