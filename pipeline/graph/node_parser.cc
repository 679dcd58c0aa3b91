// The part of FileParser that reads "nodes".
#include <algorithm>
#include <charconv>
#include <cmath>

#include "pipeline/graph/file_parser.h"
#include "pipeline/graph/literal.h"
#include "pipeline/graph/parameter_value.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

constexpr std::string_view kSubgraphPrefix = "pipeline:";
constexpr double kMaxRetries = 100, kMaxTimeoutSeconds = 1e9;
const std::vector<std::string> kNodeMembers = {"uses",  "in",        "with",   "when", "for_each",
                                               "retry", "timeout_s", "device", "help", "description"};
const std::vector<std::string> kConditionMembers = {"port", "equals"};

std::vector<std::string> input_names(const Node& node) {
  std::vector<std::string> names;
  for (const InputBinding& input : node.inputs) names.push_back(input.name);
  return names;
}

InputBinding* find_input(Node& node, std::string_view name) {
  const auto found = std::find_if(node.inputs.begin(), node.inputs.end(),
                                  [&](const InputBinding& input) { return input.name == name; });
  return found == node.inputs.end() ? nullptr : &*found;
}

const ParameterDescriptor* find_parameter(const Node& node, std::string_view name) {
  if (node.type.node == nullptr) return nullptr;
  const auto& parameters = node.type.node->parameters;
  const auto found =
      std::find_if(parameters.begin(), parameters.end(),
                   [&](const ParameterDescriptor& parameter) { return parameter.name == name; });
  return found == parameters.end() ? nullptr : &*found;
}

bool is_given(const InputBinding& input) { return input.source || input.literal; }

}  // namespace

void FileParser::draft_nodes(JsonId root) {
  if (tree_.find(root, "nodes") == kNoJson) {
    report_.error(root, {"no nodes", "\"nodes\": { ... }", {}, {}});
    return;
  }
  const std::vector<JsonId> ids = entries(root, "nodes");
  if (ids.size() > kMaxPipelineNodes) {
    report_.error(
        tree_.find(root, "nodes"),
        {std::to_string(ids.size()) + " nodes", "at most " + std::to_string(kMaxPipelineNodes), {}, {}});
    return;
  }
  drafts_.reserve(ids.size());
  node_names_.reserve(ids.size());
  for (JsonId id : ids) {
    Draft draft;
    draft.id = id;
    draft.node.name = tree_[id].key;
    draft.node.position = position(id);
    if (draft.node.name == "inputs") {
      report_.error_at_name(
          id, {"a node with the name 'inputs'", {}, {}, "'inputs' means the inputs of the pipeline"});
    } else {
      check_new_name(id, "a node");
    }
    if (expect(id, JsonKind::kObject, "the node " + in_quotes(draft.node.name)))
      draft.complete = find_type(draft);
    node_names_.push_back(draft.node.name);
    node_index_.emplace(tree_[id].key, static_cast<uint32_t>(drafts_.size()));
    drafts_.push_back(std::move(draft));
  }
}

bool FileParser::find_type(Draft& draft) {
  const JsonId uses = tree_.find(draft.id, "uses");
  const std::string node = "the node " + in_quotes(draft.node.name);
  if (uses == kNoJson) {
    report_.error(draft.id,
                  {node + " has no type", "\"uses\": \"text.generate\", say", {}, "`weft nodes` lists all"});
    return false;
  }
  if (!expect(uses, JsonKind::kString, "the type of " + node)) return false;
  draft.node.uses = tree_[uses].text;
  if (draft.node.uses.starts_with(kSubgraphPrefix)) {
    const SubgraphResult loaded = load_(draft.node.uses.substr(kSubgraphPrefix.size()));
    if (loaded.mistake) report_.error(uses, *loaded.mistake);
    if (!loaded.graph) return false;
    draft.node.subgraph = loaded.graph;
    take_subgraph(draft, *loaded.graph);
  } else {
    draft.node.type = catalog_.find_node(draft.node.uses);
    if (draft.node.type.node == nullptr) {
      report_.error(uses,
                    {"unknown node type " + in_quotes(draft.node.uses),
                     {},
                     report_.nearest(draft.node.uses, catalog_.node_names()),
                     catalog_.problems().empty() ? "`weft nodes` lists all"
                                                 : "some plugins cannot be used: `weft plugins` says why"});
      return false;
    }
    take_node_type(draft);
  }
  if (tree_.find(draft.id, "for_each") != kNoJson) {
    for (std::string& type : draft.node.output_types) {
      const bool plain = list_element_type(type).empty() && type != "any" && !type.empty();
      type = plain ? "list<" + type + ">" : std::string();
    }
  }
  return true;
}

