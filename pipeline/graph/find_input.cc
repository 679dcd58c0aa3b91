#include "pipeline/graph/find_input.h"

#include <algorithm>
#include <string>
#include <vector>

#include "pipeline/graph/diagnostic.h"

namespace weft {

const PipelineInput* find_input(const Graph& graph, std::string_view name) {
  const auto found = std::find_if(graph.inputs.begin(), graph.inputs.end(),
                                  [&](const PipelineInput& input) { return input.name == name; });
  return found == graph.inputs.end() ? nullptr : &*found;
}

Error unknown_input(const Graph& graph, std::string_view name, std::string_view location) {
  std::vector<std::string> known;
  std::string all;
  for (const PipelineInput& input : graph.inputs) {
    known.push_back(input.name);
    all += (all.empty() ? "" : ", ") + input.name;
  }
  const std::string near = nearest_name(name, known);
  return Error{StatusCode::kInvalidArgument,
               "the pipeline has no input '" + std::string(name) + "'",
               std::string(location),
               all.empty() ? "nothing: it has no inputs" : "one of: " + all,
               {},
               near.empty() ? "" : "did you mean " + near + "?"};
}

}  // namespace weft
