/// How the values of a run are made, as a text that a picture keeps and that can be run again (draft/run_record.h).
///
/// One JSON object, compact, without times and without paths of this machine:
///   { "weft_record": 1, "pipeline": {...}, "pipelines": {"other.json": {...}}, "inputs": {"topic": "the sea"},
///     "seeds": [{"node": "paint", "parameter": "seed", "value": 7}] }
/// "pipelines" holds the files of subgraphs, by their path from the pipeline's folder. Inputs of type path or list<path>
/// are left out: whoever runs the record names files on the command line; and so are inputs beyond kMaxRecordedInputBytes,
/// which are the pictures and tensors of a program that calls the library. Members without content are left out.
/// Thread safety: plain values.
#ifndef WEFT_PIPELINE_RUN_RUN_RECORD_H
#define WEFT_PIPELINE_RUN_RUN_RECORD_H

#include <weft/sdk/status.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/parse.h"
#include "pipeline/memory/value.h"
#include "pipeline/run/run.h"

namespace weft {

inline constexpr uint64_t kMaxRecordedInputBytes = 1 << 20;

struct RunRecord {
  std::string pipeline;                            // JSON text
  std::map<std::string, std::string> pipelines;    // of subgraphs: path to JSON text
  std::map<std::string, std::string> inputs_json;  // by name
  std::vector<DrawnSeed> seeds;
};

/// The path of a pipeline's file from the pipeline's folder, by which records and queues name it; as it is if there is none.
std::string from_folder(const std::string& file, const std::string& folder);

/// sources: the pipeline's files as they were parsed, the main one first; none gives an empty record.
/// inputs: by index of graph.inputs.
RunRecord make_run_record(std::span<const PipelineSource> sources, const Graph& graph,
                          std::span<const Value> inputs, std::span<const DrawnSeed> seeds);

/// Empty for an empty record.
std::string to_json(const RunRecord& record);

/// From a file that cannot be trusted. Errors: kCorruptData, kVersionMismatch (written by a newer Weft).
Result<RunRecord> parse_run_record(std::string_view json);

/// Parses the record's pipeline as if it were the file `file`. Only files of the record are read.
ParsedPipeline parse_recorded_pipeline(const RunRecord& record, const std::string& file,
                                       const Catalog& catalog);

}  // namespace weft
#endif
