/// One node at work within a GraphRun: its requests in all lanes, batch by batch, with retries, timeouts and cache look-ups.
///
/// Ownership: belongs to the node's state in the GraphRun. Thread safety: driven by one worker at a time; completions
/// come from any thread, the last of a batch queues the node's task again.
#ifndef WEFT_PIPELINE_RUN_NODE_CALL_H
#define WEFT_PIPELINE_RUN_NODE_CALL_H

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/residency/models.h"
#include "pipeline/run/graph_run.h"
#include "pipeline/run/node_place.h"
#include "pipeline/run/request.h"

namespace weft {

class NodeCall final : public RequestHost {
 public:
  using Clock = RunContext::Clock;
  /// task: what the scheduler runs when the last request of a batch completed after execute had returned.
  NodeCall(GraphRun& run, const CompiledNode& node, Task* task);
  ~NodeCall() override;

  /// Fills the requests from the slots, and reports the lanes in which the node is skipped. Errors: those of templates.
  Status gather();
  /// Whether no lane is left.
  bool skipped() const;
  size_t n_requests() const { return requests_.size(); }

  enum class Progress { kDone, kPending };
  /// Runs batches until all are done (kDone) or one is left to complete elsewhere (kPending, `next` may be a task for
  /// this worker). After kPending the call is continued by its task, with resume().
  Progress advance(uint32_t worker, Task*& next);
  Progress resume(uint32_t worker, Task*& next);

  // After kDone:
  const Status& status() const { return status_; }
  /// The lane whose error status() or gather() gave.
  uint32_t failed_lane() const { return failed_lane_; }
  /// By port: the output, or the list of a for_each; nothing if the lane was skipped. Errors: kInternal (some elements
  /// lack an output).
  Result<std::vector<Value>> take_outputs(uint32_t lane);
  bool all_cached() const { return n_cached_ == requests_.size() && !requests_.empty(); }
  bool stopping() const;

  // RequestHost
  bool cancelled(const weft_request& request) const override;
  void on_part(const weft_request& request, uint32_t port, const Value& part) override;
  void on_progress(const weft_request& request, int64_t done, int64_t total, const char* unit) override;
  void on_file(const weft_request& request, const std::string& relative_path, uint64_t size_bytes) override;
  Status on_input_file(const std::filesystem::path& path) override;
  Status on_input_folder(const std::filesystem::path& path) override;
  void on_breach(weft_request&, const Status&) override {}  // the request fails with it: on_complete sees it
  void on_start(weft_request& request) override;
  void on_complete(weft_request& request) override;
  OutputFolder& output_folder() override { return context_.output_folder; }
  const std::filesystem::path& input_folder() const override { return context_.input_folder; }
  const std::string& item() const override { return context_.options.item; }
  const std::string& run_record() const override { return context_.run_record(); }

 private:
  /// The requests of one lane.
  struct Lane {
    uint32_t begin = 0, end = 0;
    enum class State { kRuns, kSkipped } state = State::kRuns;
  };
  /// What a request is filled from. element: what the node's list stands for in it; null without for_each.
  struct Place {
    uint32_t lane;
    Value element;
  };
  const Value& read(Source source, const Place& place) const;
  Result<Value> input_value(size_t input, const Place& place, std::string& skip) const;
  Result<std::shared_ptr<const weft_parameters>> make_request_parameters(const Place& place) const;
  Result<std::string> reference_text(Source source, const Place& place) const;
  /// The reason to skip the lane, or "".
  Result<std::string> gather_lane(uint32_t lane);
  Result<std::string> reason_to_skip(uint32_t lane) const;
  Status add_request(uint32_t element, const std::vector<Value>& shared,
                     const std::shared_ptr<const weft_parameters>& parameters, const Place& place);
  size_t index_of(const weft_request& request) const { return size_t(&request - requests_.data()); }
  void look_up_cached();
  std::string cache_digest(const weft_request& request) const;
  void execute_batch(uint32_t worker);
  bool late() const;
  Task* start_subgraph(uint32_t worker);
  void settle_batch();
  Status verdict(const weft_request& request) const;
  bool all_present(const Literal& literal, uint32_t lane) const;

  GraphRun& run_;
  RunContext& context_;
  const CompiledNode& node_;
  Task* task_;
  const bool is_list_;  // for_each
  std::vector<Lane> lanes_;
  std::vector<weft_request> requests_;
  std::vector<std::string> digests_;    // by request; empty: not kept
  std::vector<uint32_t> todo_, again_;  // requests of this attempt and of the next
  size_t position_ = 0, batch_size_ = 0;
  uint32_t attempt_ = 1;
  size_t n_cached_ = 0;
  Status status_;
  uint32_t failed_lane_ = 0;

  std::atomic<size_t> outstanding_{0};
  std::atomic<bool> aborted_{false};
  static constexpr Clock::rep kNever = std::numeric_limits<Clock::rep>::max();
  std::atomic<Clock::rep> deadline_{kNever};  // of the batch, from when the node gets the first of it
  std::vector<weft_request*> batch_;
  ModelStore::Use models_;
  NodePlace place_;
  std::unique_ptr<GraphRun> nested_;
};

}  // namespace weft
#endif
