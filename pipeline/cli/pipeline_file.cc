#include "pipeline/cli/pipeline_file.h"

#include <unistd.h>

#include "pipeline/cli/event_json.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/loader/scan.h"

namespace weft::cli {
namespace {

int refuse(const Error& error, Messages messages) {
  const int code = exit_code_for(error.code);
  if (messages == Messages::kText) return report_error(error);
  print(failed_line(error, code));
  return code;
}

}  // namespace

std::unique_ptr<const Catalog> find_plugins() {
  std::vector<std::string> warnings;
  auto catalog = std::make_unique<const Catalog>(scan_plugins(default_scan_options(), &warnings));
  for (const std::string& warning : warnings) report_warning(warning);
  for (const PluginProblem& problem : catalog->problems()) {
    report_warning("plugin left out: " + problem.path + ": " + problem.reason);
  }
  return catalog;
}

size_t print_diagnostics(const ParsedPipeline& parsed, Messages messages) {
  size_t n_errors = 0;
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::kError) ++n_errors;
    if (messages == Messages::kJson) {
      print(to_json(diagnostic) + "\n");
    } else {
      write_all(STDERR_FILENO, to_text(diagnostic, Excerpt::kShow));
    }
  }
  return n_errors;
}

std::optional<int> load_pipeline(const std::string& path, Messages messages, PipelineFile& file) {
  // A file that is not there is the most common mistake, and not one of its content.
  if (access(path.c_str(), R_OK) != 0) {
    if (const Result<std::string> text = read_pipeline_file(path); !text.ok())
      return refuse(text.error(), messages);
  }
  file.catalog = find_plugins();
  ParsedPipeline parsed = parse_pipeline_file(path, *file.catalog);
  const size_t n_errors = print_diagnostics(parsed, messages);
  if (parsed.graph == nullptr) {
    if (messages == Messages::kJson) {
      const Error error{StatusCode::kInvalidArgument,
                        "the pipeline has " + std::to_string(n_errors) + " errors",
                        path,
                        {},
                        {},
                        {}};
      print(failed_line(error, kInvalidPipeline));
    } else if (n_errors > 1) {
      write_all(STDERR_FILENO, std::to_string(n_errors) + " errors\n");
    }
    return kInvalidPipeline;
  }
  file.graph = std::move(parsed.graph);
  return std::nullopt;
}

}  // namespace weft::cli