void FileParser::take_node_type(Draft& draft) {
  Node& node = draft.node;
  for (const PortDescriptor& port : node.type.node->inputs) {
    node.inputs.push_back({port.name, port.type, port.optional, {}, {}, node.position});
  }
  for (const PortDescriptor& port : node.type.node->outputs) {
    node.output_names.push_back(port.name);
    node.output_types.push_back(port.type);
  }
}

void FileParser::take_subgraph(Draft& draft, const Graph& graph) {
  Node& node = draft.node;
  for (const PipelineInput& input : graph.inputs) {
    node.inputs.push_back({input.name, input.type, input.default_json.has_value(), {}, {}, node.position});
  }
  for (const PipelineOutput& output : graph.outputs) {
    node.output_names.push_back(output.name);
    node.output_types.push_back(output.type);
  }
}

void FileParser::fill_node(Draft& draft) {
  if (tree_.kind(draft.id) != JsonKind::kObject) return;
  check_names(draft.id, kNodeMembers, "of a node");
  draft.node.help = help_member(draft.id);
  parse_when(draft);
  parse_limits(draft);
  parse_device(draft);
  if (!draft.complete) return;
  parse_for_each(draft);
  parse_links(draft);
  parse_with(draft);
  bind_element(draft);
  fill_defaults(draft);
  check_inputs(draft);
  if (draft.node.subgraph) check_known_inputs(draft);
  collect_dependencies(draft);
}

void FileParser::parse_for_each(Draft& draft) {
  const JsonId id = tree_.find(draft.id, "for_each");
  if (id == kNoJson) return;
  draft.all_readable = false;  // until it is clear what the list is
  if (!expect(id, JsonKind::kString, "for_each of " + in_quotes(draft.node.name))) return;
  const std::optional<Port> port = resolve(tree_[id].text, id, tree_[id].begin, nullptr);
  if (!port) return;
  if (list_element_type(port->type).empty()) {
    report_.error(id, {in_quotes(tree_[id].text) + " is of type " + port->type,
                       "a list",
                       {},
                       "for_each runs a node once per element of a list"});
    return;
  }
  draft.node.for_each = port->source;
  draft.all_readable = true;
}

void FileParser::parse_links(Draft& draft) {
  const JsonId in = tree_.find(draft.id, "in");
  if (in == kNoJson) return;
  draft.all_readable =
      expect(in, JsonKind::kObject, "\"in\" of " + in_quotes(draft.node.name)) && draft.all_readable;
  if (tree_.kind(in) != JsonKind::kObject) return;
  for (JsonId link : members(in)) parse_link(draft, link);
}

