#include "pipeline/run/node_call.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"
#include "pipeline/loader/port_type.h"
#include "pipeline/memory/value_codec.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/plan/parameters.h"
#include "pipeline/run/host.h"
#include "pipeline/run/input_files.h"

namespace weft {
namespace {

// The two parts of a request's place, as events name it.
uint32_t innermost(const weft_request& request) { return request.place.empty() ? 0 : request.place.back(); }
std::vector<uint32_t> outer_of(const weft_request& request) {
  if (request.place.size() < 2) return {};
  return {request.place.begin(), request.place.end() - 1};
}

}  // namespace

NodeCall::NodeCall(GraphRun& run, const CompiledNode& node, Task* task)
    : run_(run),
      context_(run.context_),
      node_(node),
      task_(task),
      is_list_(node.node->for_each.has_value()),
      lanes_(run.n_lanes_),
      place_(context_.host, *node.planned,
             context_.arena ? context_.arena + node.planned->workspace_offset : nullptr) {}

NodeCall::~NodeCall() = default;

bool NodeCall::stopping() const {
  return aborted_.load(std::memory_order_relaxed) || run_.stopping() || late();
}

bool NodeCall::late() const {
  const Clock::rep deadline = deadline_.load(std::memory_order_relaxed);
  return deadline != kNever && Clock::now().time_since_epoch().count() >= deadline;
}

// Filling requests

const Value& NodeCall::read(Source source, const Place& place) const {
  return is_list_ && source == *node_.node->for_each ? place.element : run_.read(source, place.lane);
}

bool NodeCall::all_present(const Literal& literal, uint32_t lane) const {
  const std::vector<Source> sources = references(literal);
  return std::all_of(sources.begin(), sources.end(),
                     [&](Source source) { return bool(run_.read(source, lane)); });
}

Result<std::string> NodeCall::reference_text(Source source, const Place& place) const {
  auto text = value_to_template_text(read(source, place));
  if (text.ok() && source.node >= 0) context_.count_copy(text->size());
  return text;
}

Result<Value> NodeCall::input_value(size_t input, const Place& place, std::string& skip) const {
  const InputBinding& binding = node_.node->inputs[input];
  if (!node_.per_element[input] && input < node_.planned->constants.size() &&
      node_.planned->constants[input]) {
    return Value::share(node_.planned->constants[input].get());
  }
  Value value;
  if (binding.source) {
    value = read(*binding.source, place);
  } else if (binding.literal && all_present(*binding.literal, place.lane)) {
    auto json =
        render(*binding.literal, binding.type, [&](Source source) { return reference_text(source, place); });
    if (!json.ok()) return json.status().at("input '" + binding.name + "'");
    auto made = value_from_json(*json, binding.type, context_.host.cpu_pool());
    if (!made.ok()) return made.status().at("input '" + binding.name + "'");
    value = std::move(*made);
  }
  const bool given = binding.source || binding.literal;
  if (!value && given && !binding.optional) skip = "its input '" + binding.name + "' has no value";
  return value;
}

Result<std::shared_ptr<const weft_parameters>> NodeCall::make_request_parameters(const Place& place) const {
  if (node_.bindings.empty() && node_.item_seeds.empty()) return node_.planned->parameters;
  Result<weft_parameters> made = *node_.planned->parameters;
  if (!node_.bindings.empty()) {
    made = make_parameters(
        node_.node->type.node->parameters, node_.bindings, [](const Source&) { return true; },
        [&](Source source) { return reference_text(source, place); });
    if (!made.ok()) return made.status();
  }
  for (const DrawnSeed& seed : context_.item.seeds) {
    const bool ours =
        seed.node == node_.planned->path &&
        std::find(node_.item_seeds.begin(), node_.item_seeds.end(), seed.parameter) != node_.item_seeds.end();
    if (ours) set_parameter(*made, seed.parameter, seed.value);
  }
  return std::make_shared<const weft_parameters>(std::move(*made));
}

Status NodeCall::add_request(uint32_t element, const std::vector<Value>& shared,
                             const std::shared_ptr<const weft_parameters>& parameters, const Place& place) {
  weft_request& request = requests_.emplace_back();
  request.host = this;
  request.ports = &node_.ports;
  request.node = &node_.planned->path;
  request.element = element;
  request.lane = place.lane;
  if (run_.parent_) {
    const weft_request& outer = *run_.parent_->batch_[place.lane];
    request.outer_elements = outer.mixed_element();
    request.place = outer.place;
  }
  if (is_list_) request.place.push_back(element);
  request.inputs = shared;
  request.parameters = parameters;
  request.outputs.resize(node_.ports.size());
  std::string
      skip;  // cannot happen: the list is there, and so is all else that its elements are combined with
  for (size_t i = 0; is_list_ && i < request.inputs.size(); ++i) {
    if (!node_.per_element[i]) continue;
    auto value = input_value(i, place, skip);
    if (!value.ok()) return value.status().at("element " + std::to_string(element));
    request.inputs[i] = std::move(*value);
  }
  if (node_.parameters_per_element) {
    auto made = make_request_parameters(place);
    if (!made.ok()) return made.status().at("element " + std::to_string(element));
    request.parameters = std::move(*made);
  }
  return {};
}

Result<std::string> NodeCall::reason_to_skip(uint32_t lane) const {
  const Node& node = *node_.node;
  if (node.when) {
    const Value& condition = run_.read(node.when->source, lane);
    if (!condition) return std::string("its 'when' has no value");
    const std::string json = value_to_json(condition, 0);
    if (!node.when->equals_json && json != "true") return std::string("'when' is false");
    if (node.when->equals_json && !same_json(json, *node.when->equals_json)) {
      return "'when' is " + json.substr(0, 100) + ", not " + *node.when->equals_json;
    }
  }
  if (is_list_ && !run_.read(*node.for_each, lane)) return std::string("its 'for_each' has no value");
  for (const ParameterBinding& binding : node_.bindings) {
    if (!all_present(binding.value, lane))
      return "its parameter '" + binding.name + "' refers to a node that was skipped";
  }
  return std::string();
}

Result<std::string> NodeCall::gather_lane(uint32_t lane) {
  const Node& node = *node_.node;
  auto skipped = reason_to_skip(lane);
  if (!skipped.ok() || !skipped->empty()) return skipped;
  std::vector<Value> shared(node.inputs.size());
  std::string skip;
  for (size_t i = 0; i < shared.size(); ++i) {
    if (node_.per_element[i] && (node.inputs[i].source || all_present(*node.inputs[i].literal, lane)))
      continue;
    auto value = input_value(i, {lane, {}}, skip);
    if (!value.ok()) return value.status();
    if (!skip.empty()) return skip;
    shared[i] = std::move(*value);
  }
  std::shared_ptr<const weft_parameters> parameters;
  if (!node_.parameters_per_element) {
    auto made = make_request_parameters({lane, {}});
    if (!made.ok()) return made.status();
    parameters = std::move(*made);
  }
  const Value list = is_list_ ? run_.read(*node.for_each, lane) : Value();
  const size_t n = is_list_ ? list.size() : 1;
  requests_.reserve(requests_.size() + n * (lanes_.size() - lane));
  for (uint32_t i = 0; i < n; ++i) {
    Status added = add_request(i, shared, parameters, {lane, is_list_ ? list.item(i) : Value()});
    if (!added.ok()) return added;
  }
  return std::string();
}

Status NodeCall::gather() {
  for (uint32_t lane = 0; lane < lanes_.size(); ++lane) {
    lanes_[lane].begin = static_cast<uint32_t>(requests_.size());
    auto skip = gather_lane(lane);
    if (!skip.ok()) return failed_lane_ = lane, skip.status();
    lanes_[lane].end = static_cast<uint32_t>(requests_.size());
    if (skip->empty()) continue;
    lanes_[lane].state = Lane::State::kSkipped;
    if (!context_.events.wanted()) continue;
    if (lanes_.size() > 1) {
      const uint32_t element = run_.parent_->batch_[lane]->place.back();
      skip = "element " + std::to_string(element) + ": " + *skip;
    }
    context_.events.push(NodeSkipped{node_.planned->path, std::move(*skip)});
  }
  const size_t n = requests_.size();
  again_.reserve(n);
  batch_.reserve(node_.queue ? n : std::min<size_t>(n, std::max(node_.planned->max_batch, 1u)));
  todo_.resize(n);
  std::iota(todo_.begin(), todo_.end(), 0u);
  look_up_cached();
  return {};
}

bool NodeCall::skipped() const {
  return std::all_of(lanes_.begin(), lanes_.end(),
                     [](const Lane& lane) { return lane.state == Lane::State::kSkipped; });
}

// Cache

std::string NodeCall::cache_digest(const weft_request& request) const {
  ResultKey key = *node_.cache_key;
  const std::string lines = request.parameters ? parameters_key(*request.parameters) : "";
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string line = lines.substr(begin, end - begin);
    const bool names_model =
        std::any_of(node_.model_parameters.begin(), node_.model_parameters.end(),
                    [&](const std::string& name) { return line.starts_with(name + "="); });
    if (!names_model) key.parameters.push_back(line);
    begin = end + 1;
  }
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i]) continue;
    auto hash = content_xxh128(request.inputs[i]);
    if (!hash.ok()) return "";
    key.inputs.push_back(node_.node->inputs[i].name + "=" + *hash);
  }
  return key.digest();
}

