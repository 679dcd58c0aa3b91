#include "pipeline/check/node_check.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "pipeline/check/checks.h"
#include "pipeline/check/model_under_check.h"
#include "pipeline/check/samples.h"
#include "pipeline/check/watched_node.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/memory/value_codec.h"
#include "pipeline/run/host.h"
#include "pipeline/run/node_runner.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kCancelLimit{100};  // what the contract allows
constexpr milliseconds kGivenUp{1000};     // after a cancel: the node will not come back
constexpr milliseconds kBeginning{10000};  // for the host's share: inputs, guards, create and prepare
constexpr int kCancelAttempts = 5;         // this machine may be busy: the best of them counts
constexpr milliseconds kPatience{200};     // for requests that are still open when execute has returned

/// One setting of a node and the requests that it gets.
struct Case {
  std::string description;
  ParameterJson parameters_json;
  std::vector<NodeRequest> requests;
  Arrival arrival = Arrival::kTogether;
  std::vector<std::string> extra_outputs = {};
};

struct Outcome {
  Status status;  // of create, prepare or the call as a whole
  std::vector<NodeResult> results;
  std::optional<milliseconds> after_cancel;  // how long it went on after it was cancelled, if it was

  bool stopped_late() const { return after_cancel && *after_cancel > kCancelLimit; }
  /// It came to its own end, and every request succeeded.
  bool succeeded() const {
    return status.ok() && !after_cancel &&
           std::all_of(results.begin(), results.end(),
                       [](const NodeResult& result) { return result.status.ok(); });
  }
};

class NodeCheck {
 public:
  NodeCheck(const weft_plugin& plugin, const std::string& name, const NodeCheckOptions& options,
            const NodeCheckReport& report)
      : plugin_(plugin),
        options_(options),
        report_(report),
        one_(host_options(1, options)),
        two_(host_options(2, options)) {
    const PluginDescriptor descriptor = read_descriptor(&plugin).descriptor;
    for (size_t i = 0; i < plugin.n_nodes; ++i) {
      if (name != plugin.nodes[i].name) continue;
      watched_.emplace(plugin.nodes[i]);
      node_ = descriptor.nodes[i];
    }
    std::ofstream(options_.folder / kSampleFile) << "A small file.\nWith two lines.\n";
    std::ofstream(options_.folder / kSamplePicture, std::ios::binary) << sample_picture();
  }

  bool exists() const { return watched_.has_value(); }

  void run() {
    if (Status status = open_models(); !status.ok()) {
      report_.result({{}, checks::kExecution, Verdict::kNotExercised, to_string(status.error())});
      return;
    }
    find_quick_parameters();
    using Pass = void (NodeCheck::*)();
    static constexpr Pass kPasses[] = {&NodeCheck::execution, &NodeCheck::determinism, &NodeCheck::batching,
                                       &NodeCheck::cancellation};
    static_assert(std::size(kPasses) == std::size(checks::kPasses));
    for (size_t pass = options_.first_pass; pass < std::size(kPasses); ++pass) {
      report_.begin(pass);
      if (!left_open_) (this->*kPasses[pass])();
    }
  }

 private:
  // Little memory: a node whose parameters ask for gigabytes is refused them, instead of spending its time in the guards.
  static HostOptions host_options(uint32_t threads, const NodeCheckOptions& check) {
    HostOptions options;
    options.threads = threads;
    options.guards = HostOptions::Guards::kOn;
    options.max_memory_bytes = uint64_t{256} << 20;
    for (const std::string& model : check.models) {
      std::error_code failure;
      const uintmax_t size = std::filesystem::file_size(model, failure);
      if (!failure) options.max_memory_bytes += 2 * size;  // weights may be packed
    }
    return options;
  }

  // Model work is slow: fewer cases, more time for each.
  milliseconds case_limit() const { return models_.empty() ? milliseconds(500) : milliseconds(2000); }

  Status open_models() {
    for (const ParameterDescriptor& parameter : node_.parameters) {
      if (parameter.type != "model" || parameter.optional) continue;
      Result<ModelUnderCheck> model =
          ModelUnderCheck::open(plugin_, parameter.choices, options_.models, watched_->watch(one_.table()));
      if (!model.ok()) return model.status();
      models_.emplace(parameter.name, *std::move(model));
    }
    held_by_models_ = watched_->held().size();
    return {};
  }

  // ---- reporting ----

  void fail(const char* check, const std::string& detail) {
    if (failed_.insert(check).second) report_.result({{}, check, Verdict::kFailed, detail});
  }
  void pass(const char* check) {
    if (failed_.count(check) == 0) report_.result({{}, check, Verdict::kPassed, {}});
  }
  void not_exercised(const char* check, const std::string& why) {
    if (failed_.count(check) == 0) report_.result({{}, check, Verdict::kNotExercised, why});
  }

