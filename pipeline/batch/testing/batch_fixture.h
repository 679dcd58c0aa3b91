/// Batches of a small pipeline of test nodes, in a folder of their own.
#ifndef WEFT_PIPELINE_BATCH_TESTING_BATCH_FIXTURE_H
#define WEFT_PIPELINE_BATCH_TESTING_BATCH_FIXTURE_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/batch/batch.h"
#include "pipeline/batch/testing/batch_pipeline.h"
#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {

class BatchFixture : public RunFixture {
 protected:
  BatchFixture();

  /// Opens and runs; every record is noted in recorded().
  Result<BatchCounts> batch();
  Result<Batch> open();
  BatchSetup setup() { return {*graph_, plugins_, host(), options()}; }
  BatchOptions& batch_options() { return batch_options_; }
  std::filesystem::path out() const { return folder() / "out"; }
  void use(const std::string& pipeline_members);
  void items(const std::string& lines, const std::string& name = "items.jsonl");
  /// State of every item that has a record: name to "done" or the failure's text.
  std::map<std::string, std::string> records();
  const std::vector<std::string>& recorded() const { return recorded_; }
  const CancelToken* drain = nullptr;
  GroupCommit::OnRecorded on_recorded;

 private:
  std::shared_ptr<const Graph> graph_;
  PluginProvider plugins_ = test_provider();
  BatchOptions batch_options_;
  std::vector<std::string> recorded_;
};

}  // namespace weft::testing
#endif
