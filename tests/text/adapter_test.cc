/// LoRA adapters of a pipeline's model, from GGUF and from PEFT's safetensors.
#include <cmath>
#include <cstring>

#include "modalities/weights/testing/model_file_writer.h"
#include "tests/text/model_variant.h"
#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kWidth = 576, kInner = 1536, kRank = 2;  // of SmolLM2, and of the adapter

/// One low-rank pair for the second layer's down projection, in both kinds of file.
class TextAdapter : public TextPipelineTest {
 protected:
  void SetUp() override {
    TextPipelineTest::SetUp();
    if (IsSkipped()) return;
    // Without quantised weights, whose rounding of activations would hide small differences; few layers for speed.
    write_variant(find_model(kSmolLm2), {.matrices = WeightFormat::kF16, .layers = 2},
                  folder() / "base.gguf");
    const std::string a = waves(kRank * kInner, 0.05F), b = waves(kWidth * kRank, 0.2F);
    GgufWriter writer;
    writer.add("general.type", "adapter").add("general.architecture", "llama").add("adapter.type", "lora");
    writer.add_f32("adapter.lora.alpha", 4);
    writer.add_tensor("blk.1.ffn_down.weight.lora_a", WeightFormat::kF32, {kRank, kInner}, a);
    writer.add_tensor("blk.1.ffn_down.weight.lora_b", WeightFormat::kF32, {kWidth, kRank}, b);
    writer.save(folder() / "style.gguf");
    const std::string layer = "base_model.model.model.layers.1.mlp.down_proj.";
    const Json header = {
        {layer + "lora_A.weight",
         {{"dtype", "F32"}, {"shape", {kRank, kInner}}, {"data_offsets", {0, a.size()}}}},
        {layer + "lora_B.weight",
         {{"dtype", "F32"}, {"shape", {kWidth, kRank}}, {"data_offsets", {a.size(), a.size() + b.size()}}}}};
    std::filesystem::create_directory(folder() / "style");
    write("style/adapter_model.safetensors", safetensors_bytes(header.dump(), a + b));
    write("style/adapter_config.json",
          R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none", "use_dora": false})");
  }

  static std::string waves(uint64_t count, float height) {
    std::string bytes(count * sizeof(float), '\0');
    for (uint64_t i = 0; i < count; ++i) {
      const float value = height * std::sin(0.7F * static_cast<float>(i));
      std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
    }
    return bytes;
  }

  /// adapters: [{"path": ..., "scale": ...}]; paths start at the model's folder.
  Json with_adapters(const Json& adapters, Json pipeline) {
    pipeline["models"] = {{"m", {{"path", "base.gguf"}, {"lora", adapters}}}};
    return pipeline;
  }
  Json logprobs(const Json& adapters) {
    const Json pipeline =
        pipeline_of("text.score", {{"text", "The sea was calm and the wind had gone."}}, {"scores"});
    return outputs(with_adapters(adapters, pipeline))["scores"]["logprobs"];
  }
};

TEST_F(TextAdapter, BothKindsOfFilesGiveTheSameBits) {
  const Json base = logprobs(Json::array()), gguf = logprobs({{{"path", "style.gguf"}}});
  EXPECT_NE(gguf, base);
  EXPECT_EQ(logprobs({{{"path", "style"}}}), gguf);
}

TEST_F(TextAdapter, ScalesAndAddsUp) {
  const Json once = logprobs({{{"path", "style.gguf"}}});
  EXPECT_EQ(logprobs({{{"path", "style.gguf"}, {"scale", 0}}}), logprobs(Json::array()));
  const Json halves =
      logprobs({{{"path", "style.gguf"}, {"scale", 0.5}}, {{"path", "style"}, {"scale", 0.5}}});
  for (size_t i = 1; i < once.size(); ++i) EXPECT_NEAR(halves[i], once[i], 1e-4) << i;
}

TEST_F(TextAdapter, ChangesWhatIsWritten) {
  const Json pipeline = pipeline_of(
      "text.generate",
      {{"prompt", "The sea"}, {"format", "raw"}, {"temperature", 0}, {"seed", 1}, {"max_tokens", 12}},
      {"text"});
  EXPECT_NE(outputs(with_adapters({{{"path", "style.gguf"}, {"scale", 100}}}, pipeline)),
            outputs(with_adapters(Json::array(), pipeline)));
}

TEST_F(TextAdapter, NamesAnAdapterThatIsNotThere) {
  const Json pipeline = pipeline_of("text.tokenize", {{"text", "x"}}, {"count"});
  const Result<Json> result = run(with_adapters({{{"path", "stile.gguf"}}}, pipeline));
  ASSERT_EQ(result.code(), StatusCode::kNotFound);
  EXPECT_THAT(to_string(result.error()), HasSubstr("stile.gguf"));
}

}  // namespace
}  // namespace weft::testing