void NodeCall::look_up_cached() {
  ResultCache* cache = context_.options.cache;
  if (!cache || !node_.cache_key) return;
  digests_.resize(requests_.size());
  todo_.clear();
  for (uint32_t i = 0; i < requests_.size(); ++i) {
    digests_[i] = cache_digest(requests_[i]);
    auto found = digests_[i].empty() ? std::nullopt
                                     : cache->find(digests_[i], node_.ports.size(), context_.host.cpu_pool());
    if (found) {
      requests_[i].outputs = std::move(*found);
      requests_[i].completed.store(true, std::memory_order_relaxed);
      digests_[i].clear();  // nothing to store
      ++n_cached_;
    } else {
      todo_.push_back(i);
    }
  }
}

// Running batches

NodeCall::Progress NodeCall::advance(uint32_t worker, Task*& next) {
  next = nullptr;
  for (;;) {
    if (status_.ok() && position_ == todo_.size() && !again_.empty()) {
      todo_.swap(again_);
      again_.clear();
      position_ = 0;
      ++attempt_;
    }
    if (!status_.ok() || position_ == todo_.size()) {
      models_ = {};
      return Progress::kDone;
    }
    if (run_.stopping()) {
      status_ = Status(StatusCode::kCancelled, "cancelled");
      continue;
    }
    batch_size_ = todo_.size() - position_;
    if (!node_.queue) batch_size_ = std::min<size_t>(batch_size_, std::max(node_.planned->max_batch, 1u));
    batch_.clear();
    for (size_t i = 0; i < batch_size_; ++i) batch_.push_back(&requests_[todo_[position_ + i]]);
    for (weft_request* request : batch_) request->reset();
    deadline_.store(kNever, std::memory_order_relaxed);
    // One more than the requests: as long as this thread holds it, no completion moves the node on.
    outstanding_.store(batch_size_ + 1, std::memory_order_relaxed);
    if (node_.queue) {
      next = node_.queue->submit(batch_);
    } else {
      on_start(*batch_.front());
      if (node_.child) {
        next = start_subgraph(worker);
      } else {
        execute_batch(worker);
      }
    }
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) != 1) return Progress::kPending;
    // Others have done it all; what was to run here may have work of others.
    if (next) context_.scheduler->push(next);
    settle_batch();
  }
}

