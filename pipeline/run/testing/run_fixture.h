/// Runs pipelines of test nodes from JSON text, in a folder of their own.
#ifndef WEFT_PIPELINE_RUN_TESTING_RUN_FIXTURE_H
#define WEFT_PIPELINE_RUN_TESTING_RUN_FIXTURE_H

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/files/durable_file.h"
#include "pipeline/graph/graph.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run.h"

namespace weft::testing {

class RunFixture : public ::testing::Test {
 protected:
  RunFixture();
  ~RunFixture() override;

  /// A graph of the pipeline with these members, for example R"("nodes": {...}, "outputs": {...})". Subgraph files are
  /// looked for in folder(). A mistake in the text fails the test and gives an empty graph.
  std::shared_ptr<const Graph> parse(const std::string& members);
  /// Parses, prepares and executes. Events are kept in events().
  Result<RunResult> run(const std::string& members);
  /// The JSON of output `y` of a run that has to succeed.
  std::string output(const std::string& members, const std::string& name = "y");

  Host& host();
  RunOptions& options() { return options_; }
  HostOptions& host_options() { return host_options_; }  // before the first run
  CancelToken& cancel() { return cancel_; }
  const std::vector<std::string>& events() const { return events_; }
  const std::filesystem::path& folder() const { return folder_; }
  void write(const std::string& name, const std::string& content) const;
  static std::string read(const std::filesystem::path& path);
  /// Files below `path`, relative to it, sorted.
  static std::vector<std::string> files_below(const std::filesystem::path& path);

 private:
  std::filesystem::path folder_;
  HostOptions host_options_;
  std::unique_ptr<Host> host_;
  RunOptions options_;
  CancelToken cancel_;
  std::vector<std::string> events_;
};

/// "started a", "part a.text 0 'tex'" ...: an event as one line.
std::string describe(const Event& event);

}  // namespace weft::testing
#endif
