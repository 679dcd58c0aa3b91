#include "modalities/weights/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/weights/gguf.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;

Metadata from_json(const std::string& text) {
  Metadata metadata("config.json");
  const Result<rapidjson::Document> document = parse_json(text, "config.json");
  EXPECT_TRUE(document.ok());
  const Status status = flatten_json(*document, metadata);
  EXPECT_TRUE(status.ok()) << to_string(status.error());
  return metadata;
}

TEST(Metadata, ReadsEveryTypeOfGguf) {
  GgufWriter writer;
  writer.add("s", "text").add_u32("u", 7).add_f32("f", 0.5f).add_f32("whole", 3.0f).add_bool("b", true);
  writer.add_u64("big", 1ull << 63);
  const std::vector<std::string> strings = {"a", "", "\xFF"};
  const std::vector<float> floats = {1.5f, -2.0f};
  const std::vector<int32_t> ints = {-1, 2};
  writer.add_strings("ss", strings).add_f32s("fs", floats).add_i32s("is", ints);
  const std::string bytes = writer.bytes();
  const Result<GgufHeader> header = read_gguf(std::as_bytes(std::span(bytes)), "t.gguf");
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  const Metadata& metadata = header->metadata;
  EXPECT_EQ(*metadata.string("s"), "text");
  EXPECT_EQ(*metadata.integer("u"), 7);
  EXPECT_EQ(*metadata.number("u"), 7.0);
  EXPECT_EQ(*metadata.number("f"), 0.5);
  EXPECT_EQ(*metadata.integer("whole"), 3);
  EXPECT_EQ(*metadata.boolean("b"), true);
  EXPECT_THAT(*metadata.strings("ss"), ElementsAre("a", "", "\xFF"));
  EXPECT_THAT(*metadata.numbers("fs"), ElementsAre(1.5, -2.0));
  EXPECT_THAT(*metadata.integers("is"), ElementsAre(-1, 2));
  EXPECT_EQ(*metadata.count("ss"), 3u);
  EXPECT_EQ(*metadata.integer_or("absent", 9), 9);

  EXPECT_EQ(metadata.integer("absent").code(), StatusCode::kNotFound);
  for (const char* key : {"big", "f", "s", "is"})
    EXPECT_EQ(metadata.integer(key).code(), StatusCode::kCorruptData) << key;
  EXPECT_EQ(metadata.string("u").code(), StatusCode::kCorruptData);
  EXPECT_EQ(metadata.string_or("u", "x").code(), StatusCode::kCorruptData);
  EXPECT_EQ(metadata.boolean("u").code(), StatusCode::kCorruptData);
  EXPECT_EQ(metadata.strings("is").code(), StatusCode::kCorruptData);
  EXPECT_EQ(metadata.numbers("ss").code(), StatusCode::kCorruptData);
  const Error error = metadata.string("u").error();
  EXPECT_EQ(error.got, "7 (u32)");
  EXPECT_EQ(error.where.find("t.gguf, offset "), 0u) << error.where;
}

TEST(Metadata, FlattensConfigJson) {
  const Metadata metadata =
      from_json(R"({"model_type": "llama", "hidden_size": 64, "eps": 1e-5, "tie": true, "nothing": null,
      "rope_scaling": {"factor": 8, "kind": "linear"}, "eos_token_id": [1, 2], "mixed": [1, 2.5], "empty": [],
      "layers": [{"a": 1}, {"a": 2}], "odd": [1, "x"]})");
  EXPECT_EQ(*metadata.string("model_type"), "llama");
  EXPECT_EQ(*metadata.integer("hidden_size"), 64);
  EXPECT_EQ(*metadata.number("eps"), 1e-5);
  EXPECT_EQ(*metadata.boolean("tie"), true);
  EXPECT_FALSE(metadata.contains("nothing"));
  EXPECT_EQ(*metadata.integer("rope_scaling.factor"), 8);
  EXPECT_EQ(*metadata.string("rope_scaling.kind"), "linear");
  EXPECT_THAT(*metadata.integers("eos_token_id"), ElementsAre(1, 2));
  EXPECT_THAT(*metadata.numbers("mixed"), ElementsAre(1.0, 2.5));
  EXPECT_THAT(*metadata.integers("empty"), ElementsAre());
  EXPECT_THAT(*metadata.strings("empty"), ElementsAre());
  EXPECT_EQ(*metadata.integer("layers.1.a"), 2);
  EXPECT_EQ(*metadata.string("odd.1"), "x");
}

TEST(Metadata, RefusesHostileConfigJson) {
  const std::string deep = std::string(17, '[') + "{}" + std::string(17, ']');
  for (const std::string& text :
       {std::string("[]"), std::string(R"({"a": 1, "a": 2})"), std::string(R"({"a.b": 1, "a": {"b": 2}})"),
        std::string(R"({"a": {"b": {}, "b": {}}})"), "{\"a\": " + deep + "}"}) {
    Metadata metadata("config.json");
    const Result<rapidjson::Document> document = parse_json(text, "config.json");
    ASSERT_TRUE(document.ok()) << text;
    EXPECT_EQ(flatten_json(*document, metadata).code(), StatusCode::kCorruptData) << text;
  }
  for (const std::string& text : {std::string(), std::string("{"), std::string("{\"a\": 1} x"),
                                  std::string("{\"a\": \"\xFF\"}"), std::string(1 << 20, '[')})
    EXPECT_EQ(parse_json(text, "config.json").code(), StatusCode::kCorruptData) << text.substr(0, 20);
}

}  // namespace
}  // namespace weft
