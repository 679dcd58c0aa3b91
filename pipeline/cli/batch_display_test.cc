#include "pipeline/cli/batch_display.h"

#include <gtest/gtest.h>

#include "pipeline/cli/batch_estimate.h"
#include "pipeline/cli/batch_json.h"

namespace weft::cli {
namespace {

TEST(BatchProgress, FitsItsWidth) {
  const struct {
    BatchProgress progress;
    size_t width;
    const char* line;
  } cases[] = {
      {{1000, 118, 2, 3.14}, 79, "items  [##------------------] 120/1000, 2 failed, 3.1/s, 4 min 40 s left"},
      {{1000, 0, 0, 0}, 79, "items  [--------------------] 0/1000"},
      {{10, 10, 0, 250}, 79, "items  [####################] 10/10, 250/s"},
      {{10, 5, 0, 0.02}, 79, "items  [##########----------] 5/10, 1.2/min, 4 min 10 s left"},
      {{0, 0, 0, 0}, 79, "items  0/0"},
      {{1000, 118, 2, 3.14}, 30, "items  120/1000, 2 failed, 3.1"},
  };
  for (const auto& c : cases) EXPECT_EQ(batch_progress_line(c.progress, c.width), c.line);
}

TEST(BatchJson, SaysWhatBecameOfAnItem) {
  NamedOutcome named;
  named.item = {7, "ink/000001", "{}", "items.jsonl:1"};
  named.outcome.outputs_json = {{"text", "\"a \\\"b\\\"\""}, {"score", "0.5"}};
  named.outcome.files = {{"a.png", 3, "ab"}};
  named.outcome.seconds = 0.5;
  EXPECT_EQ(item_line(named),
            R"({"event":"item","name":"ink/000001","state":"done","seconds":0.5,)"
            R"("outputs":{"score":0.5,"text":"a \"b\""},"files":["items/ink/000001/a.png"]})"
            "\n");
  named.outcome.state = ItemOutcome::State::kFailed;
  named.outcome.error = Error{StatusCode::kTimedOut, "too slow", "node 'x'", {}, {}, {}};
  EXPECT_EQ(item_line(named),
            R"({"event":"item","name":"ink/000001","state":"failed","seconds":0.5,"place":"items.jsonl:1",)"
            R"("reason":"node 'x': too slow"})"
            "\n");
}

TEST(BatchEstimateText, SaysWhatItIsBasedOn) {
  BatchEstimate estimate;
  estimate.n_items = 100;
  estimate.n_recorded = 20;
  estimate.plan.concurrency = 2;
  estimate.plan.weight_bytes = uint64_t{1} << 30;
  estimate.plan.bytes_per_item = uint64_t{1} << 20;
  estimate.n_measured = 3;
  estimate.seconds_per_item = 2;
  estimate.disk_bytes_per_item = 1 << 20;
  const std::string text = estimate_text(estimate);
  EXPECT_NE(text.find("about 80.0 s: 2.00 s an item, 2 at once; measured on the first 3 items"),
            std::string::npos)
      << text;
  EXPECT_EQ(estimate.memory_bytes(), (uint64_t{1} << 30) + (uint64_t{2} << 20));
  EXPECT_EQ(estimate.disk_bytes(), uint64_t{80} << 20);
  estimate.n_measured = 0;
  EXPECT_NE(estimate_text(estimate).find("not known"), std::string::npos);
}

}  // namespace
}  // namespace weft::cli