void FileParser::parse_link(Draft& draft, JsonId link) {
  Node& node = draft.node;
  const std::string name(tree_[link].key);
  InputBinding* input = find_input(node, name);
  if (input == nullptr && find_parameter(node, name) != nullptr) {
    report_.error_at_name(link, {in_quotes(name) + " is a parameter of " + node.uses + ", not an input",
                                 {},
                                 {},
                                 "give it in \"with\""});
    return;
  }
  if (input == nullptr && node.type.node != nullptr && node.type.node->has(WEFT_NODE_EXTRA_INPUTS)) {
    if (!check_new_name(link, "an input")) return;
    node.inputs.push_back({name, "any", false, {}, {}, position(link)});
    input = &node.inputs.back();
  }
  if (input == nullptr) {
    const std::string nearest = report_.nearest(name, input_names(node));
    report_.error_at_name(link, {node.uses + " has no input " + in_quotes(name), {}, nearest, {}});
    draft.misspelt.push_back(nearest);
    return;
  }
  if (!expect(link, JsonKind::kString, "the link to input " + in_quotes(name))) {
    input->source = Source{};  // so that it does not count as missing too
    return;
  }
  const std::optional<Port> port = resolve(tree_[link].text, link, tree_[link].begin, &node);
  input->source = port ? port->source : Source{};
  input->position = position(link);
  if (!port || port_type_satisfies(port->type, input->type)) return;
  const std::string_view element = list_element_type(port->type);
  const bool fits = !element.empty() && port_type_satisfies(element, input->type);
  report_.error(
      link, {in_quotes(tree_[link].text) + " of type " + port->type + " does not fit input " +
                 in_quotes(name) + " of " + node.uses,
             input->type,
             {},
             fits ? "\"for_each\": \"" + std::string(tree_[link].text) + "\" runs the node once per element"
                  : std::string()});
}

void FileParser::parse_with(Draft& draft) {
  const JsonId with = tree_.find(draft.id, "with");
  if (with == kNoJson) return;
  draft.all_readable =
      expect(with, JsonKind::kObject, "\"with\" of " + in_quotes(draft.node.name)) && draft.all_readable;
  if (tree_.kind(with) != JsonKind::kObject) return;
  for (JsonId value : members(with)) parse_with_member(draft, value);
}

std::vector<std::string> FileParser::with_names(const Node& node) const {
  std::vector<std::string> names;
  if (node.type.node != nullptr) {
    for (const ParameterDescriptor& parameter : node.type.node->parameters) names.push_back(parameter.name);
  }
  for (const InputBinding& input : node.inputs) {
    if (has_literals(input.type)) names.push_back(input.name);
  }
  return names;
}

void FileParser::parse_with_member(Draft& draft, JsonId value) {
  Node& node = draft.node;
  const std::string name(tree_[value].key);
  if (const ParameterDescriptor* parameter = find_parameter(node, name)) {
    if (parameter->type == "model") {
      parse_model_parameter(draft, *parameter, value);
      return;
    }
    const LiteralPlace place{*parameter, parameter->per_request ? Allowed::kInputsAndNodes : Allowed::kInputs,
                             &node, "parameter " + in_quotes(name) + " of " + node.uses};
    std::optional<Literal> literal = parse_literal(value, place);
    // A broken value binds too, so that the parameter does not count as missing.
    node.parameters.push_back({name, literal ? *std::move(literal) : Literal(), position(value)});
    return;
  }
  InputBinding* input = find_input(node, name);
  if (input == nullptr) {
    const bool extra = node.type.node != nullptr && node.type.node->has(WEFT_NODE_EXTRA_INPUTS);
    const std::string nearest = report_.nearest(name, with_names(node));
    report_.error_at_name(
        value, {node.uses + (node.subgraph ? " has no input " : " has no parameter ") + in_quotes(name),
                {},
                nearest,
                extra ? "further inputs are linked in \"in\"" : std::string()});
    draft.misspelt.push_back(nearest);
  } else if (input->source) {
    report_.error_at_name(value,
                          {"input " + in_quotes(name) + " has a link in \"in\" and a value in \"with\"",
                           {},
                           {},
                           "keep one of the two"});
  } else if (!has_literals(input->type)) {
    report_.error_at_name(value, {"input " + in_quotes(name) + " of " + node.uses + " takes " + input->type +
                                      ", which cannot be written here",
                                  "a link in \"in\"",
                                  {},
                                  {}});
    input->source = Source{};
  } else {
    ParameterDescriptor port;
    port.name = name;
    port.type = input->type;
    port.minimum = -INFINITY;
    port.maximum = INFINITY;
    std::optional<Literal> literal = parse_literal(
        value, {port, Allowed::kInputsAndNodes, &node, "input " + in_quotes(name) + " of " + node.uses});
    input->literal = literal ? *std::move(literal) : Literal();
    input->position = position(value);
  }
}

