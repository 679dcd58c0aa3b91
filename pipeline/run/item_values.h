/// The values that one execution of a pipeline brings: its inputs, and the seeds that were drawn for it.
///
/// A run has them once; where many items share a prepared run, each execution has its own. Plain values.
#ifndef WEFT_PIPELINE_RUN_ITEM_VALUES_H
#define WEFT_PIPELINE_RUN_ITEM_VALUES_H

#include <weft/abi/node.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipeline/memory/pool.h"
#include "pipeline/memory/value.h"
#include "pipeline/run/run.h"

namespace weft {

struct ItemValues {
  std::vector<Value> inputs;  // of the pipeline, by index; null: each item brings its own
  std::vector<DrawnSeed> seeds;
};

/// From options.inputs and the pipeline's defaults, by index; null for those that options.items lets vary.
/// Errors: kInvalidArgument for an unknown name, a value of the wrong type, or none.
Result<std::vector<Value>> make_inputs(const Graph& graph, const RunOptions& options, Pool& pool);

/// What is known of inputs that vary, by index; empty if none does.
std::vector<weft_spec> input_bounds(const Graph& graph, const RunOptions& options);

/// The inputs of one item. fixed: as prepared, null where the item brings its own.
/// Errors: those of make_inputs; kOutOfRange for a value beyond its bound.
Result<std::vector<Value>> make_item_inputs(const Graph& graph, const RunOptions& options,
                                            std::span<const Value> fixed, std::span<const weft_spec> bounds,
                                            Pool& pool);

/// The value that options.seeds replays for this parameter of this node (a path, "outer/inner"), else a new one. parameter:
/// may be DrawnSeed::kToday.
int64_t seed_value(const RunOptions& options, const std::string& node, const std::string& parameter);

/// The local date by the system's clock, as weft_node_config::today.
int64_t today_of_system();

}  // namespace weft
#endif
