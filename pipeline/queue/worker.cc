#include "pipeline/queue/worker.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "pipeline/batch/disk_probe.h"
#include "pipeline/batch/folder_layout.h"
#include "pipeline/batch/item_files.h"
#include "pipeline/batch/item_inputs.h"
#include "pipeline/batch/run_items.h"
#include "pipeline/queue/files_read.h"
#include "pipeline/queue/lost_items.h"
#include "pipeline/queue/queue_identity.h"
#include "pipeline/queue/taken_items.h"
#include "pipeline/run/host.h"
#include "pipeline/run/previews.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kRetryDelay{1000};  // before a failed item is tried again
constexpr milliseconds kAwayDelay{200};    // between questions to a server that does not answer
constexpr milliseconds kShortestIdle{20};  // between questions for items that are not there
constexpr milliseconds kLongestIdle{500};
constexpr milliseconds kMostWithoutItem{50};  // in a row, for what comes from the queue and is not run

bool is_set(const CancelToken* token) { return token && token->cancelled(); }

/// "host-1234-a1b2c3": no two workers have the same, whatever host and process they are.
std::string worker_name() {
  std::array<char, 64> host{};
  (void)::gethostname(host.data(), host.size() - 1);
  std::string name;
  for (const char* c = host.data(); *c != '\0'; ++c) name += *c == '/' ? '_' : *c;
  uint32_t bits = static_cast<uint32_t>(Clock::now().time_since_epoch().count());
  (void)::getrandom(&bits, sizeof bits, 0);
  char tail[32];
  std::snprintf(tail, sizeof tail, "-%d-%06x", static_cast<int>(::getpid()), bits & 0xffffff);
  return name + tail;
}

int64_t fact_number(const Facts& facts, const char* name) {
  int64_t number = 0;
  if (const auto fact = facts.find(name); fact != facts.end()) {
    std::from_chars(fact->second.data(), fact->second.data() + fact->second.size(), number);
  }
  return number;
}

/// Whether the queue's server answers, said once when that changes.
class Answering {
 public:
  explicit Answering(const std::function<void(const std::string&)>& note) : note_(note) {}
  void away() {
    if (std::exchange(away_, true)) return;
    note("the queue's server does not answer; trying again");
  }
  void back() {
    if (std::exchange(away_, false)) note("the queue's server answers again");
  }

 private:
  void note(const std::string& text) const {
    if (note_) note_(text);
  }
  const std::function<void(const std::string&)>& note_;
  bool away_ = false;
};

/// Items from the queue, and their records back into it. Used by the thread that calls run_items.
class QueueFeed final : public ItemFeed {
 public:
  QueueFeed(const BatchSetup& setup, Queue& queue, const QueueSetup& what, const WorkerOptions& options,
            const WorkerCallbacks& callbacks, CancelToken& cancel)
      : setup_(setup),
        queue_(queue),
        what_(what),
        callbacks_(callbacks),
        cancel_(cancel),
        folder_(batch_folder(options.folder)),
        name_(worker_name()),
        answering_(callbacks.on_note),
        taken_(queue, milliseconds(what.silence_ms), cancel),
        lost_(queue) {}

  ~QueueFeed() override {
    if (held_) taken_.give_back(held_->name, {});
    (void)queue_.flush();
    if (keeps_scratch_) return;
    std::error_code ignored;
    fs::remove_all(scratch(), ignored);
    fs::remove(folder_ / "workers", ignored);  // stays if others work there
  }

  /// Where items are run.
  fs::path scratch() const { return folder_ / "workers" / name_; }
  const fs::path& folder() const { return folder_; }
  const WorkerCounts& counts() const { return counts_; }

  Result<Next> next() override {
    const Clock::time_point begin = Clock::now();
    while (!cancel_.cancelled() && !alone_ && Clock::now() - begin < kMostWithoutItem) {
      if (held_) {
        if (n_running_ > 0) break;
        return start(*std::exchange(held_, std::nullopt), Company::kNone);
      }
      if (Clock::now() < look_again_) break;
      Result<std::unique_ptr<Delivery>> delivery = lost_.take();
      if (!*delivery) delivery = queue_.take();
      if (delivery.code() == StatusCode::kTimedOut) {
        answering_.away();
        return later(kAwayDelay);
      }
      if (!delivery.ok()) return delivery.status();
      answering_.back();
      if (!*delivery) return nothing_there();
      idle_ = kShortestIdle;
      Result<std::optional<Item>> item = receive(*std::move(delivery));
      if (!item.ok()) return item.status();
      if (*item) return start(**std::move(item), Company::kAny);
    }
    return Next{Next::Kind::kLater};
  }