void FileParser::parse_model_parameter(Draft& draft, const ParameterDescriptor& parameter, JsonId value) {
  const std::string name(tree_[value].text);
  draft.node.parameters.push_back({parameter.name, json_string(name), position(value)});
  if (!expect(value, JsonKind::kString, "parameter " + in_quotes(parameter.name))) return;
  const auto found = model_index_.find(tree_[value].text);
  if (found == model_index_.end()) {
    std::string known;
    for (const std::string& one : model_names_) known += (known.empty() ? "one of " : ", ") + one;
    report_.error(value,
                  {"the pipeline has no model " + in_quotes(name),
                   known.empty() ? "an entry of \"models\"" : known, report_.nearest(name, model_names_),
                   model_names_.empty() ? "add \"models\": { \"" + name + "\": { \"path\": ... } }" : ""});
    return;
  }
  draft.node.models.push_back({parameter.name, found->second});
  model_users_[found->second].push_back({value, &parameter.choices});
}

bool FileParser::refers_to_element(const Node& node) const {
  const auto in_literal = [&](const Literal& literal) {
    const std::vector<Source> sources = references(literal);
    return std::find(sources.begin(), sources.end(), *node.for_each) != sources.end();
  };
  return std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](const InputBinding& input) {
                       return input.source == node.for_each || (input.literal && in_literal(*input.literal));
                     }) ||
         std::any_of(node.parameters.begin(), node.parameters.end(),
                     [&](const ParameterBinding& parameter) { return in_literal(parameter.value); });
}

// A node that does not say where the element goes has one input that can take it.
void FileParser::bind_element(Draft& draft) {
  Node& node = draft.node;
  if (!node.for_each || refers_to_element(node)) return;
  const JsonId id = tree_.find(draft.id, "for_each");
  const std::string& list = node.for_each->node < 0
                                ? graph_.inputs[node.for_each->port].type
                                : drafts_[node.for_each->node].node.output_types[node.for_each->port];
  std::vector<InputBinding*> required, optional;
  for (InputBinding& input : node.inputs) {
    if (is_given(input) || !port_type_satisfies(list_element_type(list), input.type)) continue;
    (input.optional ? optional : required).push_back(&input);
  }
  const std::vector<InputBinding*>& takers = required.empty() ? optional : required;
  if (takers.size() == 1) {
    takers[0]->source = node.for_each;
    takers[0]->position = position(id);
    return;
  }
  draft.all_readable = false;
  report_.error(id, {"it is not clear where " + in_quotes(node.name) + " uses the elements of " +
                         in_quotes(tree_[id].text),
                     "a link \"in\": { \"port\": \"" + std::string(tree_[id].text) + "\" }, or ${" +
                         std::string(tree_[id].text) + "} in \"with\"",
                     {},
                     {}});
}

// Whether to say that something is missing: not where it is there but misspelt or could not be read.
bool FileParser::may_be_missing(const Draft& draft, const std::string& name) const {
  return draft.all_readable &&
         std::find(draft.misspelt.begin(), draft.misspelt.end(), name) == draft.misspelt.end();
}

