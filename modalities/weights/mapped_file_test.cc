#include "modalities/weights/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <numeric>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using testing::fresh_folder;
using testing::write_file;

int sum(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), 0,
                         [](int total, std::byte b) { return total + static_cast<int>(b); });
}

TEST(MappedFile, KeepsItsContentAfterPagesAreDropped) {
  const auto folder = fresh_folder("mapped_file");
  write_file(folder / "a", std::string(3 * 4096 + 5, '\x01'));
  Result<MappedFile> file = MappedFile::open(folder / "a");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  ASSERT_EQ(file->bytes().size(), 3 * 4096 + 5u);
  for (size_t begin : {size_t{0}, size_t{1}, size_t{4096}, size_t{12288}, size_t{12293}}) {
    file->will_read(file->bytes().subspan(begin));
    file->drop_pages(file->bytes().subspan(begin));
    file->drop_pages(file->bytes().first(begin));
    EXPECT_EQ(sum(file->bytes()), 3 * 4096 + 5);
  }
}

TEST(MappedFile, CopiesPartsAlsoAfterAMove) {
  const auto folder = fresh_folder("mapped_file_copy");
  write_file(folder / "a", "0123456789");
  Result<MappedFile> file = MappedFile::open(folder / "a");
  ASSERT_TRUE(file.ok());
  const MappedFile moved = std::move(*file);
  std::string out(4, ' ');
  moved.copy(moved.bytes().subspan(3, 4), reinterpret_cast<std::byte*>(out.data()));
  EXPECT_EQ(out, "3456");
  moved.copy(moved.bytes().subspan(10), nullptr);  // nothing of the end
}

TEST(MappedFile, SurvivesMoves) {
  const auto folder = fresh_folder("mapped_file_moves");
  write_file(folder / "a", "abc");
  write_file(folder / "b", "defg");
  Result<MappedFile> a = MappedFile::open(folder / "a");
  Result<MappedFile> b = MappedFile::open(folder / "b");
  ASSERT_TRUE(a.ok() && b.ok());
  MappedFile moved = std::move(*a);
  moved = std::move(*b);
  EXPECT_EQ(moved.bytes().size(), 4u);
  EXPECT_EQ(moved.path(), folder / "b");
  EXPECT_TRUE(b->bytes().empty());
}

TEST(MappedFile, RefusesWhatIsNotARegularFile) {
  const auto folder = fresh_folder("mapped_file_kinds");
  EXPECT_EQ(MappedFile::open(folder / "missing").code(), StatusCode::kNotFound);
  EXPECT_EQ(MappedFile::open(folder).code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder / "pipe").code(),
            StatusCode::kInvalidArgument);  // and does not wait for a writer
  write_file(folder / "empty", "");
  const Result<MappedFile> empty = MappedFile::open(folder / "empty");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->bytes().empty());
}

}  // namespace
}  // namespace weft