  // ---- running a case ----

  // The requests of one case, on `host`, cancelled after `limit`. Reports every breach that shows on the way.
  Outcome run_case(Host& host, const Case& tried, milliseconds limit) {
    NodeRunnerOptions options;
    options.parameters_json = tried.parameters_json;
    for (auto& [parameter, model] : models_) {
      options.models[parameter] = model.handle();
      options.parameters_json[parameter] = "\"checked\"";
    }
    options.extra_outputs = tried.extra_outputs;
    options.in_folder = options_.folder;
    options.out_folder = options_.folder / "out";
    Outcome outcome;
    {
      Result<NodeRunner> runner = NodeRunner::create(host, watched_->type(), std::move(options));
      if (!runner.ok()) {
        outcome.status = runner.status();
      } else {
        run_until(*runner, tried, limit, outcome);
        for (const std::string& violation : runner->violations())
          fail(checks::kRequests, violation + in(tried));
      }
    }
    report_breaches(host, tried);
    return outcome;
  }

  void run_until(NodeRunner& runner, const Case& tried, milliseconds limit, Outcome& outcome) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<std::vector<NodeResult>>> results;
    watched_->reset_clock();
    const auto cancel = [&] {
      watched_->note_cancelled();
      runner.cancel();
    };
    if (limit.count() == 0) cancel();
    std::thread worker([&] {
      Result<std::vector<NodeResult>> got = runner.run(tried.requests, kPatience, tried.arrival);
      const std::lock_guard lock(mutex);
      results.emplace(std::move(got));
      changed.notify_one();
    });
    {
      std::unique_lock lock(mutex);
      const auto done = [&] { return results.has_value(); };
      // The host makes inputs and fills guards before the node is at work: that is not the node's time.
      const Clock::time_point begin = Clock::now();
      while (limit.count() > 0 && !done() && Clock::now() - begin < kBeginning) {
        lock.unlock();
        const bool at_work = watched_->wait_for_execute(Clock::now() + milliseconds(5));
        lock.lock();
        if (at_work) break;
      }
      if (!changed.wait_for(lock, limit, done)) {
        if (limit.count() > 0) cancel();
        const Clock::time_point cancelled_at = Clock::now();
        while (!changed.wait_for(lock, milliseconds(20), done)) {
          if (watched_->after_cancel() < kGivenUp && Clock::now() - cancelled_at < kBeginning) continue;
          fail(checks::kCancellation, "still at work " + std::to_string(kGivenUp.count()) +
                                          " ms after it was cancelled" + in(tried));
          // Its thread cannot be stopped; the checking process goes on with the next pass.
          ::_exit(checks::kStuckStatus);
        }
        outcome.after_cancel = std::chrono::duration_cast<milliseconds>(watched_->after_cancel());
      }
    }
    worker.join();
    if (results->ok()) {
      outcome.results = **std::move(results);
    } else {
      outcome.status = results->status();
      if (outcome.status.code() == StatusCode::kTimedOut) {
        fail(checks::kRequests, "execute returned and a request was never completed" + in(tried));
        left_open_ = true;
      }
    }
  }

  void report_breaches(Host& host, const Case& tried) {
    for (const WatchedNode::Breach& breach : watched_->take_breaches())
      fail(breach.check, breach.detail + in(tried));
    for (const std::string& violation : host.guards()->violations())
      fail(checks::kMemory, violation + in(tried));
    const std::vector<std::string> held = watched_->held();
    if (held.size() > held_by_models_) {
      fail(checks::kReferences,
           "after the node was destroyed it still holds " + held.back() +
               (held.size() > 1 ? " and " + std::to_string(held.size() - 1) + " more" : "") + in(tried));
    }
  }

  static std::string in(const Case& tried) { return " (" + tried.description + ")"; }

  // ---- making cases ----

  std::vector<NodeRequest> sample_requests() {
    size_t most = 1;
    std::vector<std::vector<Value>> values;
    for (const PortDescriptor& port : node_.inputs) {
      values.push_back(sample_values(port.type, one_.cpu_pool()));
      most = std::max(most, values.back().size());
    }
    std::vector<NodeRequest> requests;
    for (size_t i = 0; i < most; ++i) {
      NodeRequest request;
      for (size_t port = 0; port < values.size(); ++port) {
        const bool absent = node_.inputs[port].optional && i % 2 == 1;
        request.inputs.push_back(absent ? Value() : values[port][i % values[port].size()]);
      }
      requests.push_back(std::move(request));
    }
    return requests;
  }

  // A node that works longer than a case may take (it generates hundreds of tokens, say) would never come to its end.
  // So the first parameter is looked for whose smallest value lets it end in time; other cases then take that value.
  void find_quick_parameters() {
    const std::vector<ParameterSample> samples = sample_parameters(node_);
    const std::vector<NodeRequest> requests = {sample_requests()[0]};
    if (!run_case(one_, {"defaults", samples[0].parameters_json, requests}, case_limit()).after_cancel)
      return;
    for (const ParameterSample& sample : samples) {
      if (sample.varied.empty() || quick_.count(sample.varied) != 0) continue;
      if (!run_case(one_, {sample.description, sample.parameters_json, requests}, case_limit()).succeeded())
        continue;
      quick_[sample.varied] = sample.parameters_json.at(sample.varied);
      return;
    }
  }

  std::vector<ParameterSample> parameter_samples() {
    std::vector<ParameterSample> samples = sample_parameters(node_);
    for (ParameterSample& sample : samples) {
      for (const auto& [name, json] : quick_) {
        if (sample.varied != name) sample.parameters_json[name] = json;
      }
    }
    return samples;
  }

  // All inputs with the defaults, then one input with every setting of the parameters, and an output of some name.
  std::vector<Case> cases() {
    std::vector<Case> cases;
    const std::vector<NodeRequest> requests = sample_requests();
    const std::vector<ParameterSample> parameters = parameter_samples();
    for (size_t i = 0; i < requests.size(); ++i) {
      cases.push_back(
          {"defaults, input " + std::to_string(i + 1), parameters[0].parameters_json, {requests[i]}});
    }
    for (size_t i = 1; i < parameters.size(); ++i) {
      cases.push_back({parameters[i].description, parameters[i].parameters_json, {requests[0]}});
    }
    if (node_.has(WEFT_NODE_EXTRA_OUTPUTS)) {  // made as every output is, or refused as every mistake is
      cases.push_back({"a further output", parameters[0].parameters_json, {requests[0]}});
      cases.back().extra_outputs = {"further"};
    }
    return cases;
  }

  // ---- the passes ----

  void execution() {
    std::string refusal;
    for (const Case& tried : cases()) {
      const Outcome outcome = run_case(one_, tried, case_limit());
      if (left_open_) return;  // nothing else can be learnt from a node that does not complete its requests
      if (outcome.stopped_late()) check_cancellation(tried, case_limit(), *outcome.after_cancel);
      if (!outcome.status.ok()) {
        refusal = to_string(outcome.status.error()) + in(tried);
        continue;
      }
      for (const NodeResult& result : outcome.results) {
        answered_ = answered_ || result.status.ok();
        if (!result.status.ok()) refusal = to_string(result.status.error()) + in(tried);
      }
    }
    for (const char* check :
         {checks::kExceptions, checks::kErrors, checks::kRequests, checks::kMemory, checks::kReferences}) {
      pass(check);
    }
    if (answered_) {
      pass(checks::kExecution);
    } else {
      not_exercised(checks::kExecution, "refused every input that was made up; the last one: " + refusal);
    }
  }

  // What a result is made of, to compare; nothing if the request failed.
  std::optional<std::string> fingerprint(const NodeResult& result) {
    if (!result.status.ok()) return std::nullopt;
    std::string bytes;
    for (const Value& output : result.outputs) {
      bytes += output ? '+' : '-';
      if (!output) continue;
      // A path is where the host put the file; its bytes are what the node made.
      if (output.type() == "path") continue;
      const Status status = encode_value(output, [&](std::string_view part) { bytes += part; });
      if (!status.ok()) return std::nullopt;
    }
    for (const std::string& file : result.files) {
      std::ifstream stream(options_.folder / "out" / file, std::ios::binary);
      bytes += file + std::string{std::istreambuf_iterator<char>(stream), {}};
    }
    return bytes;
  }

  std::vector<std::optional<std::string>> fingerprints(const Outcome& outcome) {
    std::vector<std::optional<std::string>> all;
    if (!outcome.status.ok() || outcome.after_cancel) return all;  // where it was cut off is chance
    for (const NodeResult& result : outcome.results) all.push_back(fingerprint(result));
    return all;
  }

  void determinism() {
    if (node_.has(WEFT_NODE_NONDETERMINISTIC)) {
      not_exercised(checks::kDeterminism, "declared non-deterministic");
      return;
    }
    size_t compared = 0;
    for (const Case& tried : cases()) {
      const auto first = fingerprints(run_case(one_, tried, case_limit()));
      for (auto& [parameter, model] : models_) {
        if (Status status = model.reload(); !status.ok()) {
          fail(checks::kDeterminism, "a model could not be loaded again: " + to_string(status.error()));
        }
      }
      const auto second = fingerprints(run_case(two_, tried, case_limit()));
      if (first.empty() || second.empty() || !first[0]) continue;
      ++compared;
      if (first != second) {
        fail(checks::kDeterminism,
             "the same request gave another result the second time, with two threads instead of one" +
                 in(tried));
        break;
      }
      if (!models_.empty() && compared == 4) break;
    }
    compared != 0 ? pass(checks::kDeterminism)
                  : not_exercised(checks::kDeterminism, "no request was answered");
  }

  void batching() {
    if (node_.has(WEFT_NODE_NONDETERMINISTIC)) {
      not_exercised(checks::kBatching, "declared non-deterministic");
      return;
    }
    if (node_.has(WEFT_NODE_WRITES_FILES)) {
      not_exercised(checks::kBatching, "writes files: made-up requests would all write the same one");
      return;
    }
    Case together{"batch", parameter_samples()[0].parameters_json, {}};
    std::vector<std::optional<std::string>> alone;
    for (NodeRequest& request : sample_requests()) {
      const auto single =
          fingerprints(run_case(two_, {"alone", together.parameters_json, {request}}, case_limit()));
      if (single.empty() || !single[0]) continue;
      alone.push_back(single[0]);
      together.requests.push_back(std::move(request));
    }
    if (alone.empty()) {
      not_exercised(checks::kBatching, "no request was answered");
      return;
    }
    together.requests.push_back(together.requests[0]);  // the first again, behind all the others
    alone.push_back(alone[0]);
    const milliseconds limit = case_limit() * static_cast<int>(together.requests.size());
    for (const auto& [arrival, description] :
         {std::pair(Arrival::kTogether, "in a batch, or after other requests,"),
          std::pair(Arrival::kOneByOne, "joining others that were at work")}) {
      together.arrival = arrival;
      const auto batch = fingerprints(run_case(two_, together, limit));
      if (batch.empty()) {
        not_exercised(checks::kBatching, "the batch was refused or took too long");
        return;
      }
      for (size_t i = 0; i < batch.size(); ++i) {
        if (batch[i] == alone[i]) continue;
        fail(checks::kBatching, "request " + std::to_string(i + 1) + " of " + std::to_string(batch.size()) +
                                    " gave another result " + description + " than alone");
        break;
      }
    }
    pass(checks::kBatching);
  }

  void check_cancellation(const Case& tried, milliseconds limit, milliseconds first) {
    milliseconds best = first;
    for (int attempt = 1; attempt < kCancelAttempts && best > kCancelLimit; ++attempt) {
      best = std::min(best, run_case(two_, tried, limit).after_cancel.value_or(milliseconds(0)));
    }
    if (best > kCancelLimit) {
      fail(checks::kCancellation,
           "went on for " + std::to_string(best.count()) + " ms after it was cancelled" + in(tried));
    }
  }

  void cancellation() {
    NodeRequest large;
    for (const PortDescriptor& port : node_.inputs)
      large.inputs.push_back(large_value(port.type, one_.cpu_pool()));
    const NodeRequest typical = sample_requests()[0];
    const ParameterJson usual = sample_parameters(node_)[0].parameters_json;
    const ParameterJson largest = largest_parameters(node_).parameters_json;
    const std::vector<Case> tries = {{"typical input", usual, {typical}},
                                     {"large input", usual, {large}},
                                     {"largest numbers", largest, {typical}},
                                     {"large input, largest numbers", largest, {large}}};
    for (const Case& tried : tries) {
      for (const milliseconds limit : {milliseconds(0), milliseconds(20)}) {  // before it begins, and at work
        const Outcome outcome = run_case(two_, tried, limit);
        if (outcome.stopped_late()) check_cancellation(tried, limit, *outcome.after_cancel);
      }
    }
    pass(checks::kCancellation);
  }

  const weft_plugin& plugin_;
  const NodeCheckOptions& options_;
  const NodeCheckReport& report_;
  Host one_, two_;  // with one thread and with two
  std::optional<WatchedNode> watched_;
  NodeTypeDescriptor node_;
  std::map<std::string, ModelUnderCheck> models_;  // by parameter
  size_t held_by_models_ = 0;
  ParameterJson quick_;  // what lets the node end in time
  std::set<std::string> failed_;
  bool answered_ = false;   // a request succeeded
  bool left_open_ = false;  // a request was never completed
};

}  // namespace

void check_node(const weft_plugin& plugin, const std::string& node_name, const NodeCheckOptions& options,
                const NodeCheckReport& report) {
  NodeCheck check(plugin, node_name, options, report);
  if (check.exists()) check.run();
}

}  // namespace weft
