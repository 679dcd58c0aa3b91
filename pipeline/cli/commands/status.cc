/// weft status: how far a batch is, from another terminal or after it.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "pipeline/batch/journal.h"
#include "pipeline/batch/shard.h"
#include "pipeline/cli/batch_display.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string folder = "out";
  bool as_json = false;
};

struct JournalStatus {
  std::string name;  // of the file, without ending
  BatchCounts counts;
  double items_per_second = 0;  // lately; 0 while no process runs it
  std::vector<std::string> failures;
};

constexpr size_t kFailuresShown = 5;

Result<JournalStatus> read_status(const fs::path& file) {
  Result<Journal> journal = Journal::open_to_read(file);
  if (!journal.ok()) return journal.status();
  JournalStatus status{file.stem().string(), {}, 0, {}};
  Result<BatchCounts> counts = journal->counts();
  if (!counts.ok()) return counts.status();
  status.counts = *counts;
  if (is_running(file)) {
    const Result<double> rate = journal->recent_rate();
    if (!rate.ok()) return rate.status();
    status.items_per_second = *rate;
  }
  const Status read = journal->for_each_failure(kFailuresShown, [&](const RecordedItem& item) {
    status.failures.push_back("item '" + item.item.name + "': " + to_string(item.error));
    return Status();
  });
  if (!read.ok()) return read;
  return status;
}

void print_status(const JournalStatus& status, const fs::path& file) {
  const BatchCounts& counts = status.counts;
  const char* state = is_running(file)       ? "running"
                      : counts.pending() > 0 ? "stopped; the same weft batch command goes on"
                                             : "complete";
  print(status.name + ": " + state + "\n");
  print("  " + batch_progress_line({counts.items, counts.done, counts.failed, status.items_per_second}, 77) +
        "\n");
  for (const std::string& failure : status.failures) print_wrapped("  failed: " + failure, 4);
  if (counts.failed > status.failures.size()) {
    print("  and " + std::to_string(counts.failed - status.failures.size()) + " failures more\n");
  }
}

Json status_json(const JournalStatus& status, const fs::path& file) {
  return {{"journal", status.name},
          {"running", is_running(file)},
          {"items", status.counts.items},
          {"done", status.counts.done},
          {"failed", status.counts.failed},
          {"pending", status.counts.pending()},
          {"items_per_second", status.items_per_second}};
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

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.optional_positional("FOLDER", options->folder, "What --out of weft batch named; default: out");
  arguments.flag("--json", options->as_json, "Print one JSON object for each journal");
  return [options] { return show_status(*options); };
}

}  // namespace

const Command kStatusCommand = {"status", "say how far a batch is",
                                "Reads the journal in the folder, while the batch runs or after it; with "
                                "shards, that of each.",
                                "weft status build/topics", declare};

}  // namespace weft::cli
