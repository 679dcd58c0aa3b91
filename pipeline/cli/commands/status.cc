/// weft status: how far a batch is, from another terminal or after it.
#include <algorithm>
#include <deque>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "pipeline/batch/journal.h"
#include "pipeline/batch/shard.h"
#include "pipeline/cli/batch_display.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/queue/queue.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string folder = "out", queue;
  bool as_json = false;
};

struct JournalStatus {
  std::string name;  // of the file, without ending
  BatchCounts counts;
  double items_per_second = 0;  // lately; 0 while no process runs it
  std::vector<std::string> failures;
  std::vector<ItemAtWork> at_work;
};

constexpr size_t kFailuresShown = 5, kWidth = 79;

Result<JournalStatus> read_status(const fs::path& file) {
  Result<Journal> journal = Journal::open_to_read(file);
  if (!journal.ok()) return journal.status();
  JournalStatus status{file.stem().string(), {}, 0, {}, {}};
  Result<BatchCounts> counts = journal->counts();
  if (!counts.ok()) return counts.status();
  status.counts = *counts;
  if (is_running(file)) {
    const Result<double> rate = journal->recent_rate();
    if (!rate.ok()) return rate.status();
    status.items_per_second = *rate;
    status.at_work = read_items_at_work(items_at_work_file(file));
  }
  const Status read = journal->for_each_failure(kFailuresShown, [&](const RecordedItem& item) {
    status.failures.push_back("item '" + item.item.name + "': " + to_string(item.error));
    return Status();
  });
  if (!read.ok()) return read;
  return status;
}

void print_further(uint64_t failed, size_t shown) {
  if (failed > shown) print("  and " + std::to_string(failed - shown) + " failures more\n");
}

void print_status(const JournalStatus& status, const fs::path& file) {
  const BatchCounts& counts = status.counts;
  const char* state = is_running(file)       ? "running"
                      : counts.pending() > 0 ? "stopped; the same weft batch command goes on"
                                             : "complete";
  print(status.name + ": " + state + "\n");
  print("  " +
        batch_progress_line({counts.items, counts.done, counts.failed, status.items_per_second}, kWidth - 2) +
        "\n");
  for (const std::string& line : items_at_work_lines(status.at_work, status.at_work.size(), kWidth - 2)) {
    print("  " + line + "\n");
  }
  for (const std::string& failure : status.failures) print_wrapped("  failed: " + failure, 4);
  print_further(counts.failed, status.failures.size());
}

Json status_json(const JournalStatus& status, const fs::path& file) {
  return {{"journal", status.name},
          {"running", is_running(file)},
          {"items", status.counts.items},
          {"done", status.counts.done},
          {"failed", status.counts.failed},
          {"pending", status.counts.pending()},
          {"items_per_second", status.items_per_second},
          {"at_work", Json::parse(items_at_work_json(status.at_work))}};
}

int show_status(const Options& options) {
  const std::vector<fs::path> files = find_journals(options.folder);
  if (files.empty()) {
    return report_error(Status(StatusCode::kNotFound, "there is no batch in this folder")
                            .at(options.folder)
                            .hint("name the folder that --out of weft batch named"));
  }
  for (const fs::path& file : files) {
    const Result<JournalStatus> status = read_status(file);
    if (!status.ok()) return report_error(status.error());
    if (options.as_json) {
      print(status_json(*status, file).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    } else {
      print_status(*status, file);
    }
  }
  return kSuccess;
}

Json queue_json(const QueueCounts& counts, const std::string& name) {
  return {{"queue", name},
          {"items", counts.items},
          {"waiting", counts.waiting()},
          {"running", counts.running},
          {"done", counts.done},
          {"failed", counts.failed}};
}

int show_queue(const Options& options) {
  const Result<QueueAddress> address = parse_queue_address(options.queue);
  if (!address.ok()) return report_error(address.error()), exit_code_before_run(address.code());
  Result<Queue> queue = Queue::connect(*address);
  if (!queue.ok()) return report_error(queue.error());
  const Result<QueueCounts> counts = queue->counts();
  if (!counts.ok()) return report_error(counts.error());
  if (options.as_json) return print(queue_json(*counts, address->shown).dump() + "\n"), kSuccess;
  const Result<bool> cancelled = queue->is_cancelled();
  print(address->shown + (cancelled.ok() && *cancelled ? ": cancelled\n" : "\n"));
  print("  " + batch_progress_line({counts->items, counts->done, counts->failed, 0}, 77) + "\n");
  print("  waiting " + std::to_string(counts->waiting()) + ", running " + std::to_string(counts->running) +
        ", done " + std::to_string(counts->done) + ", failed " + std::to_string(counts->failed) + "\n");
  if (counts->failed == 0) return kSuccess;
  std::deque<std::string> latest;
  const Status read = queue->for_each_failure([&](const QueueRecord& record) {
    latest.push_back("  failed: item '" + record.name + "': " + to_string(*record.outcome.error));
    if (latest.size() > kFailuresShown) latest.pop_front();
    return Status();
  });
  if (!read.ok()) return report_error(read);
  for (const std::string& failure : latest) print_wrapped(failure, 4);
  print_further(counts->failed, latest.size());
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.optional_positional("FOLDER", options->folder, "What --out of weft batch named; default: out");
  arguments.option("--queue", options->queue, "URL", "Ask a queue instead: nats://HOST:4222/NAME");
  arguments.flag("--json", options->as_json, "Print one JSON object for each journal, or for the queue");
  return [options] { return options->queue.empty() ? show_status(*options) : show_queue(*options); };
}

}  // namespace

const Command kStatusCommand = {
    "status", "say how far a batch is",
    "Reads the journal in the folder, while the batch runs or after it; with "
    "shards, that of each. Of a queue: how many items wait, run, are done, have failed.",
    "weft status build/topics", declare};

}  // namespace weft::cli
