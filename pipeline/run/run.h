/// Runs a validated pipeline.
///
/// prepare_run resolves inputs and seeds, opens models (headers only), creates and prepares every node, and
/// plans memory: what `weft plan` prints, before a weight is loaded. execute runs it: independent branches in
/// parallel, outputs released after their last consumer, results that do not depend on the number of threads.
///
///   Host host({...});
///   RunOptions options{.inputs = {{"topic", {.text = "a red apple"}}}, .out_folder = "out"};
///   auto prepared = prepare_run(graph, plugins, host, options);
///   auto result = execute(*prepared, options, print_event, &cancel);
///
/// Ownership: graph and host outlive the PreparedRun. Thread safety: one thread, except that a run prepared for items is
/// executed by several at once; cancel from anywhere.
#ifndef WEFT_PIPELINE_RUN_RUN_H
#define WEFT_PIPELINE_RUN_RUN_H

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>

#include "pipeline/graph/parse.h"
#include "pipeline/memory/value.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/events.h"

namespace weft {

class Host;
class ResultCache;
struct Plan;  // plan/plan.h

/// Loads a plugin's library, or gives the one that is loaded: what PluginLibrary::load does. [main]
using PluginProvider = std::function<Result<const weft_plugin*>(const PluginDescriptor& plugin)>;

/// The value of a pipeline input: exactly one of the three is used.
struct InputValue {
  std::string text;  // as `--set name=value` gives it: text as it is, JSON for other types
  std::string json;  // JSON text; used if not empty
  Value value = {};  // shared, not copied; used if not null. Its type satisfies the input's
};

struct DrawnSeed {
  /// In place of a parameter's name where the value is the day of the run, for which the node asked.
  static constexpr const char* kToday = "(today)";
  std::string node;  // "outer/inner" in a subgraph
  std::string parameter;
  int64_t value = 0;
};

/// Items that share a prepared run: nodes get requests of several items together, and each item ends as if it ran alone.
struct ItemOptions {
  /// Most executions at a time; 0: as many as pay off, by what nodes say of their batches, and fit max_memory_bytes.
  uint32_t at_once = 0;
  /// For that choice, where there is no max_memory_bytes: what may be taken; 0: anything. One item is never too many.
  uint64_t available_bytes = 0;
  /// Inputs that each execution brings, with the most bytes of their values, or WEFT_UNBOUNDED. The bytes of a list are
  /// those of its JSON. Others are the same for all items; so must be inputs that parameters need before the run.
  std::map<std::string, int64_t> varying = {};
};

struct RunOptions {
  std::map<std::string, InputValue> inputs;  // by name; the others take their defaults
  std::filesystem::path out_folder = "out";  // created when the first file is written
  std::string item;                          // of a batch: its name, where its previews are; see previews.h
  std::string device;                        // stands for what files say of all their models; empty: theirs
  uint32_t threads = 0;                      // nodes at work at once; 0: the host's
  uint64_t max_memory_bytes = 0;             // refuse a plan whose peak is larger; 0: no limit
  ResultCache* cache = nullptr;              // null: off
  std::filesystem::path trace_path;          // empty: no trace
  enum class WriteManifest { kYes, kNo } manifest = WriteManifest::kYes;  // out_folder/manifest.json
  std::string isa_level;  // of the kernels in use; part of cache keys, recorded
  std::string numerics_profile = "default";
  std::vector<DrawnSeed> seeds;        // replay these instead of drawing
  std::function<int64_t()> draw_seed;  // in [0, 2^31); empty: from the system's entropy
  std::function<int64_t()> today;      // as weft_node_config::today; empty: from the system's clock
  /// The pipeline's files, for the record that nodes may keep with what they write (run_record.h); empty: no record.
  std::vector<PipelineSource> sources;
  /// For a pipeline that came with a picture, and so from anywhere: nodes read these files (canonical) and no others, and
  /// models are found on the search path only. Absent: no such restriction.
  std::optional<std::set<std::string>> readable_files;
  uint64_t max_json_elements = 65536;  // larger tensors are summarised in outputs
  std::optional<ItemOptions> items;    // for prepare_run; absent: one execution at a time
};

struct NodeTiming {
  std::string node;
  double seconds = 0;  // wall clock, all attempts
  enum class Outcome { kComputed, kCached, kSkipped } outcome = Outcome::kComputed;
};

struct RunResult {
  std::map<std::string, std::string> outputs_json;  // by name; an output of a skipped node is absent
  std::map<std::string, Value> outputs;  // the same, shared with whoever made them; the host outlives them
  std::vector<DrawnSeed> seeds;          // of this execution
  std::filesystem::path manifest_path;   // empty if none was written
  std::vector<std::string> files;        // written, relative to out_folder, sorted
  std::vector<NodeTiming> timings;       // in graph order, subgraphs' nodes after their parents
  double seconds = 0;
  uint64_t peak_live_bytes = 0;  // of values between stages
  uint64_t copied_bytes = 0;     // by the host, between stages
};

/// A model file or folder that the run reads: named in the pipeline, or read beside one that is (adapters, parts).
struct UsedModel {
  std::string name;  // in the pipeline, "outer/writer" in a subgraph
  std::string path;  // absolute
  std::string sha256;
};

class PreparedRun {
 public:
  PreparedRun(PreparedRun&&) noexcept;
  PreparedRun& operator=(PreparedRun&&) noexcept;
  ~PreparedRun();

  const Graph& graph() const;
  const Plan& plan() const;
  const std::vector<DrawnSeed>& drawn_seeds() const;
  std::vector<UsedModel> used_models() const;
  /// Most executions at a time: 1 without RunOptions::items.
  uint32_t items_at_once() const;
  bool shared_by_items() const;
  /// Whether the files of its models are what they were when it was prepared. [main]
  bool models_unchanged() const;

  struct State;
  State& state() { return *state_; }
  explicit PreparedRun(std::unique_ptr<State> state);

 private:
  std::unique_ptr<State> state_;
};

/// Errors: kInvalidArgument and kNotFound for inputs, models and devices, kOutOfMemory if the plan's peak is beyond
/// max_memory_bytes or what a device has (with the numbers), those of the plugins' create and prepare.
Result<PreparedRun> prepare_run(const Graph& graph, const PluginProvider& plugins, Host& host,
                                const RunOptions& options);

/// Errors: that of the node that failed first, naming it; kCancelled; kIoError. Temporaries are removed in
/// every case; files that nodes completed before the error stay. May be called again after it returned.
/// Prepared for items: items_at_once() threads may be in it at a time, each with the inputs, output folder, seeds and token
/// of its own item. What becomes of one item does not concern the others. There is no trace.
Result<RunResult> execute(PreparedRun& prepared, const RunOptions& options, const EventHandler& on_event,
                          const CancelToken* cancel);

}  // namespace weft
#endif
