// Indexes of pictures: what was written is found, and what is corrupt is refused.
#include "plugins/vision/picture_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/testing/threads.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft::vision {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int64_t kWidth = 21;

struct Content {
  explicit Content(int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      names.push_back("folder/picture " + std::to_string(i) + ".png");
      double square = 0;
      for (int64_t k = 0; k < kWidth; ++k) {
        vectors.push_back(std::sin(static_cast<float>((i + 1) * (k + 3) % 977)));
        square += double{vectors.back()} * vectors.back();
      }
      for (int64_t k = 0; k < kWidth; ++k) {
        float& value = vectors[static_cast<size_t>(i * kWidth + k)];
        value = static_cast<float>(value / std::sqrt(square));
      }
    }
  }
  std::filesystem::path write() const {
    const std::filesystem::path path = ::weft::testing::fresh_folder("picture_index") / "a.index";
    const Status written = write_picture_index(path, {kWidth, "abc123", names, vectors});
    EXPECT_TRUE(written.ok());
    return path;
  }
  std::vector<std::string> names;
  std::vector<float> vectors;
};

TEST(PictureIndex, FindsTheNearestOfManyWithAnyNumberOfThreads) {
  const Content content(5000);
  const Result<PictureIndex> index = PictureIndex::open(content.write());
  ASSERT_TRUE(index.ok()) << to_string(index.error());
  EXPECT_EQ(index->count(), 5000);
  EXPECT_EQ(index->width(), kWidth);
  EXPECT_EQ(index->model(), "abc123");
  EXPECT_EQ(index->name(4999), content.names[4999]);
  for (const uint32_t n_threads : {1u, 3u}) {
    ::weft::testing::Threads threads(n_threads);
    const float* query = content.vectors.data() + 1234 * kWidth;
    const auto found = index->search(query, 3, threads.executor(), [] { return false; });
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 3u);
    EXPECT_NEAR((*found)[0].score, 1, 1e-5);
    std::vector<std::pair<double, int64_t>> all;
    for (int64_t i = 0; i < 5000; ++i) {
      double score = 0;
      for (int64_t k = 0; k < kWidth; ++k)
        score += double{query[k]} * content.vectors[static_cast<size_t>(i * kWidth + k)];
      all.emplace_back(-score, i);
    }
    std::sort(all.begin(), all.end());
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR((*found)[i].score, -all[i].first, 1e-5);
  }
}

TEST(PictureIndex, GivesAllWhereFewerAreThereAndCanBeStopped) {
  const Content content(2);
  const Result<PictureIndex> index = PictureIndex::open(content.write());
  ASSERT_TRUE(index.ok());
  ::weft::testing::Threads threads(2);
  EXPECT_EQ(index->search(content.vectors.data(), 10, threads.executor(), [] { return false; })->size(), 2u);
  EXPECT_EQ(index->search(content.vectors.data(), 10, threads.executor(), [] { return true; }).code(),
            StatusCode::kCancelled);
  const Result<PictureIndex> empty = PictureIndex::open(Content(0).write());
  ASSERT_TRUE(empty.ok()) << to_string(empty.error());
  EXPECT_EQ(empty->count(), 0);
}

// Every byte of the header and of the names set to other values, and the file cut at every length.
TEST(PictureIndex, RefusesCorruptFilesOrReadsWithinThem) {
  const Content content(3);
  const std::filesystem::path path = content.write();
  std::ifstream stream(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  const std::filesystem::path other = path.parent_path() / "other.index";
  for (size_t size = 0; size < whole.size(); size += 3) {
    ::weft::testing::write_file(other, whole.substr(0, size));
    const Result<PictureIndex> index = PictureIndex::open(other);
    ASSERT_FALSE(index.ok()) << size;
    EXPECT_THAT(index.code(),
                AnyOf(StatusCode::kCorruptData, StatusCode::kUnsupported, StatusCode::kInvalidArgument));
  }
  ::weft::testing::Threads threads(1);
  const size_t names_end = whole.size() - 3 * kWidth * sizeof(float);
  for (size_t at = 0; at < names_end; ++at)
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[at] = value;
      ::weft::testing::write_file(other, changed);
      const Result<PictureIndex> index = PictureIndex::open(other);
      if (!index.ok() || index->width() != kWidth) continue;
      EXPECT_EQ(index->count(), 3);
      EXPECT_TRUE(index->search(content.vectors.data(), 1, threads.executor(), [] { return false; }).ok());
    }
}

}  // namespace
}  // namespace weft::vision
