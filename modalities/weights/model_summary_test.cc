#include "modalities/weights/model_summary.h"

#include <gtest/gtest.h>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using testing::fresh_folder;
using testing::GgufWriter;

TEST(ModelSummary, SaysWhatAGgufModelIs) {
  const auto folder = fresh_folder("summary");
  GgufWriter writer;
  writer.add("general.architecture", "llama")
      .add("general.name", "Tiny")
      .add_u32("llama.context_length", 8192);
  const std::vector<std::string> tokens = {"a", "b"};
  writer.add_strings("tokenizer.ggml.tokens", tokens);
  writer.add_tensor("token_embd.weight", WeightFormat::kQ8_0, {2, 64}, std::string(4 * 34, 'x'));
  writer.add_tensor("output_norm.weight", WeightFormat::kF32, {8}, std::string(32, 'x'));
  writer.save(folder / "tiny.gguf");
  const Result<WeightFile> file = WeightFile::open(folder / "tiny.gguf");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  const ModelSummary summary = summarize_model(*file);
  EXPECT_EQ(summary.kind, "language model");
  EXPECT_EQ(summary.container, "GGUF");
  EXPECT_EQ(summary.architecture, "llama");
  EXPECT_EQ(summary.name, "Tiny");
  EXPECT_EQ(summary.format, "Q8_0");
  EXPECT_EQ(summary.parameters, 136u);
  EXPECT_EQ(summary.context_length, 8192u);
  EXPECT_EQ(summary.size_bytes, std::filesystem::file_size(folder / "tiny.gguf"));
}

TEST(ModelSummary, KnowsAdaptersAndNamelessWeights) {
  const auto folder = fresh_folder("summary_adapter");
  const std::string weights = testing::safetensors_bytes(
      R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "12345678");
  testing::write_file(folder / "adapter_model.safetensors", weights);
  testing::write_file(folder / "adapter_config.json", R"({"peft_type": "LORA", "r": 8})");
  testing::write_file(folder / "other.safetensors", weights);
  const Result<WeightFile> adapter = WeightFile::open(folder);
  ASSERT_TRUE(adapter.ok()) << to_string(adapter.error());
  EXPECT_EQ(summarize_model(*adapter).kind, "adapter");
  const Result<WeightFile> other = WeightFile::open(folder / "other.safetensors");
  ASSERT_TRUE(other.ok()) << to_string(other.error());
  EXPECT_EQ(summarize_model(*other).kind, "weights");
  EXPECT_EQ(summarize_model(*other).format, "F32");
}

TEST(ModelSummary, KnowsEncodersOfTextsAndWhichFoldersAreTheirParts) {
  const auto folder = fresh_folder("summary_encoder");
  testing::write_file(folder / "model.safetensors",
                      testing::safetensors_bytes(
                          R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "12345678"));
  testing::write_file(folder / "config.json", R"({"model_type": "bert", "architectures": ["BertModel"]})");
  testing::write_file(folder / "modules.json",
                      R"([{"path": ""}, {"path": "1_Pooling"}, {"path": "../x"}, {"path": "2_Absent"}])");
  std::filesystem::create_directory(folder / "1_Pooling");
  std::filesystem::create_directory(folder / "other");
  const Result<ModelSummary> summary = summarize_model(folder);
  ASSERT_TRUE(summary.ok()) << to_string(summary.error());
  EXPECT_EQ(summary->kind, "text encoder");
  EXPECT_EQ(model_parts(folder), std::vector<std::string>{"1_Pooling"});
}

TEST(ModelSummary, ReadsOnnxWithItsDataBesideIt) {
  const Result<ModelSummary> summary =
      summarize_model(std::filesystem::path("assets/golden/onnx/external.onnx"));
  ASSERT_TRUE(summary.ok()) << to_string(summary.error());
  EXPECT_EQ(summary->container, "ONNX");
  EXPECT_EQ(summary->kind, "network");
  EXPECT_EQ(summary->name, "mlp");
  EXPECT_EQ(summary->format, "F32");
  EXPECT_EQ(summary->parameters, 4u * 8 + 8 + 8 * 3);
  EXPECT_EQ(summary->files, 2u);
  EXPECT_EQ(summary->size_bytes, std::filesystem::file_size("assets/golden/onnx/external.onnx") +
                                     std::filesystem::file_size("assets/golden/onnx/external.bin"));
}

}  // namespace
}  // namespace weft
