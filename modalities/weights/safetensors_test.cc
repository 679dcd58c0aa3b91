#include "modalities/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::safetensors_bytes;

Result<SafetensorsHeader> read(const std::string& bytes) {
  return read_safetensors(std::as_bytes(std::span(bytes)), "t.safetensors");
}

std::string entry(const char* name, const char* dtype, const char* shape, const char* offsets) {
  return std::string("\"") + name + R"(": {"dtype": ")" + dtype + R"(", "shape": )" + shape +
         R"(, "data_offsets": )" + offsets + "}";
}

const char* const kGood =
    R"({"__metadata__": {"format": "pt"}, "b": {"dtype": "F16", "shape": [3], "data_offsets": [24, 30]},
  "a": {"data_offsets": [0, 24], "dtype": "F32", "shape": [2, 3]}, "s": {"dtype":"BF16","shape":[],"data_offsets":[30,32]}, "e": {"dtype":"F32","shape":[0, 7],"data_offsets":[32,32]}})";

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const std::string bytes = safetensors_bytes(kGood, std::string(24, 'a') + "bbbbbbss");
  const Result<SafetensorsHeader> header = read(bytes);
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  ASSERT_EQ(header->tensors.size(), 4u);
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_THAT(header->tensors[0].shape(), ElementsAre(2, 3));
  EXPECT_EQ(header->tensors[0].format, WeightFormat::kF32);
  EXPECT_EQ(static_cast<char>(header->tensors[1].bytes().back()), 'b');
  EXPECT_EQ(header->tensors[2].rank, 0);
  EXPECT_EQ(header->tensors[2].count(), 1);
  EXPECT_EQ(header->tensors[3].count(), 0);
  EXPECT_THAT(header->metadata, ElementsAre(::testing::Pair("format", "pt")));
}

TEST(Safetensors, ListsTensorsOfTypesItDoesNotRead) {
  const std::string bytes = safetensors_bytes(
      "{" + entry("x", "F32", "[1]", "[0, 4]") + "," + entry("m", "BOOL", "[2]", "[4, 6]") + "}", "xxxxmm");
  const Result<SafetensorsHeader> header = read(bytes);
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  ASSERT_EQ(header->unreadable.size(), 1u);
  EXPECT_EQ(header->unreadable[0].second.type, "BOOL");
}

TEST(Safetensors, EveryTruncationIsAnErrorThatNamesFileAndOffset) {
  const std::string bytes = safetensors_bytes(kGood, std::string(32, 'x'));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Result<SafetensorsHeader> header = read(bytes.substr(0, size));
    ASSERT_FALSE(header.ok()) << size;
    EXPECT_THAT(header.error().where, HasSubstr("t.safetensors, offset ")) << size;
  }
}

TEST(Safetensors, RefusesHostileFiles) {
  const struct {
    const char* name;
    std::string header;
    const char* says;
  } cases[] = {
      {"not JSON", "{nonsense", "not valid JSON"},
      {"an array", "[]", "unexpected array"},
      {"a value", "{\"a\": 1}", "unexpected"},
      {"nested arrays", "{\"a\": " + std::string(100000, '['), "unexpected array"},
      {"nested objects", "{\"a\": {\"dtype\": {\"x\": {}}}}", "unexpected object"},
      {"text after it", std::string(kGood) + "x", "not valid JSON"},
      {"bad UTF-8", "{\"a\xFF\": {}}", "not valid JSON"},
      {"name twice",
       "{" + entry("a", "F32", "[1]", "[0, 4]") + "," + entry("a", "F32", "[7]", "[4, 32]") + "}", "twice"},
      {"metadata twice", R"({"__metadata__": {"a": "1", "a": "2"}})", "twice"},
      {"metadata number", R"({"__metadata__": {"a": 1}})", "unexpected number"},
      {"metadata object", R"({"__metadata__": {"a": {}}})", "unexpected object"},
      {"field twice", R"({"a": {"dtype": "F32", "dtype": "F32", "shape": [8], "data_offsets": [0, 32]}})",
       "twice"},
      {"unknown field", R"({"a": {"type": "F32"}})", "unknown field"},
      {"no shape", R"({"a": {"dtype": "F32", "data_offsets": [0, 32]}})", "lacks"},
      {"unknown dtype", "{" + entry("a", "F31", "[8]", "[0, 32]") + "}", "unknown dtype"},
      {"one offset", "{" + entry("a", "F32", "[8]", "[0]") + "}", "two data_offsets"},
      {"three offsets", "{" + entry("a", "F32", "[8]", "[0, 32, 32]") + "}", "two data_offsets"},
      {"nine dimensions", "{" + entry("a", "F32", "[1,1,1,1,1,1,1,1,8]", "[0, 32]") + "}", "too many"},
      {"negative extent", "{" + entry("a", "F32", "[-8]", "[0, 32]") + "}", "unexpected"},
      {"fraction", "{" + entry("a", "F32", "[8.0]", "[0, 32]") + "}", "unexpected"},
      {"2^64", "{" + entry("a", "F32", "[18446744073709551616]", "[0, 32]") + "}", "unexpected"},
      {"overflow", "{" + entry("a", "F32", "[4294967296, 4294967296]", "[0, 0]") + "}", "do not match"},
      {"past the end", "{" + entry("a", "F32", "[16]", "[0, 64]") + "}", "out of range"},
      {"reversed", "{" + entry("a", "F32", "[0]", "[32, 0]") + "}", "out of range"},
      {"wrong size", "{" + entry("a", "F32", "[7]", "[0, 32]") + "}", "do not match"},
      {"overlap",
       "{" + entry("a", "F32", "[8]", "[0, 32]") + "," + entry("b", "F32", "[4]", "[16, 32]") + "}",
       "overlaps"},
      {"hole", "{" + entry("a", "F32", "[4]", "[16, 32]") + "}", "hole"},
      {"bytes left", "{" + entry("a", "F32", "[4]", "[0, 16]") + "}", "no tensor"},
      {"misaligned",
       "{" + entry("a", "I8", "[2]", "[0, 2]") + "," + entry("b", "F32", "[7]", "[2, 30]") + "," +
           entry("c", "I8", "[2]", "[30, 32]") + "}",
       "aligned"},
  };
  for (const auto& hostile : cases) {
    const Result<SafetensorsHeader> header = read(safetensors_bytes(hostile.header, std::string(32, 'x')));
    ASSERT_FALSE(header.ok()) << hostile.name;
    EXPECT_THAT(to_string(header.error()), HasSubstr(hostile.says)) << hostile.name;
    EXPECT_THAT(header.error().where, HasSubstr("t.safetensors, offset ")) << hostile.name;
  }
}

TEST(Safetensors, RefusesAHeaderLengthBeyondTheFile) {
  for (uint64_t size : {uint64_t{100}, uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string bytes;
    testing::append_u64(bytes, size);
    bytes += "{}";
    EXPECT_EQ(read(bytes).code(), StatusCode::kCorruptData) << size;
  }
}

}  // namespace
}  // namespace weft