  Status finished(const Item& item, ItemOutcome outcome) override {
    ended();
    if (outcome.state == ItemOutcome::State::kFailed) return fail(item, std::move(outcome));
    Status size = check_content_size(json_object(outcome.outputs_json), "the outputs of the item");
    return settle(item, size.ok() ? std::move(outcome) : failure(size));
  }

  void given_up(const Item& item) override {
    ended();
    taken_.give_back(item.name, {});
  }

 private:
  enum class Company { kAny, kNone };

  Result<Next> start(Item item, Company company) {
    ++n_running_;
    alone_ = company == Company::kNone;
    return Next{Next::Kind::kItem, std::move(item)};
  }
  void ended() {
    --n_running_;
    alone_ = false;
  }

  Result<Next> later(milliseconds delay) {
    look_again_ = Clock::now() + delay;
    return Next{Next::Kind::kLater};
  }

  Result<Next> nothing_there() {
    const milliseconds idle = std::exchange(idle_, std::min(idle_ * 2, kLongestIdle));
    if (!taken_.empty()) return later(idle);
    // What others have may come back; the rest of a submission that was cut off is still to come.
    const Result<bool> drained = queue_.is_drained();
    if (!drained.ok() || !*drained) return later(idle);
    const Result<bool> submitted = queue_.is_submitted();
    if (!submitted.ok() || !*submitted) return later(idle);
    const Result<size_t> lost = lost_.look();
    if (!lost.ok()) return later(idle);
    if (*lost == 0) return Next{};
    note("the queue's server has lost what became of " + std::to_string(*lost) +
         (*lost == 1 ? " item; it runs again" : " items; they run again"));
    return later(idle);
  }

  /// What was handed out, if it is to be run now.
  Result<std::optional<Item>> receive(std::unique_ptr<Delivery> delivery) {
    Result<QueuedItem> queued = parse_item(delivery->data());
    if (!queued.ok()) {
      (void)delivery->give_back({});
      return queued.status();
    }
    const uint64_t tries = delivery->tries();
    Item item = queued->item;
    const std::optional<Item> nothing;
    if (!taken_.add(item.name, std::move(delivery))) return nothing;
    // Also at the first try: a server that was killed may not remember that it has handed the item out before.
    const Result<bool> recorded = has_record(item);
    if (!recorded.ok()) return recorded.status();
    if (*recorded) return nothing;
    Status status;
    if (queued->error) {
      status = settle(item, failure(*queued->error));
    } else if (tries > what_.tries) {
      status = settle(item, failure(lost(tries - 1)));
    } else if (Status read = check_files_read(setup_.graph, queued->read, setup_.host.hashes()); !read.ok()) {
      status = fail(item, failure(read));
    } else if (tries > 1) {
      held_ = std::move(item);
    } else {
      return std::optional<Item>(std::move(item));
    }
    return status.ok() ? Result<std::optional<Item>>(nothing) : status;
  }

  /// Whether the item has ended, and its worker died before it could say so, or the server before it had noted that.
  Result<bool> has_record(const Item& item) {
    const auto found =
        until_answered<std::optional<QueueRecord>>([&] { return queue_.find_record(item.name); });
    if (!found.ok()) return found.status();
    if (!*found) return false;
    const Result<bool> complete = until_answered<bool>([&] { return queue_.put_record(**found); });
    if (!complete.ok()) return complete.status();
    taken_.acknowledge(item.name);
    return true;
  }

  static ItemOutcome failure(const Status& status) {
    ItemOutcome outcome;
    outcome.state = ItemOutcome::State::kFailed;
    outcome.error = status.error();
    return outcome;
  }

  static Status lost(uint64_t tries) {
    return Status(StatusCode::kInternal,
                  "the item's worker did not come back, " + std::to_string(tries) + " times")
        .hint(
            "look for what ended those workers: too little memory, a plugin that crashes, a machine that was "
            "stopped");
  }

  Status fail(const Item& item, ItemOutcome outcome) {
    // A disk that takes nothing more is this machine's, and the next items would fail alike.
    if (outcome.error->code == StatusCode::kIoError) {
      if (Status full = probe_disk(setup_.host.temporaries(), folder_); !full.ok()) {
        taken_.give_back(item.name, {});
        return full;
      }
    }
    const uint64_t tries = taken_.tries(item.name);
    if (tries >= what_.tries) return settle(item, std::move(outcome));
    note("item '" + item.name + "' failed and goes back, try " + std::to_string(tries) + " of " +
         std::to_string(what_.tries) + ": " + to_string(*outcome.error));
    taken_.give_back(item.name, kRetryDelay);
    return {};
  }

