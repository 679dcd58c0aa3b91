#include "modalities/weights/torch_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/testing/torch_archive_writer.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::PickleWriter;
using testing::ZipWriter;

std::string archive(const PickleWriter& pickle, const std::string& storage = std::string(24, 'x'),
                    uint32_t misalign = 0) {
  return ZipWriter().add("m/data.pkl", pickle.bytes()).add("m/data/0", storage, misalign).bytes();
}
Result<TorchHeader> read(const std::string& bytes) {
  return read_torch_archive(std::as_bytes(std::span(bytes)), "t.pt");
}
// {'w': tensor}
PickleWriter one(const char* storage, int32_t n_stored, int32_t first, const std::vector<int32_t>& extents,
                 const std::vector<int32_t>& strides) {
  PickleWriter pickle;
  pickle.op("}").text("w").tensor(storage, "0", n_stored, first, extents, strides).op("s");
  return pickle;
}

// assets/golden/torch_archive/state.pt is torch's own: scripts/make_golden/torch_archive.py says what it holds.
TEST(TorchArchive, ReadsWhatTorchSaved) {
  const Result<WeightFile> file = WeightFile::open("assets/golden/torch_archive/state.pt");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  EXPECT_EQ(file->container(), WeightContainer::kTorch);
  const Result<const WeightTensor*> weight = file->tensor("state.layer.weight");
  ASSERT_TRUE(weight.ok()) << to_string(weight.error());
  EXPECT_EQ((*weight)->format, WeightFormat::kF32);
  EXPECT_THAT((*weight)->shape(), ElementsAre(2, 3));
  float values[6];
  std::memcpy(values, (*weight)->data, sizeof values);
  EXPECT_THAT(values, ElementsAre(0, 1, 2, 3, 4, 5));
  const WeightTensor& row = **file->tensor("state.row");
  EXPECT_EQ(row.data, (*weight)->data + 12) << "a view of the same storage";
  EXPECT_THAT(row.shape(), ElementsAre(3));
  EXPECT_EQ((*file->tensor("state.layer.bias"))->format, WeightFormat::kBF16);
  EXPECT_EQ((*file->tensor("state.parameter"))->format, WeightFormat::kF16);
  EXPECT_EQ((*file->tensor("state.count"))->rank, 0);
  EXPECT_EQ((*file->tensor("list.1"))->format, WeightFormat::kI64);
  EXPECT_EQ(file->tensor("state.transposed").error().got, "F32, not row-major");
  EXPECT_EQ(file->tensor("state.mask").error().got, "BOOL");
  EXPECT_EQ(*file->metadata().integer("num_edges"), 48);
  EXPECT_EQ(*file->metadata().number("noise_level"), 0.2);
  EXPECT_EQ(*file->metadata().string("name"), "tiny");
  EXPECT_EQ(*file->metadata().boolean("flag"), true);
  EXPECT_FALSE(file->metadata().contains("nothing"));
}

TEST(TorchArchive, EveryTruncationIsAnError) {
  const std::string bytes = archive(one("FloatStorage", 6, 0, {2, 3}, {3, 1}));
  ASSERT_TRUE(read(bytes).ok()) << to_string(read(bytes).error());
  for (size_t size = 0; size < bytes.size(); ++size) ASSERT_FALSE(read(bytes.substr(0, size)).ok()) << size;
}

