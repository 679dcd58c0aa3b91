/// The parameters that a node, a request or a model gets: the data behind weft_parameters of the contract.
///
/// Ownership: a value; pointers that the API hands out live as long as it. Thread safety: const access from any thread.
///
///   Result<weft_parameters> parameters = make_parameters(type.parameters, node.parameters, Unknown::kRefuse, text_of);
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

/// What happens to a parameter that refers to nodes, whose values exist only during the run.
enum class Unknown {
  kDefault,  // it takes its default, or has no value: for create and prepare
  kRefuse    // `reference` is asked: for a request
};

/// bindings: of a Node or a ModelEntry; declared ones without a binding take their default. Every value is checked.
/// Errors: kInvalidArgument naming the parameter, with its range; those of `reference`; a parameter that has neither
/// binding nor default nor the optional flag (a seed counts as such until it is drawn).
Result<weft_parameters> make_parameters(const std::vector<ParameterDescriptor>& declared,
                                        const std::vector<ParameterBinding>& bindings, Unknown unknown,
                                        const ReferenceText& reference);

/// Adds or replaces one value: the drawn seed, say.
void set_parameter(weft_parameters& parameters, std::string name, ParameterValue value);

/// Equal for equal parameters, different for different ones; for cache keys. One "name=json" a line, sorted.
std::string parameters_key(const weft_parameters& parameters);

}  // namespace weft
#endif
