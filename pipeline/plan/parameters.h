/// The parameters that a node, a request or a model gets: the data behind weft_parameters of the contract.
///
/// Ownership: a value; pointers that the API hands out live as long as it. Thread safety: const access from any thread.
///
///   Result<weft_parameters> parameters = make_parameters(type.parameters, node.parameters, known, text_of);
///   host.parameters = &parameter_api();
#ifndef WEFT_PIPELINE_PLAN_PARAMETERS_H
#define WEFT_PIPELINE_PLAN_PARAMETERS_H

#include <weft/abi/parameters.h>
#include <weft/sdk/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/graph.h"
#include "pipeline/graph/literal.h"
#include "pipeline/graph/parameter_value.h"

struct weft_parameters {
  struct Item {
    std::string name;
    weft::ParameterValue value;
  };
  std::vector<Item> items;  // those that have a value, sorted by name

  const weft::ParameterValue* find(std::string_view name) const;
};

namespace weft {

/// The functions over the struct above, constant for the life of the process.
const weft_parameter_api& parameter_api();

/// bindings: of a Node or a ModelEntry. A binding with a reference that is not `known` counts as absent (create and prepare
/// see the default of a per-request parameter); absent ones take the declared default. Every value is checked.
/// Errors: kInvalidArgument naming the parameter, with its range; those of `reference`; a parameter that has neither value
/// nor default and is not optional, unless it is a seed or has a binding whose value is not known.
Result<weft_parameters> make_parameters(const std::vector<ParameterDescriptor>& declared,
                                        const std::vector<ParameterBinding>& bindings, const IsKnown& known,
                                        const ReferenceText& reference);

/// Adds or replaces one value: the drawn seed, say.
void set_parameter(weft_parameters& parameters, std::string name, ParameterValue value);

/// Equal for equal parameters, different for different ones; for cache keys. One "name=json" a line, sorted.
std::string parameters_key(const weft_parameters& parameters);

}  // namespace weft
#endif
