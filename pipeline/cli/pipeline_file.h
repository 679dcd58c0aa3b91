/// A pipeline and the plugins that it was checked against: what most commands begin with.
#ifndef WEFT_PIPELINE_CLI_PIPELINE_FILE_H
#define WEFT_PIPELINE_CLI_PIPELINE_FILE_H

#include <memory>
#include <optional>
#include <string>

#include "pipeline/graph/parse.h"
#include "pipeline/run/run.h"
#include "pipeline/run/run_record.h"

namespace weft::cli {

enum class Messages { kText, kJson };

struct PipelineFile {
  std::unique_ptr<const Catalog> catalog;  // what the graph points into
  std::shared_ptr<const Graph> graph;
  std::vector<PipelineSource> sources;
  std::optional<RunRecord> record;  // if the file is a picture: what it says of how it was made
};

/// The plugins of this installation; what is wrong with some becomes warnings on standard error.
std::unique_ptr<const Catalog> find_plugins();

/// Prints all mistakes and warnings of a file: as text on standard error, or one JSON object a line on standard output.
/// Returns how many are errors.
size_t print_diagnostics(const ParsedPipeline& parsed, Messages messages);

/// Parses a pipeline file, or the record in a picture, which is then given too. Errors: those of read_pipeline_file;
/// kInvalidArgument for a picture without a record, those of parse_run_record.
Result<ParsedPipeline> parse_pipeline_or_picture(const std::string& path, const Catalog& catalog,
                                                 std::optional<RunRecord>& record);

/// Reads and checks `path`: a pipeline, or a picture that holds the record of one. On errors everything is printed and the exit code returned; else `file` is filled in.
std::optional<int> load_pipeline(const std::string& path, Messages messages, PipelineFile& file);

/// The values of the pipeline's inputs: `settings` (--set), then what a picture's record holds, for the others.
/// Errors: those of read_input_values.
Result<std::map<std::string, InputValue>> input_values(const PipelineFile& file,
                                                       const std::vector<std::string>& settings);

/// What the run has to know of the file: its texts, for records; and for a picture its seeds, and that nodes may read only
/// the files that `settings` name. options.inputs: as input_values gave them.
void apply_file(const PipelineFile& file, const std::vector<std::string>& settings, RunOptions& options);

}  // namespace weft::cli
#endif
