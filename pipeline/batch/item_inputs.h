/// Checks what an item sets against the pipeline's inputs, before anything runs.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_BATCH_ITEM_INPUTS_H
#define WEFT_PIPELINE_BATCH_ITEM_INPUTS_H

#include <weft/sdk/status.h>

#include <map>
#include <string>

#include "pipeline/graph/graph.h"
#include "pipeline/memory/pool.h"
#include "pipeline/run/run.h"

namespace weft {

/// The inputs of one item as JSON, by name. shared: what --set gives all items; an item's own value goes first.
/// pool: where values of tensors are made for the check. Errors: kInvalidArgument for a name that the pipeline does not
/// have (with the nearest), a value of the wrong type, a required input that neither sets.
Result<std::map<std::string, std::string>> check_item_inputs(const Graph& graph,
                                                             const std::map<std::string, InputValue>& inputs,
                                                             const std::map<std::string, InputValue>& shared,
                                                             Pool& pool);

/// {"a":1,"b":"x"} from names and JSON texts, and back. Errors of the latter: kCorruptData.
std::string json_object(const std::map<std::string, std::string>& members);
Result<std::map<std::string, std::string>> json_members(const std::string& object);

}  // namespace weft
#endif
