#include "modalities/weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using testing::append_gguf_string;
using testing::append_u32;
using testing::append_u64;
using ::testing::ElementsAre;
using testing::GgufWriter;
using ::testing::HasSubstr;

Result<GgufHeader> read(const std::string& bytes) {
  return read_gguf(std::as_bytes(std::span(bytes)), "t.gguf");
}

GgufWriter small_model() {
  GgufWriter writer;
  writer.add("general.architecture", "llama").add_u32("llama.block_count", 2);
  writer.add_tensor("a", WeightFormat::kF32, {2, 3}, std::string(24, 'a'));
  writer.add_tensor("b", WeightFormat::kQ4_K, {4, 512}, std::string(4 * 288, 'b'));
  writer.add_tensor("c", WeightFormat::kF16, {5}, std::string(10, 'c'));
  return writer;
}

TEST(Gguf, ReadsTensorsOfBothVersions) {
  for (uint32_t version : {2u, 3u}) {
    GgufWriter writer = small_model();
    writer.version = version;
    const std::string bytes = writer.bytes();
    const Result<GgufHeader> header = read(bytes);
    ASSERT_TRUE(header.ok()) << to_string(header.error());
    ASSERT_EQ(header->tensors.size(), 3u);
    const WeightTensor& b = header->tensors[1];
    EXPECT_EQ(b.name, "b");
    EXPECT_EQ(b.format, WeightFormat::kQ4_K);
    EXPECT_THAT(b.shape(), ElementsAre(4, 512));  // outermost first
    EXPECT_EQ(b.count(), 2048);
    EXPECT_EQ(b.size_bytes, 4 * 288u);
    EXPECT_EQ(static_cast<char>(b.bytes().front()), 'b');
    EXPECT_EQ(static_cast<char>(b.bytes().back()), 'b');
    EXPECT_EQ(static_cast<char>(header->tensors[2].bytes().back()), 'c');
    EXPECT_EQ(b.data, reinterpret_cast<const std::byte*>(bytes.data()) + b.offset);
  }
}

TEST(Gguf, ReadsEveryFormatAndAlignment) {
  for (uint64_t alignment : {8u, 32u, 64u, 4096u})
    for (int i = 0; i < kWeightFormatCount; ++i) {
      const auto format = static_cast<WeightFormat>(i);
      const BlockLayout block = block_layout(format);
      GgufWriter writer;
      writer.alignment = alignment;
      writer.add_tensor("x", WeightFormat::kI8, {3}, "abc");
      writer.add_tensor("y", format, {2, static_cast<uint64_t>(block.elements)},
                        std::string(2 * static_cast<size_t>(block.bytes), 'y'));
      const std::string bytes = writer.bytes();
      const Result<GgufHeader> header = read(bytes);
      ASSERT_TRUE(header.ok()) << block.name << ": " << to_string(header.error());
      EXPECT_EQ(header->tensors[1].format, format);
      EXPECT_EQ(header->tensors[1].offset % alignment, 0u);
      EXPECT_EQ(static_cast<char>(header->tensors[1].bytes().back()), 'y');
    }
}

TEST(Gguf, EveryTruncationIsAnErrorThatNamesFileAndOffset) {
  const std::string bytes = small_model().bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut = bytes.substr(0, size);
    const Result<GgufHeader> header = read(cut);
    ASSERT_FALSE(header.ok()) << size;
    EXPECT_EQ(header.code(), StatusCode::kCorruptData) << size;
    EXPECT_THAT(header.error().where, HasSubstr("t.gguf, offset ")) << size;
  }
}

TEST(Gguf, EveryDamagedByteIsReadOrRefusedWithoutHarm) {
  const std::string bytes = small_model().bytes();
  for (size_t at = 0; at < 200; ++at)
    for (int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      const Result<GgufHeader> header = read(damaged);
      if (!header.ok()) continue;
      for (const WeightTensor& tensor : header->tensors) {
        ASSERT_LE(tensor.offset + tensor.size_bytes, damaged.size());
        ASSERT_EQ(tensor.data, reinterpret_cast<const std::byte*>(damaged.data()) + tensor.offset);
      }
    }
}

struct Hostile {
  const char* name;
  std::function<std::string()> bytes;
  StatusCode code;
  const char* says;
};

std::string preamble(uint32_t version, uint64_t tensors, uint64_t keys) {
  std::string out = "GGUF";
  append_u32(out, version);
  append_u64(out, tensors);
  append_u64(out, keys);
  return out;
}

std::string one_tensor(std::vector<uint64_t> shape, uint32_t type, uint64_t offset,
                       const std::string& data = std::string(4096, 'x')) {
  return GgufWriter().add_raw_tensor("x", std::move(shape), type, offset, data).bytes();
}