  /// Ends the item with a record: this one, or another worker's that was first.
  Status settle(const Item& item, ItemOutcome outcome) {
    const QueueRecord record{item.name, std::move(outcome), name_, ++n_attempts_, taken_.tries(item.name)};
    const Result<bool> ours = until_answered<bool>([&] { return queue_.put_record(record); });
    if (!ours.ok()) return ours.status();
    Status moved;
    if (*ours) {
      moved = move_item_files(item.name, scratch(), folder_, setup_.host.temporaries().file_system());
      keeps_scratch_ |= !moved.ok();
      ++(record.outcome.error ? counts_.failed : counts_.done);
      const NamedOutcome named{item, record.outcome};
      if (callbacks_.on_recorded) callbacks_.on_recorded({&named, 1});
    } else {
      std::error_code ignored;
      fs::remove_all(scratch() / "items" / item.name, ignored);
      note("item '" + item.name + "' has ended meanwhile, by another try");
    }
    taken_.acknowledge(item.name);
    return moved;
  }

  /// Asks again as long as the server is away.
  template <typename T>
  Result<T> until_answered(const std::function<Result<T>()>& ask) {
    for (;;) {
      Result<T> answer = ask();
      if (answer.code() != StatusCode::kTimedOut) {
        answering_.back();
        return answer;
      }
      answering_.away();
      if (cancel_.cancelled()) return Status(StatusCode::kCancelled, "the worker was cancelled");
      std::this_thread::sleep_for(kAwayDelay);
    }
  }

  void note(const std::string& text) const {
    if (callbacks_.on_note) callbacks_.on_note(text);
  }

  const BatchSetup& setup_;
  Queue& queue_;
  const QueueSetup& what_;
  const WorkerCallbacks& callbacks_;
  CancelToken& cancel_;
  const fs::path folder_;
  const std::string name_;
  Answering answering_;
  TakenItems taken_;
  LostItems lost_;
  std::optional<Item> held_;  // whose earlier try did not end: it runs when nothing else does
  uint32_t n_running_ = 0;
  uint64_t n_attempts_ = 0;
  bool alone_ = false;          // the one that runs wants no company
  bool keeps_scratch_ = false;  // files of a recorded item could not be moved
  Clock::time_point look_again_{};
  milliseconds idle_ = kShortestIdle;
  WorkerCounts counts_;
};

Status check_same(const QueueSetup& what, const Facts& now, const QueueAddress& address) {
  const std::string changes = changes_text(what.identity, now);
  if (changes.empty()) return {};
  return Status(StatusCode::kVersionMismatch, "this machine does not have what was submitted")
      .at(address.shown)
      .got("different here: " + changes)
      .hint("bring them to this machine, or go on all the same with --accept-changes");
}

}  // namespace

Result<WorkerCounts> run_worker(const BatchSetup& setup, Queue& queue, const QueueSetup& what,
                                const WorkerOptions& options, const WorkerCallbacks& callbacks,
                                const CancelToken* drain, CancelToken& cancel) {
  if (Status status = check_preview_folder(setup.host.previews().folder(), batch_folder(options.folder));
      !status.ok()) {
    return status;
  }
  const bool strict = options.changes == BatchOptions::Changes::kRefuse;
  const Result<QueueProbe> probe = probe_item(setup, what.probe_inputs, options.concurrency);
  if (!probe.ok()) return probe.status();
  if (strict) {
    if (Status same = check_same(what, probe->identity, queue.address()); !same.ok()) return same;
  }
  const Result<bool> cancelled = queue.is_cancelled();
  if (!cancelled.ok()) return cancelled.status();
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) return io_error("creating the output folder", options.folder, error.value());
  WorkerCounts counts;
  Status status;
  if (!*cancelled) {
    QueueFeed feed(setup, queue, what, options, callbacks, cancel);
    RunItemsOptions items;
    items.run = setup.run;
    items.folder = feed.scratch();
    items.concurrency = probe->plan.concurrency;
    items.seed = static_cast<uint64_t>(fact_number(what.facts, "seed"));
    items.today = fact_number(what.facts, "today");
    items.on_event = callbacks.on_event;
    items.on_end = callbacks.on_end;
    items.drain = drain;
    items.cancel = &cancel;
    items.check = [&](const Item&, const PreparedRun& prepared) {
      Facts now = what.identity;
      for (const auto& [name, hash] : model_facts(prepared)) now[name] = hash;
      return strict ? check_same(what, now, queue.address()) : Status();
    };
    status = run_items(setup.graph, setup.plugins, setup.host, items, feed);
    counts = feed.counts();
  }
  const Result<bool> ended = queue.is_cancelled();
  if (*cancelled || (ended.ok() && *ended)) counts.end = WorkerCounts::End::kQueueCancelled;
  else if (is_set(drain)) counts.end = WorkerCounts::End::kDrained;
  if (!status.ok() && counts.end != WorkerCounts::End::kQueueCancelled) return status;
  return counts;
}

}  // namespace weft
