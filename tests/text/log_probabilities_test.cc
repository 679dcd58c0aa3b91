/// text.score against a float32 forward pass in transformers of exactly the same weights
/// (scripts/make_golden/decoder_logprobs.py), 559 tokens of English, Chinese and code.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "modalities/weights/weight_file.h"
#include "tests/text/model_variant.h"
#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

namespace fs = std::filesystem;

class TextLogProbabilities : public TextPipelineTest {
 protected:
  template <typename T>
  static std::vector<T> golden(const std::string& name, const char* tensor) {
    Result<WeightFile> file = WeightFile::open(fs::path("assets/golden/decoder") / name);
    if (!file.ok()) throw std::runtime_error(to_string(file.error()));
    const WeightTensor* found = file->find(tensor);
    std::vector<T> values(found->size_bytes / sizeof(T));
    std::memcpy(values.data(), found->data, found->size_bytes);
    return values;
  }

  /// Mean absolute difference in nats. model: a path as a pipeline gives it.
  double difference(const std::string& model, const std::string& kv_type, const std::string& golden_name) {
    std::ifstream stream("assets/golden/decoder/mixed_text.txt", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    Json pipeline = pipeline_of("text.score", {{"text", text}, {"kv_type", kv_type}}, {"scores"});
    pipeline["models"] = {{"m", {{"path", model}}}};
    const Json scores = outputs(pipeline)["scores"];
    const std::vector<float> want = golden<float>(golden_name, "logprobs");
    EXPECT_EQ(scores["tokens"].get<std::vector<int32_t>>(), golden<int32_t>(golden_name, "tokens"));
    EXPECT_EQ(scores["logprobs"].size(), want.size() + 1);
    EXPECT_TRUE(scores["logprobs"][0].is_null());
    double sum = 0;
    for (size_t i = 0; i < want.size(); ++i)
      sum += std::abs(scores["logprobs"][i + 1].get<double>() - want[i]);
    const double mean = sum / static_cast<double>(want.size());
    std::printf("%s, KV cache %s: mean absolute difference %.5f nats\n", model.c_str(), kv_type.c_str(),
                mean);
    return mean;
  }

  /// SmolLM2 with its weights in another type, below folder().
  std::string variant(const char* name, WeightFormat format) {
    write_variant(find_model(kSmolLm2), {.matrices = format}, folder() / name);
    return name;
  }
};

TEST_F(TextLogProbabilities, OfF32WeightsAgreeWithFloat32) {
  const std::string model = variant("f32.gguf", WeightFormat::kF32);
  EXPECT_LE(difference(model, "f32", "smollm2_logprobs.safetensors"), 0.0001);
  EXPECT_LE(difference(model, "f16", "smollm2_logprobs.safetensors"), 0.002);
}

TEST_F(TextLogProbabilities, OfF16WeightsAgreeWithFloat32) {
  const std::string model = variant("f16.gguf", WeightFormat::kF16);
  EXPECT_LE(difference(model, "f32", "smollm2_f16_logprobs.safetensors"), 0.0001);
  EXPECT_LE(difference(model, "f16", "smollm2_f16_logprobs.safetensors"), 0.002);
}

// The limits are llama.cpp's own distances on the same tokens.
TEST_F(TextLogProbabilities, OfQuantizedWeightsAreAsNearAsThePeers) {
  EXPECT_LE(difference(kSmolLm2, "f16", "smollm2_logprobs.safetensors"), 0.062);
  if (find_model(kGemma3).empty())
    GTEST_SKIP() << "skipped: no " << kGemma3 << "; run scripts/fetch_models --all";
  EXPECT_LE(difference(kGemma3, "f16", "gemma3_270m_logprobs.safetensors"), 0.095);
}

}  // namespace
}  // namespace weft::testing
