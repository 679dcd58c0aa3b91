#include "pipeline/batch/batch.h"

#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "pipeline/batch/concurrency.h"
#include "pipeline/batch/disk_probe.h"
#include "pipeline/batch/folder_layout.h"
#include "pipeline/batch/identity.h"
#include "pipeline/batch/item_inputs.h"
#include "pipeline/batch/item_name.h"
#include "pipeline/batch/run_items.h"
#include "pipeline/batch/tables.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/run/host.h"
#include "pipeline/run/item_values.h"
#include "pipeline/run/previews.h"
#include "pipeline/run/shared_runs.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPendingAtOnce = 256;  // items that are read from the journal in one go
constexpr size_t kMaxProbes =
    3;  // items that are tried before the pipeline itself is held to be unable to run
constexpr int64_t kMostLosses = 3;    // of devices by one item, which then has failed
constexpr uint32_t kItemsAhead = 64;  // short ones are over before the next one would be at hand

uint64_t random_seed() {
  uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint64_t>(std::time(nullptr));
  return bits >> 1;
}

int64_t fact_number(const Facts& facts, const char* name) {
  int64_t number = 0;
  if (const auto fact = facts.find(name); fact != facts.end()) {
    std::from_chars(fact->second.data(), fact->second.data() + fact->second.size(), number);
  }
  return number;
}

/// The text that a name shows for an input: a JSON string's content, other JSON as it is.
std::string input_text(const std::map<std::string, std::string>& inputs, const Graph& graph,
                       const std::string& name) {
  const auto given = inputs.find(name);
  std::string json = given != inputs.end() ? given->second : "";
  for (const PipelineInput& input : graph.inputs) {
    if (given == inputs.end() && input.name == name) json = input.default_json.value_or("");
  }
  const auto parsed = JsonTree::parse(json, {json.size(), 64, json.size(), 1 << 20});
  const auto* tree = std::get_if<JsonTree>(&parsed);
  const bool is_text = tree && tree->kind(0) == JsonKind::kString;
  return is_text ? std::string((*tree)[0].text) : json;
}

}  // namespace

struct Batch::State {
  State(const BatchSetup& with, const BatchOptions& given, Journal opened)
      : setup(with), options(given), journal(std::move(opened)) {}

  Status enrol();
  Status enrol_item(const SourceItem& source_item, const NameTemplate& names);
  Status identify(const Facts& before);
  Status begin(const Facts& before);
  RunItemsOptions run_options() const;
  Status check_models(const PreparedRun& prepared);

  const BatchSetup setup;
  const BatchOptions options;
  Journal journal;
  Facts facts;
  BatchPlan plan;
  std::vector<InvalidItem> invalid;
  std::vector<Item> probes;  // the first valid ones
  uint64_t position = 0, n_valid = 0;
};

namespace {

/// The items of the journal without a record, and their outcomes back into it. Those that were at work when a device was lost come
/// last and each by itself, so that the one whose fault it is becomes known and keeps no other from its end.
class JournalFeed final : public ItemFeed {
 public:
  JournalFeed(Journal& journal, const BatchOptions& options, TemporaryFiles& temporaries,
              GroupCommit::OnRecorded on_recorded, uint64_t n_failed)
      : journal_(journal),
        options_(options),
        temporaries_(temporaries),
        n_failed_(n_failed),
        commit_(journal, std::move(on_recorded)) {}

  Result<Next> next() override {
    if (n_failed_ > options_.max_failures) {
      return Status(StatusCode::kOutOfRange, "too many items failed")
          .expected("at most " + std::to_string(options_.max_failures))
          .got(std::to_string(n_failed_))
          .hint("failures.csv says why each did; --max-failures N allows more");
    }
    if (ready_.empty()) {
      Result<std::vector<Item>> items = journal_.pending(position_, kPendingAtOnce, position_);
      if (!items.ok()) return items.status();
      ready_.assign(std::make_move_iterator(items->begin()), std::make_move_iterator(items->end()));
    }
    if (!ready_.empty()) return take(ready_);
    if (!suspects_) {
      Result<std::vector<Item>> items = journal_.pending_after_loss();
      if (!items.ok()) return items.status();
      suspects_.emplace(std::make_move_iterator(items->begin()), std::make_move_iterator(items->end()));
    }
    if (suspects_->empty()) return Next{};
    if (n_taken_ > 0) return Next{Next::Kind::kLater};
    return take(*suspects_);
  }

  void given_up(const Item&) override { --n_taken_; }

  Status lost_device(const Item& item, const Error& error, AtWork at_work) override {
    const Result<int64_t> alone = journal_.note_loss(item.id, at_work);
    if (!alone.ok() || *alone < kMostLosses) {
      given_up(item);
      return alone.status();
    }
    ItemOutcome failed;
    failed.item = item.id;
    failed.state = ItemOutcome::State::kFailed;
    failed.error = error;
    failed.error->message = "a device was lost " + std::to_string(*alone) +
                            " times while this item alone was at work: " + error.message;
    failed.error->hint = "--retry-failed runs it again";
    return finished(item, std::move(failed));
  }

