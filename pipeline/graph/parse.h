/// A pipeline file in JSON to a validated Graph, or all that is wrong with it.
///
/// The whole language is checked here against the plugins' descriptors alone; no plugin is loaded, no model file is
/// opened. Nothing is trusted: size, depth, strings and counts are limited (see the constants), time is near linear.
/// Thread safety: no shared state.
///
///   ParsedPipeline parsed = parse_pipeline_file("hello.json", catalog);
///   if (!parsed.graph) { for (auto& d : parsed.diagnostics) print(to_text(d, Excerpt::kShow)); return kBadPipeline; }
#ifndef WEFT_PIPELINE_GRAPH_PARSE_H
#define WEFT_PIPELINE_GRAPH_PARSE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/graph.h"

namespace weft {

/// The version of the format that this program writes and reads; it migrates older ones and refuses newer ones.
inline constexpr int64_t kPipelineVersion = 1;

// Limits on one file, and (nodes) on a pipeline with all its subgraphs expanded.
inline constexpr size_t kMaxPipelineBytes = 16 << 20;
inline constexpr size_t kMaxPipelineDepth = 64;  // of nested JSON arrays and objects
inline constexpr size_t kMaxPipelineStringBytes = 1 << 20;
inline constexpr size_t kMaxPipelineValues = 2'000'000;  // JSON values in a file
inline constexpr size_t kMaxPipelineNodes = 32'768;
inline constexpr size_t kMaxSubgraphDepth = 16;
inline constexpr size_t kMaxSubgraphFiles = 256;  // read for one pipeline
inline constexpr size_t kMaxDiagnostics = 100;    // further ones are counted, not kept

/// Reads the text of a pipeline file. Errors: kNotFound, kPermissionDenied, kIoError, kOutOfRange (too large).
using PipelineReader = std::function<Result<std::string>(const std::string& path)>;
/// From the file system; at most kMaxPipelineBytes.
Result<std::string> read_pipeline_file(const std::string& path);

/// A file of a pipeline, as it was read.
struct PipelineSource {
  std::string file;  // path
  std::string text;
};

struct ParsedPipeline {
  std::shared_ptr<const Graph> graph;   // null if there are errors
  std::vector<Diagnostic> diagnostics;  // errors and warnings, by file and place
  std::vector<PipelineSource> sources;  // the pipeline, then its subgraphs' files
};

/// text: the file's content. file: its path as the user gave it, for messages and for the folder that relative paths
/// start from. read: for files named in "uses": "pipeline:other.json"; each is read once.
ParsedPipeline parse_pipeline(std::string_view text, const std::string& file, const Catalog& catalog,
                              const PipelineReader& read = read_pipeline_file);

/// The same for a file; one that cannot be read gives one diagnostic.
ParsedPipeline parse_pipeline_file(const std::string& file, const Catalog& catalog);

}  // namespace weft
#endif