TEST(Gguf, RefusesHostileFiles) {
  constexpr uint64_t kHuge = ~uint64_t{0};
  const Hostile cases[] = {
      {"another format", [] { return std::string("PK\x03\x04 and so on"); }, StatusCode::kCorruptData,
       "not a GGUF"},
      {"version 1", [] { return preamble(1, 0, 0); }, StatusCode::kUnsupported, "version"},
      {"version 4", [] { return preamble(4, 0, 0); }, StatusCode::kUnsupported, "version"},
      {"big-endian", [] { return preamble(0x03000000, 0, 0); }, StatusCode::kUnsupported, "big-endian"},
      {"2^64-1 tensors", [] { return preamble(3, kHuge, 0); }, StatusCode::kCorruptData, "number of tensors"},
      {"2^64-1 keys", [] { return preamble(3, 0, kHuge); }, StatusCode::kCorruptData,
       "number of metadata keys"},
      {"keys that are not there", [] { return preamble(3, 0, 5000); }, StatusCode::kCorruptData,
       "ends within"},
      {"huge key",
       [] {
         std::string s = preamble(3, 0, 1);
         append_u64(s, kHuge);
         return s + std::string(64, 'k');
       },
       StatusCode::kCorruptData, "ends within"},
      {"long key", [] { return GgufWriter().add(std::string(2000, 'k'), "v").bytes(); },
       StatusCode::kCorruptData, "out of range"},
      {"empty key", [] { return GgufWriter().add("", "v").bytes(); }, StatusCode::kCorruptData,
       "out of range"},
      {"key that is not UTF-8", [] { return GgufWriter().add("a\xC0\x80", "v").bytes(); },
       StatusCode::kCorruptData, "UTF-8"},
      {"key twice", [] { return GgufWriter().add("k", "v").add_u32("k", 1).bytes(); },
       StatusCode::kCorruptData, "twice"},
      {"unknown type",
       [] { return GgufWriter().add_raw("k", static_cast<MetadataType>(13), "abcd").bytes(); },
       StatusCode::kCorruptData, "unknown type"},
      {"array of arrays",
       [] {
         std::string p;
         append_u32(p, 9);
         append_u64(p, 1);
         return GgufWriter().add_raw("k", MetadataType::kArray, p).bytes();
       },
       StatusCode::kUnsupported, "arrays of arrays"},
      {"array count that overflows",
       [] {
         std::string p;
         append_u32(p, 12);
         append_u64(p, kHuge / 8 + 1);
         return GgufWriter().add_raw("k", MetadataType::kArray, p).bytes();
       },
       StatusCode::kCorruptData, "ends within"},
      {"2^63 strings",
       [] {
         std::string p;
         append_u32(p, 8);
         append_u64(p, 1ull << 63);
         return GgufWriter().add_raw("k", MetadataType::kArray, p).bytes();
       },
       StatusCode::kCorruptData, "ends within"},
      {"alignment 0", [] { return GgufWriter().add_u32("general.alignment", 0).bytes(); },
       StatusCode::kCorruptData, "alignment"},
      {"alignment 48", [] { return GgufWriter().add_u32("general.alignment", 48).bytes(); },
       StatusCode::kCorruptData, "alignment"},
      {"alignment 2^31", [] { return GgufWriter().add_u32("general.alignment", 1u << 31).bytes(); },
       StatusCode::kCorruptData, "alignment"},
      {"alignment text", [] { return GgufWriter().add("general.alignment", "32").bytes(); },
       StatusCode::kCorruptData, "alignment"},
      {"five dimensions",
       [] {
         return one_tensor({1, 1, 1, 1, 1}, 0, 0);
       },
       StatusCode::kCorruptData, "too many dimensions"},
      {"2^63 elements", [] { return one_tensor({1ull << 63}, 24, 0); }, StatusCode::kCorruptData, "overflow"},
      {"extents that wrap to 0",
       [] {
         return one_tensor({1ull << 32, 1ull << 32}, 0, 0);
       },
       StatusCode::kCorruptData, "overflow"},
      {"extents that overflow beside a 0",
       [] {
         return one_tensor({0, 1ull << 40, 1ull << 40}, 0, 0);
       },
       StatusCode::kCorruptData, "overflow"},
      {"bytes that overflow", [] { return one_tensor({1ull << 61}, 28, 0); }, StatusCode::kCorruptData,
       "overflow"},
      {"half a block",
       [] {
         return one_tensor({3, 16}, 2, 0);
       },
       StatusCode::kCorruptData, "whole blocks"},
      {"offset past the end", [] { return one_tensor({4}, 0, 1ull << 40); }, StatusCode::kCorruptData,
       "past the end"},
      {"offset that wraps", [] { return one_tensor({4}, 0, kHuge - 31); }, StatusCode::kCorruptData,
       "past the end"},
      {"misaligned offset", [] { return one_tensor({4}, 0, 4); }, StatusCode::kCorruptData, "not aligned"},
      {"larger than the file", [] { return one_tensor({1025}, 0, 0); }, StatusCode::kCorruptData,
       "past the end"},
      {"overlap",
       [] {
         return GgufWriter()
             .add_raw_tensor("x", {16}, 0, 0, std::string(256, 'x'))
             .add_raw_tensor("y", {16}, 0, 32)
             .bytes();
       },
       StatusCode::kCorruptData, "overlap"},
  };
  for (const Hostile& hostile : cases) {
    const std::string bytes = hostile.bytes();
    const Result<GgufHeader> header = read(bytes);
    ASSERT_FALSE(header.ok()) << hostile.name;
    EXPECT_EQ(header.code(), hostile.code) << hostile.name << ": " << to_string(header.error());
    EXPECT_THAT(to_string(header.error()), HasSubstr(hostile.says)) << hostile.name;
    EXPECT_THAT(header.error().where, HasSubstr("t.gguf")) << hostile.name;
  }
}

TEST(Gguf, ListsTensorsOfTypesItDoesNotRead) {
  GgufWriter writer;
  writer.add_raw_tensor("x", {256}, 16, 0, std::string(96, 'x'));
  writer.add_raw_tensor("y", {4}, 0, 96, std::string(16, 'y'));
  const std::string bytes = writer.bytes();
  const Result<GgufHeader> header = read(bytes);
  ASSERT_TRUE(header.ok()) << to_string(header.error());
  ASSERT_EQ(header->unreadable.size(), 1u);
  EXPECT_EQ(header->unreadable[0].first, "x");
  EXPECT_EQ(header->unreadable[0].second.type, "IQ2_XXS");
  EXPECT_EQ(header->tensors.size(), 1u);
}

}  // namespace
}  // namespace weft