  Status finished(const Item& item, ItemOutcome outcome) override {
    --n_taken_;
    if (outcome.state == ItemOutcome::State::kFailed) {
      // A disk that takes nothing more is not the item's fault, and the next items would fail alike.
      const bool disk = outcome.error && outcome.error->code == StatusCode::kIoError;
      if (disk) {
        if (Status full = probe_disk(temporaries_, options_.folder); !full.ok()) return full;
      }
      ++n_failed_;
    }
    return commit_.add({item, std::move(outcome)});
  }

  Status flush() { return commit_.flush(); }

 private:
  Next take(std::deque<Item>& items) {
    Next next{Next::Kind::kItem, std::move(items.front())};
    items.pop_front();
    ++n_taken_;
    return next;
  }

  Journal& journal_;
  const BatchOptions& options_;
  TemporaryFiles& temporaries_;
  uint64_t n_failed_;
  uint64_t position_ = 0;
  std::deque<Item> ready_;
  std::optional<std::deque<Item>> suspects_;
  size_t n_taken_ = 0;  // and not finished or given up
  GroupCommit commit_;
};

Result<std::unique_ptr<ItemSource>> open_source(const BatchOptions& options, const Graph& graph) {
  std::vector<MatrixAxis> axes;
  for (const std::string& text : options.matrix) {
    Result<MatrixAxis> axis = parse_matrix_axis(text, graph);
    if (!axis.ok()) return axis.status();
    axes.push_back(*std::move(axis));
  }
  std::unique_ptr<ItemSource> source;
  if (!options.items.empty()) {
    Result<std::unique_ptr<ItemSource>> opened = open_items(options.items, graph);
    if (!opened.ok()) return opened.status();
    source = *std::move(opened);
  }
  return expand_matrix(std::move(source), std::move(axes));
}

}  // namespace

Status Batch::State::enrol_item(const SourceItem& source_item, const NameTemplate& names) {
  Item item;
  item.place = source_item.place.empty() ? "item " + std::to_string(position) : source_item.place;
  std::optional<Error> error = source_item.error;
  if (!error) {
    auto inputs = check_item_inputs(setup.graph, source_item.inputs, setup.run.inputs, setup.host.cpu_pool());
    if (inputs.ok()) {
      NameParts parts{position, source_item.id, source_item.matrix, {}};
      parts.input = [&](const std::string& name) { return input_text(*inputs, setup.graph, name); };
      Result<std::string> name = names.fill(parts);
      if (name.ok()) item.name = *std::move(name);
      else error = name.error();
      item.inputs_json = json_object(*inputs);
    } else {
      error = inputs.error();
    }
  }
  if (item.name.empty()) item.name = "invalid-" + index_name(position);
  if (!options.shard.has(position)) return journal.reserve(item.name, item.place);
  if (error) {
    error->where = error->where.empty() ? item.place : item.place + ", " + error->where;
    if (invalid.size() < kMaxInvalidItems) invalid.push_back({item.place, *error});
  } else {
    ++n_valid;
    if (probes.size() < kMaxProbes) probes.push_back(item);
  }
  return journal.enrol(item, position, error, options.failed);
}

Status Batch::State::enrol() {
  Result<NameTemplate> names = NameTemplate::parse(options.name_template, setup.graph);
  if (!names.ok()) return names.status();
  Result<std::unique_ptr<ItemSource>> source = open_source(options, setup.graph);
  if (!source.ok()) return source.status();
  for (;;) {
    Result<std::optional<SourceItem>> next = (*source)->next();
    if (!next.ok()) return next.status();
    if (!*next) break;
    ++position;
    if (Status status = enrol_item(**next, *names); !status.ok()) return status;
  }
  if (n_valid > 0 || invalid.empty()) return {};
  // Whoever gets every item wrong has given the wrong file, and wants no folder of failures.
  Error first = invalid[0].error;
  first.message = "none of the items can be run; the first: " + first.message;
  return first;
}

/// Compares what the batch depends on with what it depended on when it began, and plans an item.
Status Batch::State::identify(const Facts& before) {
  if (probes.empty()) return {};
  Status first_failure;
  for (const Item& item : probes) {
    const RunItemsOptions items = run_options();
    Result<RunOptions> run = item_run_options(items, item);
    if (!run.ok()) return run.status();
    SharedRuns runs(setup.graph, setup.plugins, setup.host,
                    {.at_once = options.concurrency, .available_bytes = available_bytes(), .varying = {}});
    Result<std::shared_ptr<PreparedRun>> found = runs.find(*run);
    if (!found.ok()) {
      if (first_failure.ok()) first_failure = found.status().at(item.place);
      continue;
    }
    const PreparedRun& prepared = **found;
    const Facts now = batch_identity(setup.run.sources, prepared, setup.run);
    const std::string changes = changes_text(before, now);
    if (!before.empty() && !changes.empty() && options.changes == BatchOptions::Changes::kRefuse) {
      return Status(StatusCode::kVersionMismatch, "the batch began with something else")
          .at(options.folder.string())
          .got("changed: " + changes)
          .hint("choose a new --out, or go on for the items that are left with --accept-changes");
    }
    for (const auto& [name, value] : now) facts[name] = value;
    plan = plan_of(prepared, options.concurrency, setup.host.threads(), setup.run.max_memory_bytes);
    return {};
  }
  return first_failure;
}

