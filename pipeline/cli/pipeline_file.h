/// A pipeline and the plugins that it was checked against: what most commands begin with.
#ifndef WEFT_PIPELINE_CLI_PIPELINE_FILE_H
#define WEFT_PIPELINE_CLI_PIPELINE_FILE_H

#include <memory>
#include <optional>
#include <string>

#include "pipeline/graph/parse.h"

namespace weft::cli {

enum class Messages { kText, kJson };

struct PipelineFile {
  std::unique_ptr<const Catalog> catalog;  // what the graph points into
  std::shared_ptr<const Graph> graph;
};

/// The plugins of this installation; what is wrong with some becomes warnings on standard error.
std::unique_ptr<const Catalog> find_plugins();

/// Prints all mistakes and warnings of a file: as text on standard error, or one JSON object a line on standard output.
/// Returns how many are errors.
size_t print_diagnostics(const ParsedPipeline& parsed, Messages messages);

/// Reads and checks `path`. On errors everything is printed and the exit code returned; else `file` is filled in.
std::optional<int> load_pipeline(const std::string& path, Messages messages, PipelineFile& file);

}  // namespace weft::cli
#endif
