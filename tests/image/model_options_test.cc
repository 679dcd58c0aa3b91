/// Options of the model type image.diffusion: precision, adapters, learned embeddings, tokenizers; and what it refuses.
#include <cmath>

#include "modalities/weights/testing/model_file_writer.h"
#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ImageModelOptions : public ImagePipelineTest {
 protected:
  static Json apple_with(const std::string& prompt, const Json& model_options) {
    Json pipeline = pipeline_of(
        "image.generate",
        {{"prompt", prompt}, {"steps", 3}, {"cfg", 4.0}, {"seed", 7}, {"width", 32}, {"height", 32}},
        {"image"});
    Json model = {{"path", fs::absolute("assets/models/emoji").string()}, {"precision", "f32"}};
    model.update(model_options);
    pipeline["models"] = {{"m", model}};
    return pipeline;
  }
  std::vector<int> paint(const std::string& prompt, const Json& model_options = Json::object()) {
    return pixels_of(outputs(apple_with(prompt, model_options))["image"]);
  }
  /// A file of f32 tensors whose values are waves.
  std::string write_tensors(const std::string& name,
                            const std::vector<std::pair<std::string, std::vector<uint64_t>>>& tensors,
                            float amplitude) {
    Json header = Json::object();
    std::string data;
    for (const auto& [tensor, shape] : tensors) {
      uint64_t count = 1;
      for (uint64_t extent : shape) count *= extent;
      const uint64_t begin = data.size();
      for (uint64_t i = 0; i < count; ++i) {
        const float value = amplitude * std::sin(0.7f * static_cast<float>(i) + 1);
        data.append(reinterpret_cast<const char*>(&value), sizeof value);
      }
      header[tensor] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
    }
    const fs::path path = folder() / name;
    write_file(path, safetensors_bytes(header.dump(), data));
    return path.string();
  }
};

TEST_F(ImageModelOptions, PrecisionIsNearlyTheSame) {
  const double psnr = peak_signal_to_noise(paint("red apple"), paint("red apple", {{"precision", "bf16"}}));
  EXPECT_GT(psnr, 30);
  EXPECT_TRUE(std::isfinite(psnr));  // it is not the same
}

TEST_F(ImageModelOptions, AnAdapterChangesThePictureByItsScale) {
  const std::string layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v";
  const std::string path =
      write_tensors("style.safetensors",
                    {{layer + ".lora_A.weight", {2, 192}}, {layer + ".lora_B.weight", {192, 2}}}, 0.5f);
  const auto with_scale = [&](double scale) {
    return paint("red apple", {{"lora", Json::array({{{"path", path}, {"scale", scale}}})}});
  };
  EXPECT_EQ(with_scale(0), paint("red apple"));
  EXPECT_NE(with_scale(1), paint("red apple"));
  EXPECT_NE(with_scale(1), with_scale(0.5));
}

TEST_F(ImageModelOptions, AdaptersOfBothNotationsAddUp) {
  const std::vector<uint64_t> down = {2, 192}, up = {192, 2};
  const std::string diffusers =
      write_tensors("diffusers.safetensors",
                    {{"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v.lora_A.weight", down},
                     {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v.lora_B.weight", up}},
                    0.5f);
  const std::string kohya = write_tensors(
      "kohya.safetensors",
      {{"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v.lora_down.weight", down},
       {"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v.lora_up.weight", up}},
      0.5f);
  const auto with_scales = [&](double first, double second) {
    return paint("red apple", {{"lora", Json::array({{{"path", diffusers}, {"scale", first}},
                                                     {{"path", kohya}, {"scale", second}}})}});
  };
  const std::vector<int> once = with_scales(1, 0);
  EXPECT_NE(once, paint("red apple"));
  EXPECT_EQ(with_scales(0, 1), once);
  EXPECT_GT(peak_signal_to_noise(with_scales(0.25, 0.75), once), 50);
  EXPECT_GT(peak_signal_to_noise(with_scales(1, -1), paint("red apple")), 50);
}

TEST_F(ImageModelOptions, ALearnedEmbeddingStandsForItsName) {
  const std::string path = write_tensors("cat.safetensors", {{"emb_params", {2, 192}}}, 0.05f);
  const Json options = {{"embeddings", Json::array({{{"name", "<cat>"}, {"path", path}}})}};
  EXPECT_EQ(paint("red apple", options), paint("red apple"));
  EXPECT_NE(paint("red <cat>", options), paint("red <cat>"));
}

TEST_F(ImageModelOptions, RefusesAdaptersAndEmbeddingsOfOtherModels) {
  const std::string lora = write_tensors(
      "other.safetensors",
      {{"unet.nowhere.to_q.lora_A.weight", {2, 192}}, {"unet.nowhere.to_q.lora_B.weight", {192, 2}}}, 1);
  EXPECT_THAT(refusal(apple_with("x", {{"lora", Json::array({{{"path", lora}}})}}), StatusCode::kNotFound),
              HasSubstr("nowhere"));
  const std::string wide = write_tensors("wide.safetensors", {{"emb_params", {1, 768}}}, 1);
  const std::string error =
      refusal(apple_with("x", {{"embeddings", Json::array({{{"name", "<x>"}, {"path", wide}}})}}),
              StatusCode::kInvalidShape);
  EXPECT_THAT(error, HasSubstr("[1 to 64, 192]"));
  EXPECT_THAT(error, HasSubstr("emb_params [1, 768]"));
  EXPECT_THAT(
      refusal(apple_with("x", {{"lora", Json::array({{{"file", lora}}})}}), StatusCode::kInvalidArgument),
      HasSubstr("path"));
}

TEST_F(ImageModelOptions, ListsWhatAWrongCheckpointLacks) {
  const fs::path model = folder() / "broken";
  fs::copy("assets/models/emoji", model, fs::copy_options::recursive);
  fs::remove(model / "unet" / "diffusion_pytorch_model.safetensors");
  fs::copy_file("assets/models/emoji/vae/diffusion_pytorch_model.safetensors",
                model / "unet" / "diffusion_pytorch_model.safetensors");
  Result<Json> result = run(apple_with("x", {{"path", model.string()}}));
  ASSERT_FALSE(result.ok());
  const std::string error = to_string(result.error());
  EXPECT_THAT(error, HasSubstr("conv_in.weight"));
  EXPECT_THAT(error, HasSubstr("time_embedding.linear_1.weight"));
  EXPECT_THAT(error, HasSubstr("unet"));
}

TEST_F(ImageModelOptions, TakesATokenizerFromAnotherFolder) {
  EXPECT_EQ(paint("red apple", {{"tokenizer", "tokenizer"}}), paint("red apple"));
  EXPECT_THAT(refusal(apple_with("x", {{"tokenizer", "unet"}}), StatusCode::kNotFound),
              HasSubstr("vocab.json"));
}

}  // namespace
}  // namespace weft::testing
