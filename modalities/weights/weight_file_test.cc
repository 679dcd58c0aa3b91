#include "modalities/weights/weight_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::fresh_folder;
using testing::GgufWriter;
using ::testing::HasSubstr;
using testing::safetensors_bytes;
using testing::write_file;

void add_split_keys(GgufWriter& writer, uint32_t number, uint32_t count, uint32_t tensors) {
  writer.add_u32("split.no", number).add_u32("split.count", count).add_u32("split.tensors.count", tensors);
}

// Three parts with one tensor each, "t0" to "t2", whose bytes are '0' to '2'.
fs::path write_split_model(const char* name) {
  const fs::path folder = fresh_folder(name);
  for (uint32_t i = 0; i < 3; ++i) {
    GgufWriter writer;
    add_split_keys(writer, i, 3, 3);
    if (i == 0) writer.add("general.architecture", "llama");
    writer.add_tensor("t" + std::to_string(i), WeightFormat::kF32, {2},
                      std::string(8, static_cast<char>('0' + i)));
    writer.save(folder / ("m-0000" + std::to_string(i + 1) + "-of-00003.gguf"));
  }
  return folder;
}

TEST(WeightFile, OpensASplitModelFromAnyPartOrItsFolder) {
  const fs::path folder = write_split_model("split");
  for (const fs::path& path : {folder / "m-00001-of-00003.gguf", folder / "m-00002-of-00003.gguf",
                               folder / "m-00003-of-00003.gguf", folder}) {
    const Result<WeightFile> file = WeightFile::open(path);
    ASSERT_TRUE(file.ok()) << to_string(file.error());
    EXPECT_EQ(file->files().size(), 3u);
    EXPECT_EQ(*file->metadata().string("general.architecture"), "llama");
    for (int i = 0; i < 3; ++i) {
      const Result<const WeightTensor*> tensor = file->tensor("t" + std::to_string(i));
      ASSERT_TRUE(tensor.ok());
      EXPECT_EQ(static_cast<char>((*tensor)->bytes().front()), '0' + i);
      EXPECT_EQ((*tensor)->file, static_cast<uint32_t>(i));
      file->drop_pages(**tensor);
      EXPECT_EQ(static_cast<char>((*tensor)->bytes().back()), '0' + i);
    }
    EXPECT_EQ(file->size_bytes(), 24u);
  }
}

// What OpenCLIP and timm publish lies beside transformers' files, or alone.
TEST(WeightFile, OpensOpenClipsFilesWhereThereAreNoOthers) {
  const auto tensors = [](const std::string& name) {
    return safetensors_bytes("{\"" + name + R"(": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
                             std::string(4, '\0'));
  };
  const auto opened = [](const fs::path& path) -> std::string {
    const Result<WeightFile> file = WeightFile::open(path);
    if (!file.ok()) return to_string(file.error());
    return file->tensors().front().name + " " + fs::path(file->metadata().source()).filename().string();
  };
  const fs::path folder = fresh_folder("open_clip");
  write_file(folder / "open_clip_model.safetensors", tensors("visual.proj"));
  EXPECT_THAT(opened(folder),
              HasSubstr("open_clip_model.safetensors"));  // without its configuration: not there
  write_file(folder / "open_clip_config.json", R"({"model_cfg": {"embed_dim": 8}})");
  EXPECT_EQ(opened(folder), "visual.proj open_clip_config.json");
  write_file(folder / "model.safetensors", tensors("blocks.0"));
  write_file(folder / "config.json", R"({"architecture": "vit_base_patch32_clip_224"})");
  EXPECT_EQ(opened(folder), "visual.proj open_clip_config.json");
  write_file(folder / "config.json", R"({"model_type": "clip"})");
  EXPECT_EQ(opened(folder), "blocks.0 config.json");
  EXPECT_EQ(opened(folder / "open_clip_model.safetensors"), "visual.proj open_clip_config.json");
  fs::remove(folder / "model.safetensors");
  EXPECT_EQ(opened(folder), "visual.proj open_clip_config.json");
}

TEST(WeightFile, RefusesAnIncompleteOrMixedUpSplitModel) {
  fs::path folder = write_split_model("split_missing");
  fs::remove(folder / "m-00002-of-00003.gguf");
  EXPECT_EQ(WeightFile::open(folder / "m-00001-of-00003.gguf").code(), StatusCode::kNotFound);

  folder = write_split_model("split_swapped");
  fs::copy_file(folder / "m-00003-of-00003.gguf", folder / "m-00002-of-00003.gguf",
                fs::copy_options::overwrite_existing);
  Result<WeightFile> file = WeightFile::open(folder / "m-00001-of-00003.gguf");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(to_string(file.error()), HasSubstr("split.no"));

  folder = write_split_model("split_renamed");
  fs::rename(folder / "m-00001-of-00003.gguf", folder / "whole.gguf");
  file = WeightFile::open(folder / "whole.gguf");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(to_string(file.error()), HasSubstr("split.count"));

  folder = write_split_model("split_lost_tensor");
  GgufWriter writer;
  add_split_keys(writer, 2, 3, 3);
  writer.save(folder / "m-00003-of-00003.gguf");
  file = WeightFile::open(folder / "m-00001-of-00003.gguf");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(to_string(file.error()), HasSubstr("all tensors"));

  folder = write_split_model("split_same_tensor");
  GgufWriter twice;
  add_split_keys(twice, 2, 3, 3);
  twice.add_tensor("t0", WeightFormat::kF32, {2}, std::string(8, 'x')).save(folder / "m-00003-of-00003.gguf");
  file = WeightFile::open(folder / "m-00001-of-00003.gguf");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(to_string(file.error()), HasSubstr("twice"));
}

