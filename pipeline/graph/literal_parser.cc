// The part of FileParser that reads references, templates and constants.
#include <algorithm>
#include <utility>

#include "pipeline/graph/file_parser.h"
#include "pipeline/graph/literal.h"
#include "pipeline/graph/parameter_value.h"
#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

bool is_text_like(std::string_view type) {
  return type == "text" || type == "path" || type == "choice" || type == "model" || type == "device";
}

// Types whose values can stand inside a text.
bool can_be_inserted(std::string_view type) { return has_literals(type) && list_element_type(type).empty(); }

// Whether the text that a value of type `from` inserts can be one of type `to`; texts are seen only when they exist.
bool can_be_converted(std::string_view from, std::string_view to) {
  if (to == "json" || from == "text" || from == "path" || from == "json") return true;
  return from == to || (from == "int" && (to == "float" || to == "seed"));
}

bool has_extra_outputs(const Node& node) {
  return node.type.node != nullptr && node.type.node->has(WEFT_NODE_EXTRA_OUTPUTS);
}

}  // namespace

uint32_t FileParser::offset_in(JsonId string, uint32_t offset) const {
  const JsonNode& node = tree_[string];
  const bool escaped =
      node.end - node.begin != node.text.size() + 2;  // then bytes of the file and the text differ
  return escaped ? node.begin : node.begin + 1 + offset;
}

std::optional<FileParser::Port> FileParser::resolve_input(std::string_view name, JsonId at, uint32_t offset) {
  const auto found = input_index_.find(name);
  if (found == input_index_.end()) {
    report_.error_at(
        at, offset,
        {"the pipeline has no input " + in_quotes(name), {}, report_.nearest(name, input_names_), {}});
    return std::nullopt;
  }
  input_used_[found->second] = 1;
  const PipelineInput& input = graph_.inputs[found->second];
  if (input.type.empty()) return std::nullopt;
  return Port{{-1, found->second}, input.type};
}

std::optional<uint32_t> FileParser::find_output(const Draft& draft, std::string_view name) {
  if (const auto extra = draft.extra_outputs.find(std::string(name)); extra != draft.extra_outputs.end())
    return extra->second;
  const std::vector<std::string>& names = draft.node.output_names;
  const auto end = names.end() - static_cast<ptrdiff_t>(draft.extra_outputs.size());
  const auto found = std::find(names.begin(), end, name);
  if (found == end) return std::nullopt;
  return static_cast<uint32_t>(found - names.begin());
}

// A node with outputs of any name has those that something refers to.
std::optional<uint32_t> FileParser::add_extra_output(Draft& draft, std::string_view name) {
  Node& node = draft.node;
  if (!has_extra_outputs(node) || !is_pipeline_name(name)) return std::nullopt;
  const auto output = static_cast<uint32_t>(node.output_names.size());
  draft.extra_outputs.emplace(name, output);
  node.output_names.emplace_back(name);
  const bool is_list = tree_.find(draft.id, "for_each") != kNoJson;
  const std::string type = kExtraOutputType;
  node.output_types.push_back(is_list ? "list<" + type + ">" : type);
  return output;
}

