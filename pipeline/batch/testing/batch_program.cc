/// A batch of test nodes as a process of its own, to be killed: batch_program OUT ITEMS CONCURRENCY.
///
/// Every item writes a file and has a text; topics that are "bad" fail. Prints "recorded NAME" for each item whose record is
/// said to be durable, at last "done D failed F pending P", and exits with 0 when every item has a record, else with 1 and the
/// error on standard error.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "pipeline/batch/batch.h"
#include "pipeline/batch/testing/batch_pipeline.h"
#include "pipeline/graph/parse.h"
#include "pipeline/run/host.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft {
namespace {

int fail(const Status& status) {
  std::fprintf(stderr, "%s\n", to_string(status.error()).c_str());
  return 1;
}

int run(char** arguments) {
  const std::string text = std::string(R"({"weft": 1, "name": "torture", )") + testing::kBatchPipeline + "}";
  const ParsedPipeline parsed = parse_pipeline(text, "torture.json", testing::test_catalog());
  if (!parsed.graph) return fail(Status(StatusCode::kInvalidArgument, "the pipeline is wrong"));
  HostOptions host_options;
  host_options.threads = 2;
  Host host(host_options);
  const PluginProvider plugins = testing::test_provider();
  RunOptions run;
  run.isa_level = "test";
  run.sources = parsed.sources;
  BatchOptions options;
  options.folder = arguments[1];
  options.items = arguments[2];
  options.concurrency = static_cast<uint32_t>(std::atoi(arguments[3]));
  Result<Batch> batch = Batch::open({*parsed.graph, plugins, host, run}, options);
  if (!batch.ok()) return fail(batch.status());
  BatchCallbacks callbacks;
  callbacks.on_recorded = [](std::span<const NamedOutcome> outcomes) {
    std::string lines;
    for (const NamedOutcome& named : outcomes) lines += "recorded " + named.item.name + "\n";
    // Not by stdio, whose calls recorded_disk.c does not see.
    if (::write(STDOUT_FILENO, lines.data(), lines.size()) < 0) std::abort();
  };
  const Result<BatchCounts> counts = batch->run(callbacks, nullptr, nullptr);
  if (!counts.ok()) return fail(counts.status());
  std::printf("done %llu failed %llu pending %llu\n", static_cast<unsigned long long>(counts->done),
              static_cast<unsigned long long>(counts->failed),
              static_cast<unsigned long long>(counts->pending()));
  return counts->pending() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: batch_program OUT ITEMS CONCURRENCY\n");
    return 2;
  }
  return weft::run(argv);
}