NodeCall::Progress NodeCall::resume(uint32_t worker, Task*& next) {
  settle_batch();
  return advance(worker, next);
}

void NodeCall::execute_batch(uint32_t worker) {
  const weft_node_api& api = *node_.planned->instance.api();
  Status status;
  if (!node_.models.empty()) {
    auto use = context_.host.models().use(node_.models, [this] { return int32_t{stopping()}; });
    if (use.ok()) {
      models_ = std::move(*use);
    } else {
      status = use.status();
    }
  }
  const Clock::time_point begin = context_.trace ? Clock::now() : Clock::time_point();
  weft_execution execution{};
  execution.struct_size = sizeof(execution);
  if (status.ok()) status = place_.enter(execution);
  if (status.ok()) {
    status = sdk::guarded([&] {
      return sdk::checked([&](weft_error* error) {
        return api.execute(node_.planned->instance.get(), batch_.data(), batch_size_, &execution, error);
      });
    });
    place_.leave();
  }
  if (context_.trace) {
    (void)sdk::guarded([&] {
      context_.trace->span(worker, node_.planned->path, node_.node->uses, begin, Clock::now());
      return Status();
    });
  }
  if (status.ok()) return;
  for (weft_request* request : batch_) {
    if (request->completed.exchange(true, std::memory_order_acq_rel)) continue;
    request->status = status;
    on_complete(*request);
  }
}

