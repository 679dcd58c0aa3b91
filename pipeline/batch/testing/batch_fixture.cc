#include "pipeline/batch/testing/batch_fixture.h"

namespace weft::testing {

BatchFixture::BatchFixture() {
  batch_options_.folder = out();
  batch_options_.concurrency = 2;
  use(kBatchPipeline);
}

void BatchFixture::use(const std::string& pipeline_members) {
  graph_ = parse(pipeline_members);
  options().sources = {{(folder() / "test.json").string(), pipeline_members}};
}

void BatchFixture::items(const std::string& lines, const std::string& name) {
  write(name, lines);
  batch_options_.items = (folder() / name).string();
}

Result<Batch> BatchFixture::open() { return Batch::open(setup(), batch_options_); }

Result<BatchCounts> BatchFixture::batch() {
  recorded_.clear();
  Result<Batch> batch = open();
  if (!batch.ok()) return batch.status();
  BatchCallbacks callbacks;
  callbacks.on_recorded = [this](std::span<const NamedOutcome> outcomes) {
    for (const NamedOutcome& named : outcomes) recorded_.push_back(named.item.name);
    if (on_recorded) on_recorded(outcomes);
  };
  Result<BatchCounts> counts = batch->run(callbacks, drain, nullptr);
  EXPECT_EQ(host().temporaries().count(), 0u) << "a temporary is left";
  return counts;
}

std::map<std::string, std::string> BatchFixture::records() {
  std::map<std::string, std::string> records;
  for (const std::filesystem::path& file : find_journals(out())) {
    Result<Journal> journal = Journal::open_to_read(file);
    if (!journal.ok()) {
      ADD_FAILURE() << to_string(journal.error());
      continue;
    }
    const Status status = journal->for_each_record([&](const RecordedItem& item) {
      const bool done = item.state == ItemOutcome::State::kDone;
      EXPECT_EQ(records.count(item.item.name), 0u) << "two records of " << item.item.name;
      records[item.item.name] = done ? "done" : to_string(item.error);
      return Status();
    });
    EXPECT_TRUE(status.ok());
  }
  return records;
}

}  // namespace weft::testing
