/// weft validate: checks pipeline files against the plugins, without loading anything.
#include <unistd.h>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  bool as_json = false;
};

int validate(const Options& options) {
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  const std::unique_ptr<const Catalog> catalog = find_plugins();
  int code = kSuccess;
  for (const std::string& file : options.files) {
    std::optional<RunRecord> record;
    const Result<ParsedPipeline> read = parse_pipeline_or_picture(file, *catalog, record);
    if (!read.ok()) {
      code = report_error(read.status());
      if (read.code() == StatusCode::kInvalidArgument)
        code = kInvalidPipeline;  // a picture without a pipeline
      continue;
    }
    const ParsedPipeline& parsed = *read;
    const size_t n_errors = print_diagnostics(parsed, messages);
    if (parsed.graph == nullptr) {
      code = kInvalidPipeline;
      if (messages == Messages::kText) {
        write_all(STDERR_FILENO,
                  file + ": " + std::to_string(n_errors) + (n_errors == 1 ? " error\n" : " errors\n"));
      }
    } else if (messages == Messages::kText) {
      const size_t n_nodes = parsed.graph->nodes.size();
      print(file + ": valid, " + std::to_string(n_nodes) + (n_nodes == 1 ? " node\n" : " nodes\n"));
    }
  }
  return code;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positionals("PIPELINE", options->files, 1, "Pipeline files");
  arguments.flag("--json", options->as_json, "Print each mistake as one JSON object a line");
  return [options] { return validate(*options); };
}

}  // namespace

const Command kValidateCommand = {
    "validate", "check pipeline files: every mistake, with line and column",
    "Nothing is loaded or run. Exit code 3 if a file has errors.",
    "weft validate assets/pipelines/hello.json\nweft validate --json assets/pipelines/*.json", declare};

}  // namespace weft::cli