Task* NodeCall::start_subgraph(uint32_t worker) {
  std::vector<Value> inputs;  // [lanes, inputs]
  for (const weft_request* request : batch_)
    inputs.insert(inputs.end(), request->inputs.begin(), request->inputs.end());
  const auto finish = [this](uint32_t) -> Task* {
    // The last inner node is done: what the subgraph made becomes what its node made.
    Status status = nested_->take_status();
    const size_t n = batch_.size();
    for (uint32_t lane = 0; lane < n; ++lane) {
      batch_[lane]->status = sdk::guarded([&]() -> Status {
        // The others stopped because of the one that failed.
        if (!status.ok() && lane != nested_->failed_lane()) return {StatusCode::kCancelled, "cancelled"};
        if (status.ok()) batch_[lane]->outputs = nested_->take_outputs(lane);
        return status;
      });
    }
    for (size_t i = 0; i < n; ++i) {  // after the last of them this call may be gone
      batch_[i]->completed.store(true, std::memory_order_release);
      on_complete(*batch_[i]);
    }
    return nullptr;
  };
  nested_ = std::make_unique<GraphRun>(context_, *node_.child, std::move(inputs),
                                       static_cast<uint32_t>(batch_.size()), this, finish);
  return nested_->start(worker);
}

Status NodeCall::verdict(const weft_request& request) const {
  if (!request.status.ok()) return request.status;
  for (size_t port = 0; port < node_.ports.size(); ++port) {
    if (request.outputs[port] || node_.optional_outputs[port]) continue;
    return Status(StatusCode::kInternal,
                  "the node completed without its output '" + node_.ports[port].name + "'");
  }
  return {};
}

void NodeCall::settle_batch() {
  nested_.reset();
  for (weft_request* request : batch_) {
    Status failed = verdict(*request);
    context_.count_copy(request->joined_bytes);
    if (failed.ok()) {
      if (context_.options.cache && !digests_.empty() && !digests_[index_of(*request)].empty()) {
        // A result that cannot be kept is only made again; the run does not depend on it.
        (void)context_.options.cache->store(digests_[index_of(*request)], request->outputs);
      }
      continue;
    }
    // A device that is lost stays lost.
    const bool again =
        attempt_ <= node_.node->retry && !run_.stopping() && failed.code() != StatusCode::kDeviceLost;
    if (again && status_.ok()) {
      context_.events.push(PartsDiscarded{node_.planned->path, innermost(*request), attempt_, failed.error(),
                                          outer_of(*request)});
      again_.push_back(static_cast<uint32_t>(index_of(*request)));
    } else if (status_.ok()) {
      const bool sibling =
          failed.code() == StatusCode::kCancelled && aborted_.load(std::memory_order_relaxed);
      if (sibling && !run_.stopping()) continue;  // stopped because of another element, whose error counts
      if (is_list_) failed = std::move(failed).at("element " + std::to_string(request->element));
      status_ = std::move(failed);
      failed_lane_ = request->lane;
    }
  }
  position_ += batch_size_;
}