// Parameters in declared order, with defaults; missing ones are reported.
void FileParser::fill_defaults(Draft& draft) {
  Node& node = draft.node;
  if (node.type.node == nullptr) return;
  std::vector<ParameterBinding> ordered;
  for (const ParameterDescriptor& parameter : node.type.node->parameters) {
    const auto given =
        std::find_if(node.parameters.begin(), node.parameters.end(),
                     [&](const ParameterBinding& binding) { return binding.name == parameter.name; });
    if (given != node.parameters.end()) {
      ordered.push_back(std::move(*given));
    } else if (parameter.default_json) {
      ordered.push_back({parameter.name, *parameter.default_json, node.position});
    } else if (!parameter.optional && parameter.type != "seed" && may_be_missing(draft, parameter.name)) {
      report_.error(draft.id, {"parameter " + in_quotes(parameter.name) + " of " + in_quotes(node.name) +
                                   " (" + node.uses + ") is missing",
                               expected_value(parameter),
                               {},
                               {}});
    }
  }
  node.parameters = std::move(ordered);
}

void FileParser::check_inputs(Draft& draft) {
  Node& node = draft.node;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    InputBinding& input = node.inputs[i];
    if (is_given(input)) continue;
    if (node.subgraph && node.subgraph->inputs[i].default_json) {
      input.literal = *node.subgraph->inputs[i].default_json;
    } else if (!input.optional && may_be_missing(draft, input.name)) {
      report_.error(draft.id, {"input " + in_quotes(input.name) + " of " + in_quotes(node.name) + " (" +
                                   node.uses + ") is missing",
                               has_literals(input.type)
                                   ? "a link in \"in\" or a value in \"with\", of type " + input.type
                                   : "a link in \"in\", of type " + input.type,
                               {},
                               {}});
    }
  }
}

// A subgraph's input that its parameters need before the run cannot come from a node.
void FileParser::check_known_inputs(Draft& draft) {
  const Node& node = draft.node;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const InputBinding& input = node.inputs[i];
    if (!node.subgraph->inputs[i].needed_before_run) continue;
    std::vector<Source> sources = input.literal ? references(*input.literal) : std::vector<Source>();
    if (input.source) sources.push_back(*input.source);
    for (const Source& source : sources) {
      if (source.node < 0 && source != node.for_each) {
        if (source.port < graph_.inputs.size()) graph_.inputs[source.port].needed_before_run = true;
        continue;
      }
      const JsonId in = tree_.find(draft.id, "in"), with = tree_.find(draft.id, "with");
      JsonId at = in != kNoJson ? tree_.find(in, input.name) : kNoJson;
      if (at == kNoJson && with != kNoJson) at = tree_.find(with, input.name);
      report_.error(at != kNoJson ? at : draft.id,
                    {"input " + in_quotes(input.name) + " of " + node.uses + " must be known before the run",
                     "a constant or an input of the pipeline",
                     {},
                     "a parameter or model in that pipeline depends on it"});
      break;
    }
  }
}

void FileParser::parse_when(Draft& draft) {
  const JsonId when = tree_.find(draft.id, "when");
  if (when == kNoJson) return;
  const std::string what = "\"when\" of " + in_quotes(draft.node.name);
  JsonId place = when, equals = kNoJson;
  if (tree_.kind(when) == JsonKind::kObject) {
    check_names(when, kConditionMembers, "of a condition");
    place = tree_.find(when, "port");
    equals = tree_.find(when, "equals");
    if (place == kNoJson) {
      report_.error(when, {what + " names no port", "\"port\": \"node.port\"", {}, {}});
      return;
    }
  } else if (tree_.kind(when) != JsonKind::kString) {
    report_.error(when, {what + " is " + describe(tree_.kind(when)),
                         "\"node.port\" of type bool, or { \"port\": \"node.port\", \"equals\": value }",
                         {},
                         {}});
    return;
  }
  if (!expect(place, JsonKind::kString, "the port of " + what)) return;
  const std::optional<Port> port = resolve(tree_[place].text, place, tree_[place].begin, nullptr);
  if (!port) return;
  Condition condition{port->source, {}};
  const std::string is_of_type = in_quotes(tree_[place].text) + " is of type " + port->type;
  if (equals == kNoJson) {
    if (port->type != "bool") {
      report_.error(place, {is_of_type, "bool", {}, "compare it: { \"port\": ..., \"equals\": value }"});
      return;
    }
  } else if (!has_literals(port->type) || !list_element_type(port->type).empty()) {
    report_.error(
        place, {is_of_type + ", which cannot be compared", "text, path, json, bool, int or float", {}, {}});
    return;
  } else {
    condition.equals_json = tree_.compact(equals);
    if (Result<ParameterValue> value = parse_value(*condition.equals_json, port->type); !value.ok()) {
      report_.error(
          equals,
          {"a comparison with " + value.error().got + ", and " + is_of_type, value.error().expected, {}, {}});
      return;
    }
    if (tree_.kind(equals) == JsonKind::kString && tree_[equals].text.find("${") != std::string_view::npos) {
      report_.error(equals, {"a comparison with a template", "a constant", {}, {}});
    }
  }
  draft.node.when = std::move(condition);
}

