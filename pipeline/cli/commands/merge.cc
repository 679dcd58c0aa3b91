/// weft merge: joins the shards of a batch.
#include "pipeline/batch/merge.h"

#include <memory>

#include "pipeline/cli/batch_json.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_session.h"
#include "pipeline/queue/gather.h"

namespace weft::cli {
namespace {

struct Options {
  std::string out, queue;
  std::vector<std::string> folders;
  bool as_json = false;
};

struct Merged {
  BatchCounts counts;
  std::string sources;  // "4 shards"
};

Result<Merged> merge_sources(const Options& options) {
  Cancellation cancellation;
  const std::vector<std::filesystem::path> folders(options.folders.begin(), options.folders.end());
  if (options.queue.empty()) {
    const Result<MergedBatch> merged = merge_shards(options.out, folders, cancellation.temporaries());
    if (!merged.ok()) return merged.status();
    return Merged{merged->counts, std::to_string(merged->n_journals) + " shards"};
  }
  const Result<QueueAddress> address = parse_queue_address(options.queue);
  if (!address.ok()) return address.status();
  Result<Queue> queue = Queue::connect(*address);
  if (!queue.ok()) return queue.status();
  const Result<BatchCounts> counts = gather_records(*queue, options.out, folders, cancellation.temporaries());
  if (!counts.ok()) return counts.status();
  return Merged{*counts, address->shown};
}

int merge(const Options& options) {
  const Result<Merged> merged = merge_sources(options);
  if (!merged.ok()) return report_error(merged.error());
  const BatchCounts& counts = merged->counts;
  if (options.as_json) {
    print(batch_finished_line(counts, BatchEnd::kComplete));
  } else {
    print(merged->sources + ": " + batch_counts_text(counts) +
          (counts.pending() > 0 ? "; weft batch with --out " + options.out + " and no shard runs the rest"
                                : "") +
          "\n");
  }
  return counts.failed + counts.pending() > 0 ? kFailure : kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("OUT", options->out,
                       "The folder that everything comes to; shards and workers that ran in it are joined");
  arguments.positionals("FOLDER", options->folders, 0,
                        "Output folders of further shards or workers; their files are copied");
  arguments.option("--queue", options->queue, "URL",
                   "Take the records of this queue instead of shards; again as it goes on");
  arguments.flag("--json", options->as_json, "Print one JSON object");
  return [options] { return merge(*options); };
}

}  // namespace

const Command kMergeCommand = {
    "merge", "join the shards of a batch, or gather a queue",
    "Afterwards OUT is the folder of a batch, for weft status, weft report and weft batch. Checks every file "
    "against the hash in its record. May be repeated when further "
    "shards are complete.",
    "weft merge build/topics", declare};

}  // namespace weft::cli
