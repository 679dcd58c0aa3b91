#include "pipeline/cli/batch_display.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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

TEST(ItemsAtWork, AreTheEndOfWhatTheyWrite) {
  ItemsAtWork at_work;
  at_work.on_event("sea", NodeStarted{"idea", 1});
  at_work.on_event("sea", TextPart{"idea", "text", 0, "The sea\n", {}});
  at_work.on_event("sea", Progress{"idea", 0, 3, 40, "tokens", {}});
  at_work.on_event("sea", TextPart{"idea", "text", 0, "is \x1b[2Jblue", {}});
  at_work.on_event("fox", Progress{"paint", 0, 12, 20, "steps", {}});
  const std::vector<ItemAtWork> items = at_work.list();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(item_at_work_line(items[0], 79), "  sea  The sea is ^[[2Jblue");
  EXPECT_EQ(item_at_work_line(items[0], 14), "  sea  [2Jblue");
  EXPECT_EQ(item_at_work_line(items[1], 79), "  fox  paint 12/20 steps");
  ItemAtWork shown = items[1];
  shown.previews = "build/previews/fox";
  EXPECT_EQ(item_at_work_line(shown, 79), "  fox  paint 12/20 steps, build/previews/fox");
  at_work.on_event("sea", PartsDiscarded{"idea", 0, 1, {}, {}});
  EXPECT_EQ(item_at_work_line(at_work.list()[0], 79), "  sea  idea 3/40 tokens") << "the attempt is void";
  at_work.on_event("sea", NodeStarted{"save", 1});
  EXPECT_EQ(item_at_work_line(at_work.list()[0], 79), "  sea  save");
  at_work.ended("sea");
  EXPECT_EQ(at_work.count(), 1u);
  EXPECT_EQ(at_work.list(1)[0].name, "fox");
}

TEST(ItemsAtWork, FitTheScreen) {
  const std::string wide = "\u4f60\u597d and a name that goes on and on and on and on and on and on";
  ItemsAtWork at_work;
  for (int i = 10; i < 30; ++i) {
    at_work.on_event(wide + std::to_string(i),
                     TextPart{"a", "text", 0, wide + wide + wide + wide + wide, {}});
  }
  for (size_t width = 20; width < 200; ++width) {
    const std::vector<std::string> lines = items_at_work_lines(at_work.list(), at_work.count(), width);
    ASSERT_EQ(lines.size(), kItemsShown + 1);
    for (const std::string& line : lines) EXPECT_LE(display_width(line), width) << line;
    EXPECT_EQ(lines.back(), clip_to_width("  and 12 more at work", width));
  }
  EXPECT_TRUE(items_at_work_lines({}, 0, 80).empty());
}

TEST(ItemsAtWork, AreReadFromTheirFile) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "weft-items-at-work";
  std::filesystem::create_directories(folder);
  FileSystem file_system;
  TemporaryFiles temporaries(file_system);
  ItemsAtWork at_work;
  at_work.on_event("a/b", TextPart{"idea", "text", 0, "\"sea\"", {}});
  const std::filesystem::path file = items_at_work_file(folder / "journal-1-of-2.sqlite");
  EXPECT_EQ(file.filename(), "journal-1-of-2.at_work.json");
  std::vector<ItemAtWork> items = at_work.list();
  items[0].previews = "shown/a/b";
  ASSERT_TRUE(write_items_at_work(items, temporaries, file).ok());
  const std::vector<ItemAtWork> read = read_items_at_work(file);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].name, "a/b");
  EXPECT_EQ(read[0].text, "\"sea\"");
  EXPECT_EQ(read[0].previews, "shown/a/b");
  std::ofstream(file) << "[{\"name\": 3}]";
  EXPECT_TRUE(read_items_at_work(file).empty());
  std::ofstream(file) << "no JSON";
  EXPECT_TRUE(read_items_at_work(file).empty());
  EXPECT_TRUE(read_items_at_work(folder / "none").empty());
  std::filesystem::remove_all(folder);
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
