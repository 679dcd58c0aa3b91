#include "modalities/weights/zip_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/weights/testing/torch_archive_writer.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using testing::ZipWriter;

Result<ZipDirectory> read(const std::string& bytes) {
  return read_zip_directory(std::as_bytes(std::span(bytes)), "t.zip");
}

StatusCode code_of(const ZipWriter& zip) { return read(zip.bytes()).code(); }

TEST(ZipDirectory, FindsTheContentOfStoredEntries) {
  const std::string bytes = ZipWriter().add("a/one", "first").add("a/none", "").add("two", "second").bytes();
  const Result<ZipDirectory> entries = read(bytes);
  ASSERT_TRUE(entries.ok()) << to_string(entries.error());
  ASSERT_EQ(entries->size(), 3u);
  const ZipEntry one = entries->at("a/one"), two = entries->at("two");
  EXPECT_EQ(bytes.substr(one.offset, one.size_bytes), "first");
  EXPECT_EQ(bytes.substr(two.offset, two.size_bytes), "second");
  EXPECT_EQ(entries->at("a/none").size_bytes, 0u);
  EXPECT_TRUE(is_zip(std::as_bytes(std::span(bytes))));
}

TEST(ZipDirectory, FindsItsEndBeforeAComment) {
  std::string bytes = ZipWriter().add("one", "1").bytes();
  bytes[bytes.size() - 2] = 5;
  EXPECT_TRUE(read(bytes + "hello").ok());
}

TEST(ZipDirectory, EveryTruncationIsAnErrorThatNamesFileAndOffset) {
  const std::string bytes = ZipWriter().add("a", "first").add("b", "second").bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Result<ZipDirectory> entries = read(bytes.substr(0, size));
    ASSERT_FALSE(entries.ok()) << size;
    EXPECT_THAT(entries.error().where, HasSubstr("t.zip, offset ")) << size;
  }
}

TEST(ZipDirectory, RefusesWhatIsCompressedOrEncrypted) {
  ZipWriter deflated, encrypted;
  deflated.method = 8;
  encrypted.flags = 1;
  EXPECT_EQ(code_of(deflated.add("a", "x")), StatusCode::kUnsupported);
  EXPECT_EQ(code_of(encrypted.add("a", "x")), StatusCode::kUnsupported);
}

TEST(ZipDirectory, RefusesEntriesOutOfPlace) {
  ZipWriter longer, elsewhere, beyond, more;
  longer.excess_bytes = 100;
  elsewhere.offset_error = 1;
  beyond.offset_error = 1'000'000;
  more.excess_entries = 1;
  for (ZipWriter* zip : {&longer, &elsewhere, &beyond, &more})
    EXPECT_EQ(code_of(zip->add("a", "x")), StatusCode::kCorruptData);
  EXPECT_EQ(code_of(ZipWriter().add("a", "x").add("a", "y")), StatusCode::kCorruptData) << "twice";
}

TEST(ZipDirectory, RefusesZip64) {
  ZipWriter zip;
  zip.excess_entries = 0xffff;
  EXPECT_EQ(code_of(zip), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft
