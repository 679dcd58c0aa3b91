#include "pipeline/run/item_values.h"

#include <sys/random.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "pipeline/graph/find_input.h"
#include "pipeline/loader/port_type.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/plan/bounds.h"
#include "pipeline/run/request.h"

namespace weft {
namespace {

int64_t draw_from_system() {
  uint32_t bits = 0;
  if (::getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) bits = 0;
  return bits & 0x7fffffff;  // every tool that a pipeline meets takes 31 bits
}

bool varies(const std::string& input, const RunOptions& options) {
  return options.items && options.items->varying.contains(input);
}

Result<Value> input_value(const PipelineInput& input, const RunOptions& options, Pool& pool) {
  const auto given = options.inputs.find(input.name);
  Result<Value> value = Value();
  if (given != options.inputs.end() && given->second.value) {
    value = given->second.value;
    if (!port_type_satisfies(value->type(), input.type)) {
      return Status(StatusCode::kInvalidArgument, "a value has the wrong type")
          .at("input '" + input.name + "'")
          .expected(input.type)
          .got(value->type());
    }
  } else if (given != options.inputs.end()) {
    value = given->second.json.empty() ? value_from_argument(given->second.text, input.type, pool)
                                       : value_from_json(given->second.json, input.type, pool);
  } else if (input.default_json) {
    value = value_from_json(*input.default_json, input.type, pool);
  } else {
    return Status(StatusCode::kInvalidArgument, "the input '" + input.name + "' has no value")
        .hint("--set " + input.name + "=...");
  }
  if (!value.ok()) return value.status().at("input '" + input.name + "'");
  return value;
}

Status check_names(const Graph& graph, const RunOptions& options) {
  for (const auto& [name, given] : options.inputs) {
    if (!find_input(graph, name)) return unknown_input(graph, name, "");
  }
  return {};
}

}  // namespace

int64_t today_of_system() {
  const std::time_t now = std::time(nullptr);
  std::tm day{};
  ::localtime_r(&now, &day);
  day.tm_hour = day.tm_min = day.tm_sec = 0;
  return ::timegm(&day);  // of the local date, as if it were UTC's
}

Result<std::vector<Value>> make_inputs(const Graph& graph, const RunOptions& options, Pool& pool) {
  if (Status status = check_names(graph, options); !status.ok()) return status;
  std::vector<Value> values;
  for (const PipelineInput& input : graph.inputs) {
    if (varies(input.name, options)) {
      values.emplace_back();
      continue;
    }
    auto value = input_value(input, options, pool);
    if (!value.ok()) return value.status();
    values.push_back(std::move(*value));
  }
  return values;
}

std::vector<weft_spec> input_bounds(const Graph& graph, const RunOptions& options) {
  std::vector<weft_spec> bounds;
  if (!options.items) return bounds;
  for (const PipelineInput& input : graph.inputs) {
    weft_spec bound = unknown_spec(input.type);
    if (const auto varying = options.items->varying.find(input.name);
        varying != options.items->varying.end()) {
      bound.max_bytes = varying->second;
      // An element is shorter than the text of its list, which has at least a sign for each.
      if (bound.kind == WEFT_KIND_LIST) bound.max_count = varying->second;
    }
    bounds.push_back(bound);
  }
  return bounds;
}

Result<std::vector<Value>> make_item_inputs(const Graph& graph, const RunOptions& options,
                                            std::span<const Value> fixed, std::span<const weft_spec> bounds,
                                            Pool& pool) {
  if (Status status = check_names(graph, options); !status.ok()) return status;
  std::vector<Value> values;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    if (fixed[i]) {
      values.push_back(fixed[i]);
      continue;
    }
    auto value = input_value(graph.inputs[i], options, pool);
    if (!value.ok()) return value.status();
    if (Status beyond = check_bound(*value, bounds[i]); !beyond.ok()) {
      return std::move(beyond).at("input '" + graph.inputs[i].name + "'");
    }
    values.push_back(std::move(*value));
  }
  return values;
}

int64_t seed_value(const RunOptions& options, const std::string& node, const std::string& parameter) {
  const auto recorded = std::find_if(options.seeds.begin(), options.seeds.end(), [&](const DrawnSeed& known) {
    return known.node == node && known.parameter == parameter;
  });
  if (recorded != options.seeds.end()) return recorded->value;
  if (parameter == DrawnSeed::kToday) return options.today ? options.today() : today_of_system();
  return options.draw_seed ? options.draw_seed() : draw_from_system();
}

}  // namespace weft
