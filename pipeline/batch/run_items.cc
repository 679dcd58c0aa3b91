#include "pipeline/batch/run_items.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "pipeline/batch/item_inputs.h"
#include "pipeline/files/content_hash.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/run/host.h"
#include "pipeline/run/previews.h"
#include "pipeline/run/shared_runs.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kLookAgain =
    std::chrono::milliseconds(50);  // at the tokens, which wake nobody, and at a feed that waits
constexpr auto kGatherTime = std::chrono::milliseconds(1);

/// An item on its way through a worker.
struct Work {
  Item item;
  RunOptions options;
  std::shared_ptr<PreparedRun> prepared;
  Clock::time_point begin;
  ItemOutcome outcome;
  bool given_up = false;
};

/// A queue that threads wait at.
class WorkQueue {
 public:
  void push(std::unique_ptr<Work> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    if (waiting_ > 0) changed_.notify_one();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  /// Null once it is closed and empty.
  std::unique_ptr<Work> pop() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.wait(lock, [this] { return !queue_.empty() || closed_; });
    --waiting_;
    if (queue_.empty()) return nullptr;
    std::unique_ptr<Work> work = std::move(queue_.front());
    queue_.pop_front();
    return work;
  }
  /// All that is there; waits up to `time` for the first.
  std::deque<std::unique_ptr<Work>> pop_all(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.wait_for(lock, time, [this] { return !queue_.empty(); });
    --waiting_;
    return std::exchange(queue_, {});
  }
  /// At most `most` of those that were pushed last.
  std::deque<std::unique_ptr<Work>> pop_last(size_t most) {
    const std::lock_guard lock(mutex_);
    const auto from = queue_.end() - static_cast<ptrdiff_t>(std::min(most, queue_.size()));
    std::deque<std::unique_ptr<Work>> last(std::make_move_iterator(from),
                                           std::make_move_iterator(queue_.end()));
    queue_.erase(from, queue_.end());
    return last;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Work>> queue_;
  size_t waiting_ = 0;
  bool closed_ = false;
};

/// How many items are at work, and how many were when a device was lost. Thread safety: any thread.
class WorkCount {
 public:
  /// Not any more once a device is lost.
  bool begin() {
    const std::lock_guard lock(mutex_);
    if (when_lost_ > 0) return false;
    ++at_work_;
    return true;
  }
  void end(const Status& how) {
    const std::lock_guard lock(mutex_);
    if (how.code() == StatusCode::kDeviceLost && when_lost_ == 0) when_lost_ = at_work_;
    --at_work_;
  }
  AtWork when_lost() const {
    const std::lock_guard lock(mutex_);
    return when_lost_ == 1 ? AtWork::kAlone : AtWork::kWithOthers;
  }

 private:
  mutable std::mutex mutex_;
  uint32_t at_work_ = 0, when_lost_ = 0;
};

bool is_set(const CancelToken* token) { return token && token->cancelled(); }

/// Numbers in [0, 2^31) that depend on the batch and the item only, so that an item that is run again draws the same.
std::function<int64_t()> seed_sequence(uint64_t seed, const std::string& name) {
  return [prefix = std::to_string(seed) + "\n" + name + "\n", n = uint64_t{0}]() mutable {
    const std::string hash = sha256_of_text(prefix + std::to_string(n++));
    return static_cast<int64_t>(std::stoull(hash.substr(0, 8), nullptr, 16) & 0x7fffffff);
  };
}

class ItemRuns {
 public:
  ItemRuns(const Graph& graph, const PluginProvider& plugins, Host& host, const RunItemsOptions& options,
           ItemFeed& feed)
      : graph_(graph),
        host_(host),
        options_(options),
        feed_(feed),
        runs_(graph, plugins, host,
              {.at_once = std::max(options.concurrency, 1u), .available_bytes = 0, .varying = {}}) {}

  Status run() {
    std::vector<std::thread> workers;
    Status status = sdk::guarded([&]() -> Status {
      for (uint32_t i = 0; i < std::max(options_.concurrency, 1u); ++i)
        workers.emplace_back([this] { work(); });
      return {};
    });
    // With fewer threads than wanted the batch is slower; without one it cannot run.
    if (!workers.empty()) status = feed_items(static_cast<uint32_t>(workers.size()));
    to_do_.close();
    for (std::thread& worker : workers) worker.join();
    return status;
  }

