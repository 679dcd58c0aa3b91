/// weft cancel: ends a queue whose items are not to be run any more.
#include <memory>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/queue/submit.h"

namespace weft::cli {
namespace {

struct Options {
  std::string queue;
  bool remove = false;
};

int cancel(const Options& options) {
  const Result<QueueAddress> address = parse_queue_address(options.queue);
  if (!address.ok()) return report_error(address.error()), exit_code_before_run(address.code());
  Result<Queue> queue = Queue::connect(*address);
  if (!queue.ok()) return report_error(queue.error());
  const Result<uint64_t> cancelled = cancel_items(*queue);
  // A queue that was being removed when that was cut off has lost its beginning.
  const bool half_removed = options.remove && cancelled.code() == StatusCode::kNotFound;
  if (!cancelled.ok() && !half_removed) return report_error(cancelled.error());
  if (options.remove) {
    if (const Status removed = queue->remove(); !removed.ok()) return report_error(removed);
  }
  if (half_removed) return report_error(cancelled.error());
  print(std::to_string(*cancelled) + " items cancelled" + (options.remove ? "; the queue is removed" : "") +
        "\n");
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.option("--queue", options->queue, "URL", "nats://HOST:4222/NAME");
  arguments.flag("--remove", options->remove,
                 "Delete the queue from the server with all records; gather them before");
  return [options] { return cancel(*options); };
}

}  // namespace

const Command kCancelCommand = {"cancel", "end a queue",
                                "Items that have not ended are recorded as cancelled; workers give up what "
                                "they have at work within seconds. "
                                "What is done stays, for weft merge, until the queue is removed.",
                                "weft cancel --queue nats://localhost:4222/topics", declare};

}  // namespace weft::cli
