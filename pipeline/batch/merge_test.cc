#include "pipeline/batch/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/batch/estimate.h"
#include "pipeline/batch/report.h"
#include "pipeline/batch/testing/batch_fixture.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::BatchFixture;
using ::testing::HasSubstr;
using ::testing::Not;

class MergeTest : public BatchFixture {
 protected:
  /// Runs one shard of seven items into folder()/to; the fourth item fails.
  void shard(uint64_t index, uint64_t count, const std::string& to) {
    items(
        "{\"topic\":\"1\"}\n{\"topic\":\"2\"}\n{\"topic\":\"3\"}\n{\"topic\":\"bad\"}\n{\"topic\":\"5\"}\n"
        "{\"topic\":\"6\"}\n{\"topic\":\"7\"}\n");
    batch_options().shard = {index, count};
    batch_options().folder = folder() / to;
    const Result<BatchCounts> counts = batch();
    ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  }
  Result<MergedBatch> merge(const std::vector<fs::path>& others) {
    return merge_shards(out(), others, host().temporaries());
  }
};

TEST_F(MergeTest, ShardsOnOneDiskBecomeOneBatch) {
  shard(1, 2, "out");
  shard(2, 2, "out");
  const Result<MergedBatch> merged = merge({});
  ASSERT_TRUE(merged.ok()) << to_string(merged.error());
  EXPECT_EQ(merged->n_journals, 2u);
  EXPECT_EQ(merged->counts.done, 6u);
  EXPECT_EQ(merged->counts.failed, 1u);
  EXPECT_EQ(merged->counts.pending(), 0u);
  EXPECT_THAT(read(out() / "results.jsonl"), HasSubstr("\"name\":\"000007\""));
  // Again changes nothing, and the whole is a batch that goes on.
  ASSERT_TRUE(merge({}).ok());
  batch_options().shard = {};
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_TRUE(recorded().empty());
}

TEST_F(MergeTest, FilesOfOtherFoldersAreCopied) {
  shard(1, 3, "out");
  shard(2, 3, "a");
  shard(3, 3, "b/");
  const Result<MergedBatch> merged = merge({folder() / "a", folder() / "b/"});
  ASSERT_TRUE(merged.ok()) << to_string(merged.error());
  EXPECT_EQ(merged->counts.done, 6u);
  EXPECT_EQ(read(out() / "items/000002/a.txt"), "2 1");
  EXPECT_EQ(files_below(out() / "items").size(), 6u);
}

TEST_F(MergeTest, AShardThatIsMissingLeavesItsItemsOut) {
  shard(1, 2, "out");
  EXPECT_EQ(merge({})->counts.items, 4u);
  shard(2, 2, "out");
  EXPECT_EQ(merge({})->counts.items, 7u);
}

TEST_F(MergeTest, AFolderHoldsShardsOrTheWhole) {
  shard(1, 2, "out");
  const auto refusal = [&](const Shard& as) {
    batch_options().shard = as;
    const Result<Batch> refused = open();
    EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
    return refused.ok() ? std::string() : to_string(refused.error());
  };
  EXPECT_THAT(refusal({}), HasSubstr("`weft merge " + out().string() + "` joins them"));
  EXPECT_THAT(refusal({2, 3}), HasSubstr("a batch of another number of shards"));
  ASSERT_TRUE(merge({}).ok());
  shard(2, 2, "out");  // may still go on: nobody else has begun its items
  EXPECT_EQ(recorded().size(), 3u);
  ASSERT_TRUE(merge({}).ok());
  batch_options().shard = {};
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(refusal({2, 2}), HasSubstr("a batch that is not in shards"));
}

TEST_F(MergeTest, RefusesFilesThatAreNotWhatWasRecorded) {
  shard(1, 2, "out");
  shard(2, 2, "a");
  write("a/items/000002/a.txt", "torn");
  EXPECT_EQ(merge({folder() / "a"}).code(), StatusCode::kCorruptData);
  EXPECT_EQ(merge({folder() / "nothing"}).code(), StatusCode::kNotFound);
}

TEST_F(MergeTest, RefusesShardsOfDifferentPipelines) {
  shard(1, 2, "out");
  std::string changed = testing::kBatchPipeline;
  changed.replace(changed.find("${inputs.loud} "), 15, "${inputs.loud}:");
  use(changed);
  shard(2, 2, "out");
  const Result<MergedBatch> merged = merge({});
  ASSERT_EQ(merged.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(merged.error()), HasSubstr("pipeline " + (folder() / "test.json").string()));
}

TEST_F(MergeTest, AReportShowsEveryItemAndEscapesTheirTexts) {
  items("{\"topic\": \"<script>&\"}\n{\"topic\": \"bad\"}\n");
  ASSERT_TRUE(batch().ok());
  const Result<WrittenReport> report = write_report(out(), host().temporaries());
  ASSERT_TRUE(report.ok()) << to_string(report.error());
  EXPECT_EQ(report->n_items, 2u);
  const std::string html = read(report->page);
  EXPECT_THAT(html, HasSubstr("<pre title=\"text\">&lt;script&gt;&amp; 1</pre>"));
  EXPECT_THAT(html, HasSubstr("href=\"items/000001/a.txt\""));
  EXPECT_THAT(html, HasSubstr("node &#39;check&#39;: made to fail"));
  EXPECT_THAT(html, HasSubstr("1 of 2 items done, 1 failed, 0 to do"));
  EXPECT_THAT(html, Not(HasSubstr("http")));
}

TEST_F(MergeTest, AReportGoesOnOverPages) {
  batch_options().matrix = {"topic=x", "n=1.." + std::to_string(kItemsPerPage + 1)};
  ASSERT_TRUE(batch().ok());
  const Result<WrittenReport> report = write_report(out(), host().temporaries());
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->n_pages, 2u);
  EXPECT_THAT(read(out() / "report-2.html"), HasSubstr("000501"));
  EXPECT_THAT(read(out() / "report.html"), HasSubstr("href=\"report-2.html\""));
}

TEST_F(MergeTest, AnEstimateRunsTheFirstItemsAside) {
  items("{\"topic\": \"1\"}\n{\"topic\": \"2\"}\n{\"topc\": \"3\"}\n");
  BatchSetup setup = this->setup();
  const Result<BatchEstimate> estimate = estimate_batch(setup, batch_options(), nullptr);
  ASSERT_TRUE(estimate.ok()) << to_string(estimate.error());
  EXPECT_EQ(estimate->n_items, 3u);
  EXPECT_EQ(estimate->invalid.size(), 1u);
  EXPECT_GE(estimate->n_measured, 1u);
  EXPECT_GT(estimate->seconds_per_item, 0.0);
  EXPECT_EQ(estimate->disk_bytes_per_item, 3u);
  EXPECT_GT(estimate->free_disk_bytes, 0u);
  EXPECT_FALSE(fs::exists(out()));
  ASSERT_TRUE(batch().ok());
  EXPECT_EQ(estimate_batch(setup, batch_options(), nullptr)->n_to_do(), 0u);
}

}  // namespace
}  // namespace weft
