/// weft submit: puts the items of a batch into a queue, for workers on many machines.
#include "pipeline/queue/submit.h"

#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/cpu/isa.h"
#include "pipeline/cli/batch_session.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/input_values.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {
namespace {

struct Options {
  std::string pipeline, queue;
  ItemSettings items;
  int64_t tries = 3;
  double silence_s = 30;
  HostSettings host;
  bool as_json = false;
};

constexpr double kLongestSilence_s = 86'400;

void show(const SubmittedItems& submitted, const Options& options) {
  if (options.as_json) {
    print(nlohmann::ordered_json{{"event", "submitted"},
                                 {"queue", parse_queue_address(options.queue)->shown},
                                 {"added", submitted.added},
                                 {"known", submitted.known},
                                 {"invalid", submitted.invalid.size()}}
              .dump() +
          "\n");
    return;
  }
  for (const InvalidItem& item : submitted.invalid)
    report_warning("fails without being run: " + to_string(item.error));
  print(std::to_string(submitted.added) + " items submitted" +
        (submitted.known > 0 ? ", " + std::to_string(submitted.known) + " were there" : "") +
        "; weft worker --queue " + parse_queue_address(options.queue)->shown + " runs them\n");
}

int submit(const Options& options) {
  Cancellation cancellation;
  if (const Status isa = check_isa_request(); !isa.ok()) return report_error(isa), kUsage;
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  const Result<QueueAddress> address = parse_queue_address(options.queue);
  if (!address.ok()) return fail(address.error(), exit_code_before_run(address.code()), messages);
  PipelineFile file;
  if (const std::optional<int> code = load_pipeline(options.pipeline, messages, file)) return *code;
  if (file.record) {
    const Status picture = Status(StatusCode::kUnsupported, "a picture's record cannot be submitted")
                               .at(options.pipeline)
                               .hint("submit the pipeline file");
    return fail(picture.error(), exit_code_for(picture.code()), messages);
  }
  RunOptions run = run_options(options.host);
  Result<std::map<std::string, InputValue>> inputs = read_settings(*file.graph, options.items.settings);
  if (!inputs.ok()) return fail(inputs.error(), exit_code_before_run(inputs.code()), messages);
  run.inputs = *std::move(inputs);
  apply_file(file, options.items.settings, run);
  const std::unique_ptr<Host> host = make_host(options.host, cancellation.temporaries(),
                                               [](weft_log_level level, const std::string& message) {
                                                 if (level >= WEFT_LOG_WARNING) report_warning(message);
                                               });
  const PluginProvider plugins = plugin_provider();
  Result<Queue> queue = Queue::connect(*address);
  if (!queue.ok()) return fail(queue.error(), exit_code_for(queue.code()), messages);
  SubmitOptions submission;
  submission.pipeline = options.pipeline;
  submission.items = options.items.items;
  submission.matrix = options.items.matrix;
  submission.name_template = options.items.name;
  submission.tries = static_cast<uint32_t>(options.tries);
  submission.silence = std::chrono::milliseconds(std::llround(options.silence_s * 1000));
  const Result<SubmittedItems> submitted =
      submit_items({*file.graph, plugins, *host, std::move(run)}, submission, *queue, &cancellation.token());
  if (cancellation.exit_code() != 0) return cancellation.exit_code();
  if (!submitted.ok()) return fail(submitted.error(), exit_code_before_run(submitted.code()), messages);
  show(*submitted, options);
  return submitted->invalid.empty() ? kSuccess : kFailure;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("PIPELINE", options->pipeline, "The pipeline file, where workers find it too");
  arguments.option("--queue", options->queue, "URL", "nats://HOST:4222/NAME; made if it is not there");
  options->items.declare(arguments);
  arguments.option("--tries", options->tries, 1, 1000, "N",
                   "Run an item at most so often before it has failed; default: 3");
  arguments.option("--silence", options->silence_s, 0.2, kLongestSilence_s, "SECONDS",
                   "Give a worker's items to others after it was silent for so long; default: 30");
  options->host.declare(arguments);
  arguments.flag("--json", options->as_json, "Print one JSON object");
  return [options] { return submit(*options); };
}

}  // namespace

const Command kSubmitCommand = {
    "submit", "put a batch's items into a queue for workers",
    "Items are read and checked as by weft batch; nothing is run here. Messages "
    "hold inputs, paths and hashes: files "
    "stay where they are, on storage that all workers see. The same command goes "
    "on where an earlier one was cut off. "
    "Queues are kept by a NATS server with JetStream.",
    "weft submit assets/pipelines/hello.json --items assets/items/topics.jsonl \\\n"
    "  --queue nats://localhost:4222/topics",
    declare};

}  // namespace weft::cli
