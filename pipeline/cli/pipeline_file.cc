#include "pipeline/cli/pipeline_file.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "modalities/image/files/record.h"
#include "modalities/weights/mapped_file.h"
#include "pipeline/cli/event_json.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/input_values.h"
#include "pipeline/cli/report.h"
#include "pipeline/loader/scan.h"

namespace weft::cli {
namespace {

// A picture without a record is a file that is no pipeline, and so is one that is too large.
int code_of(const Error& error) {
  const bool no_pipeline =
      error.code == StatusCode::kInvalidArgument || error.code == StatusCode::kOutOfRange;
  return no_pipeline ? static_cast<int>(kInvalidPipeline) : exit_code_for(error.code);
}

int refuse(const Error& error, Messages messages) {
  const int code = code_of(error);
  if (messages == Messages::kText) report_error(error);
  else print(failed_line(error, code));
  return code;
}

// The record of a picture; none if the file is no picture, which the parser of pipelines then says.
Result<std::optional<RunRecord>> read_record(const std::string& path) {
  const Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok() || !image_format_of(file->bytes())) return std::optional<RunRecord>();
  const Result<std::optional<std::string>> text = read_image_record(file->bytes());
  if (!text.ok()) return text.status().at(path);
  if (!text->has_value()) {
    return Status(StatusCode::kInvalidArgument, "the picture does not say how it was made")
        .at(path)
        .expected("a pipeline, or a picture that image.save of Weft wrote")
        .hint("programs that edit pictures often drop such records");
  }
  Result<RunRecord> record = parse_run_record(**text);
  if (!record.ok()) return record.status().at(path);
  return std::optional<RunRecord>(*std::move(record));
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

Result<ParsedPipeline> parse_pipeline_or_picture(const std::string& path, const Catalog& catalog,
                                                 std::optional<RunRecord>& record) {
  Result<std::optional<RunRecord>> found = read_record(path);
  if (!found.ok()) return found.status();
  record = *std::move(found);
  if (record) return parse_recorded_pipeline(*record, path, catalog);
  const Result<std::string> text = read_pipeline_file(path);
  if (!text.ok()) return text.status();
  return parse_pipeline(*text, path, catalog);
}

std::optional<int> load_pipeline(const std::string& path, Messages messages, PipelineFile& file) {
  // A file that is not there is the most common mistake, and not one of its content.
  if (access(path.c_str(), R_OK) != 0) {
    if (const Result<std::string> text = read_pipeline_file(path); !text.ok())
      return refuse(text.error(), messages);
  }
  file.catalog = find_plugins();
  Result<ParsedPipeline> read = parse_pipeline_or_picture(path, *file.catalog, file.record);
  if (!read.ok()) return refuse(read.error(), messages);
  ParsedPipeline& parsed = *read;
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
  file.sources = std::move(parsed.sources);
  return std::nullopt;
}

Result<std::map<std::string, InputValue>> input_values(const PipelineFile& file,
                                                       const std::vector<std::string>& settings) {
  std::map<std::string, InputValue> recorded;
  if (file.record) {
    for (const auto& [name, json] : file.record->inputs_json) recorded[name] = InputValue{{}, json};
  }
  return read_input_values(*file.graph, settings, std::move(recorded));
}

void apply_file(const PipelineFile& file, const std::vector<std::string>& settings, RunOptions& options) {
  options.sources = file.sources;
  if (!file.record) return;
  if (options.seeds.empty()) options.seeds = file.record->seeds;
  options.readable_files.emplace();
  for (const PipelineInput& input : file.graph->inputs) {
    const bool named = std::any_of(settings.begin(), settings.end(), [&](const std::string& setting) {
      return setting.starts_with(input.name + "=");
    });
    const auto value = options.inputs.find(input.name);
    if (input.type != "path" || !named || value == options.inputs.end()) continue;
    std::error_code error;
    const std::filesystem::path place = std::filesystem::canonical(value->second.text, error);
    if (!error) options.readable_files->insert(place.string());
  }
}

}  // namespace weft::cli
