/// weft merge: joins the shards of a batch.
#include "pipeline/batch/merge.h"

#include <memory>

#include "pipeline/cli/batch_json.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {
namespace {

struct Options {
  std::string out;
  std::vector<std::string> folders;
  bool as_json = false;
};

int merge(const Options& options) {
  Cancellation cancellation;
  const Result<MergedBatch> merged =
      merge_shards(options.out, {options.folders.begin(), options.folders.end()}, cancellation.temporaries());
  if (!merged.ok()) return report_error(merged.error());
  const BatchCounts& counts = merged->counts;
  if (options.as_json) {
    print(batch_finished_line(counts, BatchEnd::kComplete));
  } else {
    print(std::to_string(merged->n_journals) + " shards: " + batch_counts_text(counts) +
          (counts.pending() > 0 ? "; weft batch with --out " + options.out + " and no shard runs the rest"
                                : "") +
          "\n");
  }
  return counts.failed + counts.pending() > 0 ? kFailure : kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("OUT", options->out,
                       "The folder that everything comes to; shards that ran in it are joined");
  arguments.positionals("FOLDER", options->folders, 0,
                        "Output folders of further shards; their files are copied");
  arguments.flag("--json", options->as_json, "Print one JSON object");
  return [options] { return merge(*options); };
}

}  // namespace

const Command kMergeCommand = {
    "merge", "join the shards of a batch",
    "Checks every file against the hash in its record. May be repeated when further "
    "shards are complete.",
    "weft merge build/topics", declare};

}  // namespace weft::cli