 private:
  Status feed_items(uint32_t n_workers) {
    Status ended;  // the first error; those at work are finished all the same
    bool open = true;
    uint32_t begun = 0;  // with a worker, or at hand for one
    const auto fail = [&](Status status) {
      if (!status.ok() && ended.ok()) ended = std::move(status);
    };
    const auto broken_off = [&] { return !ended.ok() || is_set(options_.cancel); };
    const auto stopping = [&] { return broken_off() || is_set(options_.drain); };
    Clock::time_point gathered;
    for (;;) {
      bool later = false;
      while (open && !later && !held_ && begun < most_now(n_workers) && !stopping()) {
        Result<ItemFeed::Next> next = feed_.next();
        if (!next.ok()) {
          fail(next.status());
        } else if (next->kind == ItemFeed::Next::Kind::kItem) {
          fail(begin(std::move(next->item), begun));
        } else {
          later = next->kind == ItemFeed::Next::Kind::kLater;
          open = later;
        }
      }
      // A drain leaves those that a worker is free for: the feed has handed them out to be run now.
      if (stopping()) give_up_waiting(begun, broken_off() ? 0 : n_workers);
      if (held_ && begun == 0) start(std::move(held_), begun);
      if (begun == 0 && (!open || stopping())) return ended;
      // Nobody is short of work: a little later there are several outcomes to take at once.
      if (begun > n_workers) std::this_thread::sleep_until(gathered + kGatherTime);
      std::deque<std::unique_ptr<Work>> done = done_.pop_all(kLookAgain);
      gathered = Clock::now();
      begun -= static_cast<uint32_t>(done.size());
      fail(check_models(done));
      fail(check_devices(done));
      for (const std::unique_ptr<Work>& work : done) fail(end(*work));
    }
  }

  /// What was made while a model's file changed may be of either, or of neither. Once for all that ended meanwhile.
  Status check_models(std::deque<std::unique_ptr<Work>>& done) {
    Status replaced;
    std::map<const PreparedRun*, bool> unchanged;
    for (const std::unique_ptr<Work>& work : done) {
      const PreparedRun* run = work->prepared.get();
      const auto known = unchanged.find(run);
      if (known != unchanged.end() ? known->second : (unchanged[run] = run->models_unchanged())) continue;
      work->given_up = true;
      (void)remove_leftovers(work->item);
      if (replaced.ok()) {
        replaced = Status(StatusCode::kVersionMismatch, "a model was replaced while the batch ran")
                       .at(work->item.place)
                       .hint("put it back and run the same command again, or go on with --accept-changes");
      }
    }
    return replaced;
  }

  /// A device that is lost fails everything that comes to it: no fault of the items, which are left for another process.
  static bool lost_device(const Work& work) {
    return work.outcome.error && work.outcome.error->code == StatusCode::kDeviceLost;
  }
  static Status check_devices(const std::deque<std::unique_ptr<Work>>& done) {
    Status lost;
    for (const std::unique_ptr<Work>& work : done) {
      if (lost_device(*work) && lost.ok()) lost = Status(*work->outcome.error).at(work->item.place);
    }
    return lost;
  }

  /// The prepared run of large items may be for fewer of them.
  uint32_t most_now(uint32_t n_workers) const {
    if (!latest_ || !latest_->shared_by_items()) return n_workers;
    const uint32_t most = latest_->items_at_once();
    return most < n_workers ? most : n_workers + options_.ahead;
  }

  /// Items that no worker has taken yet, down to `n_kept` of all that were begun.
  void give_up_waiting(uint32_t& begun, uint32_t n_kept) {
    std::deque<std::unique_ptr<Work>> waiting = to_do_.pop_last(begun - std::min(begun, n_kept));
    begun -= static_cast<uint32_t>(waiting.size());
    if (held_) waiting.push_back(std::move(held_));
    for (const std::unique_ptr<Work>& work : waiting) feed_.given_up(work->item);
  }

  /// Prepares an item and gives it to a worker. Errors: those that end the whole.
  Status begin(Item item, uint32_t& begun) {
    auto work = std::make_unique<Work>();
    work->begin = Clock::now();
    work->item = std::move(item);
    Status failed = remove_leftovers(work->item);
    if (failed.ok()) {
      Result<RunOptions> options = item_run_options(options_, work->item);
      failed = options.status();
      if (options.ok()) work->options = *std::move(options);
    }
    if (failed.ok()) {
      Result<std::shared_ptr<PreparedRun>> prepared = runs_.find(work->options);
      failed = prepared.status();
      if (prepared.ok()) work->prepared = *std::move(prepared);
    }
    if (failed.code() == StatusCode::kDeviceLost) {
      feed_.given_up(work->item);
      return std::move(failed).at(work->item.place);
    }
    if (!failed.ok()) {
      fail(*work, failed);
      return feed_.finished(work->item, std::move(work->outcome));
    }
    if (options_.check && work->prepared != latest_) {
      if (Status refused = options_.check(work->item, *work->prepared); !refused.ok()) {
        feed_.given_up(work->item);
        return refused;
      }
    }
    // Two prepared runs at once may need more than the plan of either.
    const bool other = latest_ != work->prepared && begun > 0;
    if (other && options_.run.max_memory_bytes != 0) held_ = std::move(work);
    else start(std::move(work), begun);
    return {};
  }