Result<std::vector<Value>> NodeCall::take_outputs(uint32_t lane) {
  if (lanes_[lane].state == Lane::State::kSkipped) return std::vector<Value>();
  const std::span requests =
      std::span(requests_).subspan(lanes_[lane].begin, lanes_[lane].end - lanes_[lane].begin);
  if (!is_list_) return std::move(requests[0].outputs);
  std::vector<Value> lists(node_.ports.size());
  for (size_t port = 0; port < lists.size(); ++port) {
    if (node_.node->output_types[port].empty()) continue;  // a list of lists, which nothing can take
    std::vector<Value> items;
    items.reserve(requests.size());
    for (weft_request& request : requests) {
      if (request.outputs[port]) items.push_back(std::move(request.outputs[port]));
    }
    if (items.empty() && !requests.empty()) continue;  // an optional output that no element has
    if (items.size() != requests.size()) {
      return Status(StatusCode::kInternal,
                    "only some elements have the output '" + node_.ports[port].name + "'")
          .expected("all or none")
          .got(std::to_string(items.size()) + " of " + std::to_string(requests.size()));
    }
    const std::string& element =
        node_.ports[port].type == "any" && !items.empty() ? items[0].type() : node_.ports[port].type;
    auto list = Value::list(items, element.c_str());
    if (!list.ok()) return list.status();
    lists[port] = std::move(*list);
  }
  return lists;
}

// What requests tell

bool NodeCall::cancelled(const weft_request&) const { return stopping(); }

void NodeCall::on_part(const weft_request& request, uint32_t port, const Value& part) {
  if (!context_.events.wanted() || part.kind() != WEFT_KIND_BYTES || part.type() != "text") return;
  context_.events.push(TextPart{node_.planned->path, node_.ports[port].name, innermost(request),
                                std::string(part.bytes_view()), outer_of(request)});
}

void NodeCall::on_progress(const weft_request& request, int64_t done, int64_t total, const char* unit) {
  if (context_.events.wanted()) {
    context_.events.push(
        weft::Progress{node_.planned->path, innermost(request), done, total, unit, outer_of(request)});
  }
}

void NodeCall::on_file(const weft_request&, const std::string& relative_path, uint64_t size_bytes) {
  context_.events.push(FileWritten{node_.planned->path, relative_path, size_bytes});
}

Status NodeCall::on_input_file(const std::filesystem::path& path) {
  if (Status refused = check_readable(context_.options.readable_files, path); !refused.ok()) return refused;
  const std::lock_guard lock(context_.input_files_mutex);
  context_.input_files.insert(path.string());
  return {};
}

Status NodeCall::on_input_folder(const std::filesystem::path&) {
  if (!context_.options.readable_files) return {};
  return {StatusCode::kPermissionDenied, "a pipeline from a picture lists no folders"};
}

void NodeCall::on_start(weft_request&) {
  if (node_.node->timeout_s <= 0) return;
  const std::chrono::duration<double> patience(std::min(node_.node->timeout_s, 1e9));
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(patience);
  Clock::rep never = kNever;
  deadline_.compare_exchange_strong(never, deadline.time_since_epoch().count(), std::memory_order_relaxed);
}

void NodeCall::on_complete(weft_request& request) {
  if (request.began_files) context_.output_folder.discard(request.writer());
  (void)sdk::guarded([&] {
    const bool too_late = late() && !run_.stopping();
    if (too_late && (request.status.ok() || request.status.code() == StatusCode::kCancelled)) {
      request.status = Status(StatusCode::kTimedOut, "the node took longer than its timeout_s")
                           .expected("at most " + std::to_string(node_.node->timeout_s) + " s");
    }
    return Status();
  });
  // No attempt is left: the other elements need not go on.
  const bool failed = !request.status.ok() && request.status.code() != StatusCode::kCancelled;
  if (failed && attempt_ > node_.node->retry) aborted_.store(true, std::memory_order_relaxed);
  Task** const here = node_.queue ? node_.queue->finished(request) : nullptr;
  if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (here) *here = task_;
  else context_.scheduler->push(task_);
}

}  // namespace weft
