/// Runs one node on given inputs, without a graph: for tests and for `weft check`.
///
/// The runner does what a run does (create, prepare, workspace, execute, completion, streamed parts, output
/// files) and records every breach of the contract on the way. Ownership: node type and host outlive the
/// runner. Thread safety: one thread; cancel() from any.
///
///   auto runner = NodeRunner::create(host, type, {{"prefix", "\"> \""}});
///   auto results = runner->run({{.inputs = {text_value}}});
///   EXPECT_EQ((*results)[0].outputs[0].bytes_view(), "> hello");
#ifndef WEFT_PIPELINE_RUN_NODE_RUNNER_H
#define WEFT_PIPELINE_RUN_NODE_RUNNER_H

#include <weft/abi/plugin.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <weft/sdk/status.h>

#include "pipeline/memory/value.h"

namespace weft {

class Host;

struct NodeRunnerOptions {
  std::map<std::string, std::string> parameters_json;  // by name; the others take their defaults
  std::map<std::string, void*> models;                 // by parameter name: opened and loaded models
  std::vector<std::string> extra_inputs;               // further input names, for WEFT_NODE_EXTRA_INPUTS
  std::vector<std::string> extra_outputs;              // the same for WEFT_NODE_EXTRA_OUTPUTS
  std::filesystem::path in_folder = ".", out_folder = "out";
};

struct NodeRequest {
  std::vector<Value> inputs;  // by port; null or missing: not connected
};

struct NodeResult {
  Status status;
  std::vector<Value> outputs;         // by port; null where none was set and no part emitted
  std::vector<uint32_t> part_counts;  // by port: how often emit was called
  std::vector<std::string> files;     // committed, relative to out_folder
  int64_t progress_done = 0, progress_total = 0;
};

/// How requests come to the node: a batch at once, or only the first of it, and each further one when the node asks for more.
enum class Arrival { kTogether, kOneByOne };

class NodeRunner {
 public:
  /// Errors: those of create; kInvalidArgument for parameters that the descriptor does not allow.
  static Result<NodeRunner> create(Host& host, const weft_node_type& type, NodeRunnerOptions options = {});
  NodeRunner(NodeRunner&&) noexcept;
  NodeRunner& operator=(NodeRunner&&) noexcept;
  ~NodeRunner();

  /// Prepares the node for the largest of each input and executes the requests in batches of at most
  /// max_batch. Errors: those of prepare, kTimedOut if requests are still open `patience` after execute
  /// returned; a failed request's error is in its result.
  Result<std::vector<NodeResult>> run(const std::vector<NodeRequest>& requests,
                                      std::chrono::milliseconds patience = std::chrono::seconds(60),
                                      Arrival arrival = Arrival::kTogether);
  /// Makes cancelled() return 1 for every request, now and later.
  void cancel();
  /// What the node did against the contract so far, one sentence each: completed twice, set an output twice
  /// or of a wrong type, exceeded a prepared bound, returned no status, left a temporary ...
  const std::vector<std::string>& violations() const;

 private:
  struct State;
  explicit NodeRunner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