void FileParser::parse_limits(Draft& draft) {
  const auto number = [&](std::string_view key, double low, double high,
                          const char* expected) -> std::optional<double> {
    const JsonId id = tree_.find(draft.id, key);
    if (id == kNoJson) return std::nullopt;
    double value = 0;
    const std::string_view text = tree_[id].text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool fits =
        tree_.kind(id) == JsonKind::kNumber && error == std::errc() && value >= low && value <= high;
    if (fits) return value;
    report_.error(id, {std::string(key) + " of " + in_quotes(draft.node.name) + " is " + tree_.compact(id),
                       expected,
                       {},
                       {}});
    return std::nullopt;
  };
  if (const auto retry = number("retry", 0, kMaxRetries, "an integer from 0 to 100: further attempts")) {
    if (*retry == std::floor(*retry)) draft.node.retry = static_cast<uint32_t>(*retry);
    else
      report_.error(tree_.find(draft.id, "retry"),
                    {"retry is not an integer", "an integer from 0 to 100", {}, {}});
  }
  if (const auto timeout = number("timeout_s", 1e-3, kMaxTimeoutSeconds, "seconds, from 0.001 to 1e9")) {
    draft.node.timeout_s = *timeout;
  }
}

// A node computes where its models are.
void FileParser::parse_device(Draft& draft) {
  Node& node = draft.node;
  node.device = device_member(draft.id, "the device of " + in_quotes(node.name));
  if (node.device.empty() || node.device == "cpu" || node.type.node == nullptr) return;
  for (const ParameterDescriptor& parameter : node.type.node->parameters) {
    for (const std::string& type : parameter.choices) {
      const ModelTypeDescriptor* model =
          parameter.type == "model" ? catalog_.find_model(type).model : nullptr;
      if (model != nullptr && find_device_parameter(*model) != nullptr) return;
    }
  }
  report_.error(tree_.find(draft.id, "device"),
                {node.uses + " runs on the CPU only", "\"cpu\"", {}, "leave \"device\" out"});
}

void FileParser::collect_dependencies(Draft& draft) {
  Node& node = draft.node;
  const auto add = [&](const Source& source) {
    if (source.node >= 0) node.depends_on.push_back(static_cast<uint32_t>(source.node));
  };
  const auto add_literal = [&](const Literal& literal) {
    for (const Source& source : references(literal)) add(source);
  };
  for (const InputBinding& input : node.inputs) {
    if (input.source) add(*input.source);
    if (input.literal) add_literal(*input.literal);
  }
  for (const ParameterBinding& parameter : node.parameters) add_literal(parameter.value);
  if (node.when) add(node.when->source);
  if (node.for_each) add(*node.for_each);
  std::sort(node.depends_on.begin(), node.depends_on.end());
  node.depends_on.erase(std::unique(node.depends_on.begin(), node.depends_on.end()), node.depends_on.end());
}

}  // namespace weft