TEST(WeightFile, NamesTheNearestTensor) {
  const fs::path folder = fresh_folder("nearest");
  GgufWriter writer;
  writer.add_tensor("blk.0.attn_q.weight", WeightFormat::kF32, {2}, std::string(8, 'x'));
  writer.add_raw_tensor("odd", {256}, 16, 32, std::string(96, 'x'));
  writer.save(folder / "m.gguf");
  const Result<WeightFile> file = WeightFile::open(folder / "m.gguf");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(file->tensor("blk.0.attn_k.weight").code(), StatusCode::kNotFound);
  EXPECT_THAT(file->tensor("blk.0.attn_k.weight").error().hint, HasSubstr("'blk.0.attn_q.weight'"));
  EXPECT_EQ(file->tensor("something else entirely").error().hint, "");
  EXPECT_EQ(file->tensor("odd").code(), StatusCode::kUnsupported);
  EXPECT_EQ(file->tensor("odd").error().got, "IQ2_XXS");
  EXPECT_THAT(file->where(file->tensors()[0]), HasSubstr("m.gguf, tensor 'blk.0.attn_q.weight', offset "));
}

TEST(WeightFile, OpensAHuggingFaceFolder) {
  const fs::path folder = fresh_folder("hf");
  write_file(folder / "config.json", R"({"model_type": "llama", "num_hidden_layers": 2})");
  write_file(
      folder / "model.safetensors",
      safetensors_bytes(
          R"({"__metadata__": {"format": "pt"}, "a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}})",
          "12345678"));
  for (const fs::path& path : {folder, folder / "model.safetensors"}) {
    const Result<WeightFile> file = WeightFile::open(path);
    ASSERT_TRUE(file.ok()) << to_string(file.error());
    EXPECT_EQ(file->container(), WeightContainer::kSafetensors);
    EXPECT_EQ(file->folder(), folder);
    EXPECT_EQ(*file->metadata().integer("num_hidden_layers"), 2);
    EXPECT_EQ(*file->metadata().string("__metadata__.format"), "pt");
    EXPECT_EQ((*file->tensor("a"))->format, WeightFormat::kBF16);
  }
  fs::remove(folder / "config.json");
  EXPECT_TRUE(WeightFile::open(folder / "model.safetensors").ok());
}

// Two shards, "a" and "b", and this index.
fs::path write_shards(const char* name, const std::string& index) {
  const fs::path folder = fresh_folder(name);
  write_file(folder / "config.json", "{}");
  write_file(
      folder / "one.safetensors",
      safetensors_bytes(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "aaaaaaaa"));
  write_file(
      folder / "two.safetensors",
      safetensors_bytes(R"({"b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "bbbbbbbb"));
  write_file(folder / "model.safetensors.index.json", index);
  return folder;
}

TEST(WeightFile, OpensShards) {
  const fs::path folder = write_shards(
      "shards",
      R"({"metadata": {"total_size": 16}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  const Result<WeightFile> file = WeightFile::open(folder);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(static_cast<char>((*file->tensor("b"))->bytes().front()), 'b');
}

TEST(WeightFile, RefusesIndexesThatLieOrLeaveTheFolder) {
  const struct {
    const char* index;
    const char* says;
  } cases[] = {
      {"[]", "weight_map"},
      {R"({"weight_map": []})", "weight_map"},
      {R"({"weight_map": {}})", "empty"},
      {R"({"weight_map": {"a": 1}})", "not a string"},
      {R"({"weight_map": {"a": "../one.safetensors"}})", "not a file of this folder"},
      {R"({"weight_map": {"a": "/etc/passwd"}})", "not a file of this folder"},
      {R"({"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}})", "twice"},
      {R"({"weight_map": {"a": "missing.safetensors"}})", "No such file"},
      {R"({"weight_map": {"a": "two.safetensors"}})", "in no shard"},
      {R"({"weight_map": {"a": "two.safetensors", "b": "one.safetensors"}})", "not in the shard"},
  };
  for (const auto& c : cases) {
    const Result<WeightFile> file = WeightFile::open(write_shards("bad_shards", c.index));
    ASSERT_FALSE(file.ok()) << c.index;
    EXPECT_THAT(to_string(file.error()), HasSubstr(c.says)) << c.index;
  }
}

TEST(WeightFile, RefusesWhatIsNoModel) {
  const fs::path folder = fresh_folder("no_model");
  EXPECT_EQ(WeightFile::open(folder).code(), StatusCode::kNotFound);
  EXPECT_EQ(WeightFile::open(folder / "missing.gguf").code(), StatusCode::kNotFound);
  write_file(folder / "a.gguf", "");
  EXPECT_EQ(WeightFile::open(folder / "a.gguf").code(), StatusCode::kUnsupported);
  GgufWriter().save(folder / "b.gguf");
  EXPECT_EQ(WeightFile::open(folder).code(), StatusCode::kInvalidArgument);  // which of the two?
  EXPECT_TRUE(WeightFile::open(folder / "b.gguf").ok());
  write_file(folder / "c.safetensors", "x");
  EXPECT_EQ(WeightFile::open(folder / "c.safetensors").code(), StatusCode::kCorruptData);
}

}  // namespace
}  // namespace weft