TEST(TorchArchive, RefusesTensorsThatDoNotFitTheirBytes) {
  struct {
    const char* what;
    PickleWriter pickle;
  } cases[] = {{"more than stored", one("FloatStorage", 6, 0, {7}, {1})},
               {"more than the entry", one("FloatStorage", 7, 0, {7}, {1})},
               {"beyond the end", one("FloatStorage", 6, 5, {2}, {1})},
               {"a negative extent", one("FloatStorage", 6, 0, {-1}, {1})},
               {"a negative place", one("FloatStorage", 6, -1, {1}, {1})},
               {"strides of another rank", one("FloatStorage", 6, 0, {2, 3}, {1})},
               {"extents that overflow", one("FloatStorage", 6, 0, {1 << 30, 1 << 30, 1 << 30}, {1, 1, 1})},
               {"nine dimensions",
                one("FloatStorage", 6, 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1})}};
  for (const auto& c : cases) {
    const Result<TorchHeader> header = read(archive(c.pickle));
    ASSERT_FALSE(header.ok()) << c.what;
    EXPECT_EQ(header.code(), StatusCode::kCorruptData) << c.what;
    EXPECT_THAT(header.error().where, HasSubstr("t.pt, data.pkl, offset ")) << c.what;
  }
  EXPECT_EQ(read(archive(one("FloatStorage", 6, 0, {6}, {1}), std::string(24, 'x'), 2)).code(),
            StatusCode::kUnsupported)
      << "misaligned";
}

TEST(TorchArchive, RefusesWhatIsNoDictOfTensors) {
  const PickleWriter good = one("FloatStorage", 6, 0, {6}, {1});
  EXPECT_EQ(read(archive(PickleWriter().op("K\x05"))).code(), StatusCode::kCorruptData) << "a number";
  EXPECT_EQ(read(archive(PickleWriter().tensor("FloatStorage", "0", 6, 0, {6}, {1}))).code(),
            StatusCode::kCorruptData)
      << "a bare tensor";
  EXPECT_EQ(read(archive(PickleWriter().op("}").op("N").op("Ns"))).code(), StatusCode::kCorruptData)
      << "a key that is None";
  EXPECT_EQ(read(archive(PickleWriter().op("}").text("a").global("torch", "FloatStorage").op("s"))).code(),
            StatusCode::kCorruptData)
      << "a name as a value";
  EXPECT_EQ(read(ZipWriter().add("m/data.pkl", good.bytes()).bytes()).code(), StatusCode::kCorruptData)
      << "no bytes of the storage";
  EXPECT_EQ(read(ZipWriter().add("m/other", "x").bytes()).code(), StatusCode::kUnsupported) << "another zip";
  EXPECT_EQ(read(ZipWriter().add("a/data.pkl", good.bytes()).add("b/data.pkl", good.bytes()).bytes()).code(),
            StatusCode::kCorruptData)
      << "two pickles";
  EXPECT_EQ(read(ZipWriter()
                     .add("m/data.pkl", good.bytes())
                     .add("m/byteorder", "big")
                     .add("m/data/0", std::string(24, 'x'))
                     .bytes())
                .code(),
            StatusCode::kUnsupported)
      << "big-endian";
}

TEST(TorchArchive, RunsNothingThatAPickleAsksFor) {
  const Result<TorchHeader> header = read(archive(
      PickleWriter().op("}").text("w").global("os", "system").op("(").text("touch /tmp/owned").op("tRs")));
  ASSERT_FALSE(header.ok());
  EXPECT_THAT(header.error().message, HasSubstr("os.system"));
}

TEST(TorchArchive, BoundsWhatOneDictInManyPlacesUnfoldsTo) {
  PickleWriter bomb;  // 15 tuples, each of three times the one before it: 3^15 paths to one number
  bomb.op("K\x01");
  for (int i = 0; i < 15; ++i) bomb.op("q\x01h\x01h\x01\x87");
  EXPECT_EQ(read(archive(bomb)).code(), StatusCode::kUnsupported);
  PickleWriter circle;
  circle.op("}q\x01").text("a").op("h\x01s");
  EXPECT_EQ(read(archive(circle)).code(), StatusCode::kUnsupported);
  PickleWriter long_name;
  long_name.op("}").text(std::string(2000, 'k')).op("K\x01s");
  EXPECT_EQ(read(archive(long_name)).code(), StatusCode::kCorruptData);
}

}  // namespace
}  // namespace weft
