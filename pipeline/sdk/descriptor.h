/// Writing a descriptor: constants, made at compile time from named fields.
///
/// Everything given here must have static lifetime: string literals and constexpr arrays at namespace scope.
///
///   constexpr weft_port kInputs[] = {port("text", "text", "What to shout.")};
///   constexpr weft_parameter kParameters[] = {
///       parameter({.name = "marks", .type = "int", .default_json = "1", .minimum = 0, .maximum = 9, .help = "..."})};
///   constexpr weft_node_type kNodes[] = {node<Shout>(
///       {.name = "template.shout", .help = "...", .flags = WEFT_NODE_PURE, .inputs = kInputs, .outputs = kOutputs,
///        .parameters = kParameters})};
///   constexpr weft_plugin kPlugin = plugin({.name = "template", .version = "0.1.0", .license = "Apache-2.0",
///                                           .help = "...", .nodes = kNodes});
#ifndef WEFT_SDK_DESCRIPTOR_H
#define WEFT_SDK_DESCRIPTOR_H

#include <weft/abi/plugin.h>
#include <weft/sdk/model.h>
#include <weft/sdk/node.h>

#include <array>
#include <limits>
#include <span>

namespace weft::sdk {

/// A port that must be connected (inputs) or is always set (outputs).
constexpr weft_port port(const char* name, const char* type, const char* help) {
  return {sizeof(weft_port), 0, name, type, help};
}
/// A port that may stay without a value.
constexpr weft_port optional_port(const char* name, const char* type, const char* help) {
  return {sizeof(weft_port), WEFT_PORT_OPTIONAL, name, type, help};
}

struct ParameterFields {
  const char* name = nullptr;
  const char* type = nullptr;          // see weft_parameter
  const char* default_json = nullptr;  // JSON text: "1", "\"a text\""; none: the user must give it
  double minimum = -std::numeric_limits<double>::infinity();  // inclusive
  double maximum = std::numeric_limits<double>::infinity();
  const char* const* choices = nullptr;  // NULL-terminated
  const char* unit = "";
  const char* help = nullptr;
  uint32_t flags = 0;  // WEFT_PARAMETER_PER_REQUEST, WEFT_PARAMETER_OPTIONAL
};
constexpr weft_parameter parameter(const ParameterFields& fields) {
  return {sizeof(weft_parameter), fields.flags,   fields.name,    fields.type, fields.default_json,
          fields.minimum,         fields.maximum, fields.choices, fields.unit, fields.help};
}
/// The parameters of several tables in one, for node types that share some.
template <size_t... kSizes>
constexpr auto joined(const weft_parameter (&... parts)[kSizes]) {
  std::array<weft_parameter, (kSizes + ...)> all{};
  size_t next = 0;
  const auto append = [&](const auto& part) {
    for (const weft_parameter& item : part) all[next++] = item;
  };
  (append(parts), ...);
  return all;
}

struct NodeFields {
  const char* name = nullptr;
  const char* help = nullptr;
  uint32_t version = 1;  // raise it when results change
  uint32_t flags = 0;    // WEFT_NODE_*
  std::span<const weft_port> inputs = {};
  std::span<const weft_port> outputs = {};
  std::span<const weft_parameter> parameters = {};
};
/// T: see node.h.
template <typename T>
constexpr weft_node_type node(const NodeFields& fields) {
  return {sizeof(weft_node_type),
          fields.version,
          fields.flags,
          0,
          fields.name,
          fields.help,
          fields.inputs.data(),
          fields.inputs.size(),
          fields.outputs.data(),
          fields.outputs.size(),
          fields.parameters.data(),
          fields.parameters.size(),
          &NodeFunctions<T>::kApi};
}

struct ModelFields {
  const char* name = nullptr;
  const char* help = nullptr;
  uint32_t version = 1;
  std::span<const weft_parameter> parameters = {};
};
/// T: see model.h.
template <typename T>
constexpr weft_model_type model(const ModelFields& fields) {
  using Functions = ModelFunctions<T>;
  weft_model_type type = {
      sizeof(weft_model_type),  fields.version,           fields.name,       fields.help,
      fields.parameters.data(), fields.parameters.size(), &Functions::open,  &Functions::estimate,
      &Functions::load,         &Functions::evict,        &Functions::close, nullptr};
  if constexpr (requires(T & model, uint64_t bytes) { model.offload(bytes); })
    type.offload = &Functions::offload;
  return type;
}

struct PluginFields {
  const char* name = nullptr;
  const char* version = nullptr;  // "0.1.0"
  const char* license = nullptr;  // SPDX expression
  const char* help = nullptr;
  std::span<const weft_node_type> nodes = {};
  std::span<const weft_model_type> models = {};
  const char* const* extensions = nullptr;  // ids that it cannot do without; NULL-terminated
};
constexpr weft_plugin plugin(const PluginFields& fields) {
  return {sizeof(weft_plugin),  WEFT_ABI_VERSION,     fields.name,         fields.version,
          fields.license,       fields.help,          fields.nodes.data(), fields.nodes.size(),
          fields.models.data(), fields.models.size(), fields.extensions};
}

}  // namespace weft::sdk
#endif