Status Batch::State::begin(const Facts& before) {
  facts = before;
  facts.emplace("seed", std::to_string(random_seed()));
  facts.emplace("today", std::to_string(today_of_system()));
  if (options.shard.whole()) facts[kLayoutFact] = kWholeLayout;
  if (Status status = journal.begin_enrolment(); !status.ok()) return status;
  Status status = enrol();
  if (status.ok()) status = identify(before);
  if (status.ok()) status = journal.set_facts(facts);
  const bool accept = options.changes == BatchOptions::Changes::kAccept;
  if (status.ok()) status = journal.end_enrolment(accept ? MissingItems::kAccept : MissingItems::kRefuse);
  if (!status.ok()) journal.cancel_enrolment();
  return status;
}

RunItemsOptions Batch::State::run_options() const {
  RunItemsOptions items;
  items.run = setup.run;
  items.folder = options.folder;
  items.concurrency = plan.concurrency;
  // One that is at hand may fail before anybody has counted.
  items.ahead = options.max_failures == UINT64_MAX ? kItemsAhead : 0;
  items.seed = static_cast<uint64_t>(fact_number(facts, "seed"));
  items.today = fact_number(facts, "today");
  return items;
}

/// Models that the batch has not met yet are noted; one that is not what it was ends the batch.
Status Batch::State::check_models(const PreparedRun& prepared) {
  Facts fresh;
  for (const UsedModel& model : prepared.used_models()) {
    const std::string name = "model " + model.path;
    const auto known = facts.find(name);
    if (known == facts.end()) {
      fresh[name] = facts[name] = model.sha256;
    } else if (known->second != model.sha256) {
      return Status(StatusCode::kVersionMismatch, "a model was replaced while the batch ran")
          .at(model.path)
          .expected("sha256 " + known->second)
          .got(model.sha256)
          .hint("put it back and run the same command again, or go on with --accept-changes");
    }
  }
  return fresh.empty() ? Status() : journal.set_facts(fresh);
}

Batch::Batch(std::unique_ptr<State> state) : state_(std::move(state)) {}
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;
Batch::~Batch() = default;

const BatchPlan& Batch::plan() const { return state_->plan; }
Result<BatchCounts> Batch::counts() const { return state_->journal.counts(); }
const std::vector<InvalidItem>& Batch::invalid_items() const { return state_->invalid; }

Result<Batch> Batch::open(const BatchSetup& setup, const BatchOptions& options) {
  if (options.items.empty() && options.matrix.empty()) {
    return Status(StatusCode::kInvalidArgument, "a batch has no items")
        .hint("--items FILE or --matrix INPUT=VALUES gives it some");
  }
  BatchOptions with_folder = options;
  with_folder.folder = batch_folder(options.folder);
  if (Status status = check_layout(with_folder.folder, options.shard); !status.ok()) return status;
  if (Status status = check_preview_folder(setup.host.previews().folder(), with_folder.folder);
      !status.ok()) {
    return status;
  }
  FileSystem& file_system = setup.host.temporaries().file_system();
  Result<Journal> journal = Journal::open(with_folder.folder, options.shard.journal_name(), file_system);
  if (!journal.ok()) return journal.status();
  Result<Facts> before = journal->facts();
  if (!before.ok()) return before.status();
  auto state = std::make_unique<State>(setup, with_folder, std::move(*journal));
  if (Status status = state->begin(*before); !status.ok()) return status;
  return Batch(std::move(state));
}

Result<BatchCounts> Batch::run(const BatchCallbacks& callbacks, const CancelToken* drain,
                               const CancelToken* cancel) {
  State& state = *state_;
  Result<BatchCounts> before = state.journal.counts();
  if (!before.ok()) return before.status();
  RunItemsOptions items = state.run_options();
  items.drain = drain;
  items.cancel = cancel;
  items.on_event = callbacks.on_event;
  items.on_end = callbacks.on_end;
  items.check = [&](const Item&, const PreparedRun& prepared) { return state.check_models(prepared); };
  Status status;
  {
    JournalFeed feed(state.journal, state.options, state.setup.host.temporaries(), callbacks.on_recorded,
                     before->failed);
    status = run_items(state.setup.graph, state.setup.plugins, state.setup.host, items, feed);
    if (Status flushed = feed.flush(); status.ok()) status = std::move(flushed);
  }
  const Shard& shard = state.options.shard;
  const std::string suffix =
      shard.whole() ? "" : "-" + std::to_string(shard.index) + "-of-" + std::to_string(shard.count);
  Status tables = write_tables(state.journal, state.options.folder, suffix, state.setup.host.temporaries());
  if (!status.ok()) return status;
  if (!tables.ok()) return tables;
  return state.journal.counts();
}

}  // namespace weft