// consumer: the node that refers; its for_each, once known, makes the list mean an element. Null for outputs and models.
std::optional<FileParser::Port> FileParser::resolve(std::string_view reference, JsonId at, uint32_t offset,
                                                    const Node* consumer) {
  const size_t dot = reference.find('.');
  const std::string_view name = reference.substr(0, dot);
  const auto found = node_index_.find(name);
  Draft* producer = found != node_index_.end() ? &drafts_[found->second] : nullptr;
  if (reference.find("${") != std::string_view::npos) {
    report_.error_at(at, offset,
                     {in_quotes(reference) + " is a template",
                      "\"node.port\" or \"inputs.name\"",
                      {},
                      "templates stand in \"with\""});
    return std::nullopt;
  }
  if (dot == std::string_view::npos) {
    const bool single = producer != nullptr && producer->complete && producer->node.output_names.size() == 1;
    const bool input = input_index_.contains(name);
    report_.error_at(at, offset,
                     {in_quotes(reference) + " names no port",
                      "\"node.port\" or \"inputs.name\"",
                      single  ? std::string(name) + "." + producer->node.output_names[0]
                      : input ? "inputs." + std::string(name)
                              : std::string(),
                      {}});
    return std::nullopt;
  }
  const std::string_view port = reference.substr(dot + 1);
  std::optional<Port> result;
  if (name == "inputs") {
    result = resolve_input(port, at, offset);
    if (!result) return std::nullopt;
  } else {
    if (producer == nullptr) {
      std::string nearest = report_.nearest(name, node_names_);
      if (nearest.empty()) nearest = report_.nearest(name, {"inputs"});
      if (!nearest.empty()) nearest += "." + std::string(port);
      report_.error_at(at, offset, {"unknown node " + in_quotes(name), {}, nearest, {}});
      return std::nullopt;
    }
    if (!producer->complete) return std::nullopt;
    const Node& node = producer->node;
    std::optional<uint32_t> output = find_output(*producer, port);
    if (!output) output = add_extra_output(*producer, port);
    if (!output) {
      std::string known;
      for (const std::string& one : node.output_names) known += (known.empty() ? "" : ", ") + one;
      report_.error_at(
          at, offset,
          {in_quotes(name) + " (" + node.uses + ") has no output " + in_quotes(port),
           known.empty() ? "nothing: it has no outputs" : known, report_.nearest(port, node.output_names),
           has_extra_outputs(node)
               ? "a further output has a name of letters, digits, '_' and '-', as nodes have"
               : std::string()});
      return std::nullopt;
    }
    if (node.output_types[*output].empty()) {
      report_.error_at(at, offset,
                       {in_quotes(reference) + " would be a list of lists",
                        {},
                        {},
                        in_quotes(name) + " runs for_each, and this output is already a list"});
      return std::nullopt;
    }
    result = Port{{static_cast<int32_t>(found->second), *output}, node.output_types[*output]};
  }
  if (consumer != nullptr && consumer->for_each == result->source)
    result->type = list_element_type(result->type);
  return result;
}

std::optional<std::vector<TextPiece>> FileParser::pieces_of(JsonId value) {
  uint32_t unclosed = 0;
  std::optional<std::vector<TextPiece>> pieces = split_text(tree_[value].text, unclosed);
  if (!pieces) {
    report_.error_at(value, offset_in(value, unclosed),
                     {"a ${ without its }", {}, {}, "write $${ for the characters ${ themselves"});
  }
  return pieces;
}

std::optional<FileParser::Port> FileParser::resolve_piece(JsonId value, const TextPiece& piece,
                                                          const LiteralPlace& place) {
  const uint32_t offset = offset_in(value, piece.offset);
  const std::optional<Port> port = resolve(piece.text, value, offset, place.node);
  if (!port) return std::nullopt;
  const bool element = place.node != nullptr && place.node->for_each == port->source;
  if (place.allowed == Allowed::kInputs && (port->source.node >= 0 || element)) {
    report_.error_at(value, offset,
                     {place.what + " must be known before the run, and ${" + piece.text + "} is not",
                      {},
                      {},
                      "refer to an input of the pipeline"});
    return std::nullopt;
  }
  if (!can_be_inserted(port->type)) {
    const bool list = !list_element_type(port->type).empty();
    report_.error_at(
        value, offset,
        {"${" + piece.text + "} is of type " + port->type + " and cannot stand in a text",
         "text, path, json, bool, int or float",
         {},
         list ? "\"for_each\": \"" + piece.text + "\" runs the node once per element" : std::string()});
    return std::nullopt;
  }
  if (place.allowed == Allowed::kInputs) graph_.inputs[port->source.port].needed_before_run = true;
  return port;
}

bool FileParser::check_value(JsonId value, const std::string& json, const LiteralPlace& place) {
  const Result<ParameterValue> checked = parse_parameter(json, place.parameter);
  if (checked.ok()) return true;
  Mistake mistake{place.what + " is " + checked.error().got, checked.error().expected, {}, {}};
  if (place.parameter.type == "choice" && tree_.kind(value) == JsonKind::kString) {
    mistake.nearest = report_.nearest(tree_[value].text, place.parameter.choices);
  }
  report_.error(value, std::move(mistake));
  return false;
}

std::optional<Literal> FileParser::parse_literal(JsonId value, const LiteralPlace& place) {
  switch (tree_.kind(value)) {
    case JsonKind::kString: return parse_text(value, place);
    case JsonKind::kArray:
    case JsonKind::kObject: return parse_nested(value, place);
    default: break;
  }
  std::string json = tree_.compact(value);
  if (!check_value(value, json, place)) return std::nullopt;
  return json;
}

