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
        vectors.push_back(std::sin(static_cast<float>((i + 1) * (k + 3) % 977 + 1)));
        square += double{vectors.back()} * vectors.back();
      }
      for (int64_t k = 0; k < kWidth; ++k) {
        float& value = vectors[static_cast<size_t>(i * kWidth + k)];
        value = static_cast<float>(value / std::sqrt(square));
      }
    }
  }
  std::filesystem::path write(int64_t n_groups = 0) const {
    const std::filesystem::path path = ::weft::testing::fresh_folder("picture_index") / "a.index";
    ::weft::testing::Threads threads(2);
    Result<VectorGroups> groups = VectorGroups();
    if (n_groups > 0)
      groups = group_vectors(vectors, kWidth, n_groups, threads.executor(), [] { return false; });
    EXPECT_TRUE(groups.ok()) << to_string(groups.error());
    const Status written =
        write_picture_index(path, {kWidth, "abc123", names, vectors, n_groups > 0 ? &*groups : nullptr});
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
    const auto found = index->search(query, {.most = 3}, threads.executor(), [] { return false; });
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
  EXPECT_EQ(
      index->search(content.vectors.data(), {.most = 10}, threads.executor(), [] { return false; })->size(),
      2u);
  EXPECT_EQ(
      index->search(content.vectors.data(), {.most = 10}, threads.executor(), [] { return true; }).code(),
      StatusCode::kCancelled);
  const Result<PictureIndex> empty = PictureIndex::open(Content(0).write());
  ASSERT_TRUE(empty.ok()) << to_string(empty.error());
  EXPECT_EQ(empty->count(), 0);
}

// What a search finds of the `most` that an exact one finds.
double recall(const PictureIndex& index, const Content& content, int64_t probes) {
  ::weft::testing::Threads threads(2);
  const auto never = [] { return false; };
  constexpr int64_t kMost = 10, kQueries = 50;
  int64_t found = 0;
  for (int64_t q = 0; q < kQueries; ++q) {
    const float* query = content.vectors.data() + q * 97 * kWidth;
    const auto exact = index.search(query, {.most = kMost}, threads.executor(), never);
    const auto some = index.search(query, {.most = kMost, .probes = probes}, threads.executor(), never);
    EXPECT_EQ(some->front().index, exact->front().index) << "a vector's own group is the nearest";
    for (const PictureMatch& match : *some)
      found += std::any_of(exact->begin(), exact->end(),
                           [&](const PictureMatch& other) { return other.index == match.index; });
  }
  return static_cast<double>(found) / (kMost * kQueries);
}

TEST(PictureIndex, FindsNearlyAllInSomeOfItsGroups) {
  const Content content(5000);
  const Result<PictureIndex> index = PictureIndex::open(content.write(usual_groups(5000)));
  ASSERT_TRUE(index.ok()) << to_string(index.error());
  EXPECT_EQ(index->groups(), 71);
  EXPECT_EQ(recall(*index, content, 71), 1);
  const double of_a_sixth = recall(*index, content, 12), of_one = recall(*index, content, 1);
  EXPECT_GT(of_a_sixth, 0.9);
  EXPECT_GT(of_a_sixth, of_one);
}

TEST(PictureIndex, KeepsNamesWithTheirVectorsInGroups) {
  const Content content(300);
  const Result<PictureIndex> index = PictureIndex::open(content.write(17));
  ASSERT_TRUE(index.ok()) << to_string(index.error());
  ::weft::testing::Threads threads(2);
  for (const int64_t i : {0, 7, 299}) {
    const auto found = index->search(content.vectors.data() + i * kWidth, {.most = 1, .probes = 1},
                                     threads.executor(), [] { return false; });
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(index->name(found->front().index), content.names[static_cast<size_t>(i)]);
  }
  // More than a group has: further groups are read.
  EXPECT_EQ(index
                ->search(content.vectors.data(), {.most = 200, .probes = 1}, threads.executor(),
                         [] { return false; })
                ->size(),
            200u);
}

TEST(VectorGroups, AreTheSameWithAnyNumberOfThreadsAndCanBeStopped) {
  const Content content(2000);
  ::weft::testing::Threads one(1), three(3);
  const auto never = [] { return false; };
  const auto a = group_vectors(content.vectors, kWidth, 40, one.executor(), never);
  const auto b = group_vectors(content.vectors, kWidth, 40, three.executor(), never);
  ASSERT_TRUE(a.ok() && b.ok()) << to_string(a.error());
  EXPECT_EQ(a->centers, b->centers);
  EXPECT_EQ(a->order, b->order);
  EXPECT_EQ(a->starts, b->starts);
  EXPECT_EQ(a->count(), 40);
  EXPECT_EQ(group_vectors(content.vectors, kWidth, 40, one.executor(), [] { return true; }).code(),
            StatusCode::kCancelled);
  EXPECT_EQ(group_vectors(content.vectors, kWidth, 2000, one.executor(), never)->count(), 2000)
      << "as many as there are";
}

class CorruptIndex : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Groups, CorruptIndex, ::testing::Values(0, 2));

// Every byte of the header, of the names and of the groups' places set to other values, and the file cut at every length.
TEST_P(CorruptIndex, IsRefusedOrReadWithinItsBytes) {
  const Content content(3);
  const std::filesystem::path path = content.write(GetParam());
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
  const size_t vectors_size = 3 * kWidth * sizeof(float);
  const size_t vectors = whole.find(std::string(reinterpret_cast<const char*>(content.vectors.data()), 4));
  ASSERT_EQ(vectors % 64, 0u);
  for (size_t at = 0; at < whole.size(); ++at) {
    if (at >= vectors && at < vectors + vectors_size) continue;
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string changed = whole;
      changed[at] = value;
      ::weft::testing::write_file(other, changed);
      const Result<PictureIndex> index = PictureIndex::open(other);
      if (!index.ok() || index->width() != kWidth) continue;
      EXPECT_EQ(index->count(), 3);
      EXPECT_TRUE(index
                      ->search(content.vectors.data(), {.most = 1, .probes = 1}, threads.executor(),
                               [] { return false; })
                      .ok());
    }
  }
}

}  // namespace
}  // namespace weft::vision