  void start(std::unique_ptr<Work> work, uint32_t& begun) {
    latest_ = work->prepared;
    ++begun;
    to_do_.push(std::move(work));
  }

  Status end(Work& work) {
    work.prepared.reset();
    if (lost_device(work)) return feed_.lost_device(work.item, *work.outcome.error, count_.when_lost());
    if (!work.given_up) return feed_.finished(work.item, std::move(work.outcome));
    feed_.given_up(work.item);
    return {};
  }

  void fail(Work& work, const Status& status) {
    work.outcome.item = work.item.id;
    work.outcome.state = ItemOutcome::State::kFailed;
    work.outcome.error = status.error();
    work.outcome.seconds = std::chrono::duration<double>(Clock::now() - work.begin).count();
    work.outcome.outputs_json.clear();
    work.outcome.files.clear();
  }

  fs::path item_folder(const Item& item) const { return options_.folder / "items" / item.name; }

  /// What an earlier attempt without a record left behind. An item has the files of one attempt, or none.
  Status remove_leftovers(const Item& item) const {
    host_.previews().clear(item.name, graph_);
    std::error_code error;
    fs::remove_all(item_folder(item), error);
    return error ? io_error("removing the files of an earlier attempt", item_folder(item), error.value())
                 : Status();
  }

  void work() {
    while (std::unique_ptr<Work> work = to_do_.pop()) {
      if (!count_.begin()) {
        work->given_up = true;
        done_.push(std::move(work));
        continue;
      }
      work->begin = Clock::now();
      const Status status = sdk::guarded([&] { return execute_item(*work); });
      count_.end(status);
      host_.previews().clear(work->item.name, graph_);
      if (options_.on_end) options_.on_end(work->item);
      if (!status.ok()) {
        work->given_up = status.code() == StatusCode::kCancelled && is_set(options_.cancel);
        (void)remove_leftovers(work->item);
        fail(*work, status);
      }
      done_.push(std::move(work));
    }
  }

  Status execute_item(Work& work) {
    EventHandler on_event;
    if (options_.on_event) on_event = [&](const Event& event) { options_.on_event(work.item, event); };
    Result<RunResult> result = execute(*work.prepared, work.options, on_event, options_.cancel);
    if (!result.ok()) return result.status();
    if (Status status = keep_files(work, result->files); !status.ok()) return status;
    work.outcome.item = work.item.id;
    work.outcome.outputs_json = std::move(result->outputs_json);
    work.outcome.seeds = std::move(result->seeds);
    work.outcome.timings = std::move(result->timings);
    work.outcome.seconds = std::chrono::duration<double>(Clock::now() - work.begin).count();
    return {};
  }

  /// Hashes the item's files, which the run has synced, and syncs the folders above them.
  Status keep_files(Work& work, const std::vector<std::string>& files) {
    const fs::path folder = item_folder(work.item);
    std::set<fs::path> above;
    for (const std::string& file : files) {
      Result<std::string> hash = sha256_of_file(folder / file);
      if (!hash.ok()) return hash.status();
      std::error_code error;
      const uint64_t size = fs::file_size(folder / file, error);
      if (error) return io_error("finding the size", folder / file, error.value());
      work.outcome.files.push_back({file, size, *std::move(hash)});
      // The run has synced the folder that the file lies in, not the name of that folder in its parent.
      for (fs::path place = (folder / file).parent_path().parent_path();; place = place.parent_path()) {
        if (!above.insert(place).second || place == options_.folder) break;
      }
    }
    for (const fs::path& place : above) {
      if (Status status = sync_folder(host_.temporaries().file_system(), place); !status.ok()) return status;
    }
    return {};
  }

  const Graph& graph_;
  Host& host_;
  const RunItemsOptions& options_;
  ItemFeed& feed_;
  SharedRuns runs_;
  std::shared_ptr<PreparedRun> latest_;  // of the item that was begun last
  std::unique_ptr<Work> held_;           // until those at work with another prepared run have ended
  WorkQueue to_do_, done_;
  WorkCount count_;
};

}  // namespace

Result<RunOptions> item_run_options(const RunItemsOptions& options, const Item& item) {
  Result<std::map<std::string, std::string>> inputs = json_members(item.inputs_json);
  if (!inputs.ok()) return inputs.status();
  RunOptions run = options.run;
  run.inputs.clear();
  for (auto& [name, json] : *inputs) run.inputs[name] = {{}, std::move(json)};
  run.out_folder = options.folder / "items" / item.name;
  run.item = item.name;
  run.manifest = RunOptions::WriteManifest::kNo;
  run.trace_path.clear();
  run.draw_seed = seed_sequence(options.seed, item.name);
  run.today = [today = options.today] { return today; };
  return run;
}

Status run_items(const Graph& graph, const PluginProvider& plugins, Host& host,
                 const RunItemsOptions& options, ItemFeed& feed) {
  return ItemRuns(graph, plugins, host, options, feed).run();
}

}  // namespace weft