std::optional<Literal> FileParser::parse_text(JsonId value, const LiteralPlace& place) {
  const std::optional<std::vector<TextPiece>> pieces = pieces_of(value);
  if (!pieces) return std::nullopt;
  TemplateText text;
  std::string fixed, reference_type;
  bool ok = true;
  size_t n_references = 0;
  for (const TextPiece& piece : *pieces) {
    if (piece.kind == TextPiece::Kind::kFixed) {
      fixed += piece.text;
      text.parts.emplace_back(piece.text);
      continue;
    }
    ++n_references;
    const std::optional<Port> port = resolve_piece(value, piece, place);
    ok = ok && port.has_value();
    if (!port) continue;
    reference_type = port->type;
    text.parts.emplace_back(port->source);
  }
  if (!ok) return std::nullopt;
  if (n_references == 0) {
    std::string json = json_string(fixed);
    if (!check_value(value, json, place)) return std::nullopt;
    return json;
  }
  const std::string& type = place.parameter.type;
  const bool whole = text.parts.size() == 1;
  const bool text_in_json =
      type == "json" && (!whole || reference_type == "text" || reference_type == "path");
  if (is_text_like(type) || text_in_json) return text;
  if (!whole) {
    report_.error(value, {place.what + " mixes text and references",
                          expected_value(place.parameter),
                          {},
                          "only one reference that is the whole text can become of type " + type});
    return std::nullopt;
  }
  if (!can_be_converted(reference_type, type)) {
    report_.error(value, {place.what + " is of type " + type + ", the reference of type " + reference_type,
                          expected_value(place.parameter),
                          {},
                          {}});
    return std::nullopt;
  }
  text.form = TemplateText::Form::kValue;
  return text;
}

std::optional<Literal> FileParser::parse_nested(JsonId value, const LiteralPlace& place) {
  TemplateText text;
  text.form = TemplateText::Form::kJson;
  std::string without;  // the same JSON with nothing inserted, to check its type
  if (!append_json(value, place, text, without) || !check_value(value, without, place)) return std::nullopt;
  const bool constant = text.parts.size() == 1;  // it begins with a bracket, so the first part is fixed
  if (constant) return std::get<std::string>(text.parts[0]);
  return text;
}

bool FileParser::append_json(JsonId value, const LiteralPlace& place, TemplateText& text,
                             std::string& without) {
  const auto append = [&](const std::string& piece) {
    without += piece;
    if (text.parts.empty() || !std::holds_alternative<std::string>(text.parts.back()))
      text.parts.emplace_back(piece);
    else std::get<std::string>(text.parts.back()) += piece;
  };
  const JsonKind kind = tree_.kind(value);
  if (kind == JsonKind::kString) {
    append("\"");
    const bool ok = append_string(value, place, text, without);
    append("\"");
    return ok;
  }
  if (kind != JsonKind::kArray && kind != JsonKind::kObject) {
    append(tree_.compact(value));
    return true;
  }
  const bool object = kind == JsonKind::kObject;
  bool ok = true, first = true;
  append(object ? "{" : "[");
  for (JsonId child : members(value)) {
    if (!std::exchange(first, false)) append(",");
    if (object) append(json_string(tree_[child].key) + ":");
    ok = append_json(child, place, text, without) && ok;
  }
  append(object ? "}" : "]");
  return ok;
}

bool FileParser::append_string(JsonId value, const LiteralPlace& place, TemplateText& text,
                               std::string& without) {
  const std::optional<std::vector<TextPiece>> pieces = pieces_of(value);
  if (!pieces) return false;
  bool ok = true;
  for (const TextPiece& piece : *pieces) {
    if (piece.kind == TextPiece::Kind::kReference) {
      const std::optional<Port> port = resolve_piece(value, piece, place);
      ok = ok && port.has_value();
      if (port) text.parts.emplace_back(port->source);
      continue;
    }
    const std::string json = json_string(piece.text);
    const std::string inner = json.substr(1, json.size() - 2);
    without += inner;
    if (std::holds_alternative<std::string>(text.parts.back()))
      std::get<std::string>(text.parts.back()) += inner;
    else text.parts.emplace_back(inner);
  }
  return ok;
}

}  // namespace weft
