#include "pipeline/graph/testing/example_catalog.h"

#include <cmath>
#include <utility>

namespace weft {
namespace {

PortDescriptor port(std::string name, std::string type) {
  return {std::move(name), std::move(type), "a port", false};
}
PortDescriptor optional_port(std::string name, std::string type) {
  return {std::move(name), std::move(type), "a port", true};
}

ParameterDescriptor parameter(std::string name, std::string type,
                              std::optional<std::string> default_json = {}) {
  ParameterDescriptor result;
  result.name = std::move(name);
  result.type = std::move(type);
  result.default_json = std::move(default_json);
  result.minimum = -INFINITY;
  result.maximum = INFINITY;
  result.help = "a parameter";
  return result;
}

ParameterDescriptor number(std::string name, std::string type, std::string default_json, double minimum,
                           double maximum, std::string unit = "") {
  ParameterDescriptor result = parameter(std::move(name), std::move(type), std::move(default_json));
  result.minimum = minimum;
  result.maximum = maximum;
  result.unit = std::move(unit);
  return result;
}

ParameterDescriptor choice(std::string name, std::string default_json, std::vector<std::string> choices) {
  ParameterDescriptor result = parameter(std::move(name), "choice", std::move(default_json));
  result.choices = std::move(choices);
  return result;
}

ParameterDescriptor model(std::vector<std::string> types) {
  ParameterDescriptor result = parameter("model", "model");
  result.choices = std::move(types);
  return result;
}

ParameterDescriptor per_request(ParameterDescriptor parameter) {
  parameter.per_request = true;
  return parameter;
}
ParameterDescriptor optional(ParameterDescriptor parameter) {
  parameter.optional = true;
  return parameter;
}

NodeTypeDescriptor node(std::string name, uint32_t flags, std::vector<PortDescriptor> inputs,
                        std::vector<PortDescriptor> outputs, std::vector<ParameterDescriptor> parameters) {
  return {std::move(name),      1, flags, "what it does", std::move(inputs), std::move(outputs),
          std::move(parameters)};
}

PluginDescriptor plugin(std::string name) {
  PluginDescriptor result;
  result.path = "/plugins/" + name + ".so";
  result.name = std::move(name);
  result.version = "0.1.0";
  result.license = "Apache-2.0";
  result.help = "made up";
  result.abi_version = WEFT_ABI_VERSION;
  return result;
}

PluginDescriptor text_plugin() {
  PluginDescriptor result = plugin("text");
  result.models = {{"text.language_model",
                    1,
                    "a language model",
                    {number("n_ctx", "int", "2048", 1, 1 << 20, "tokens"),
                     choice("kv_type", "\"f16\"", {"f16", "f32"}), optional(parameter("adapter", "path"))}}};
  result.nodes = {
      node("text.load", WEFT_NODE_READS_FILES, {}, {port("text", "text")}, {parameter("path", "path")}),
      node("text.split", WEFT_NODE_PURE, {port("text", "text")},
           {port("parts", "list<text>"), port("count", "int")}, {parameter("separator", "text", "\" \"")}),
      node("text.join", WEFT_NODE_PURE, {port("parts", "list<text>")}, {port("text", "text")}, {}),
      node(
          "text.generate", WEFT_NODE_PURE,
          {optional_port("prompt", "text"), optional_port("context", "list<text>")},
          {port("text", "text"), port("tokens", "int"), port("finish_reason", "text")},
          {model({"text.language_model"}), number("max_tokens", "int", "256", 1, 1 << 20, "tokens"),
           number("temperature", "float", "0.8", 0, 100), parameter("seed", "seed"),
           choice("too_long", "\"error\"", {"error", "left", "middle"}),
           parameter("stop", "list<text>", "[]"), optional(per_request(parameter("schema", "json"))),
           optional(per_request(number("bias", "int", "0", -9, 9))), parameter("logprobs", "bool", "false")}),
      node("text.choose", WEFT_NODE_PURE, {port("prompt", "text")},
           {port("choice", "text"), port("sure", "bool"), port("scores", "json")},
           {model({"text.language_model"}), per_request(parameter("options", "list<text>"))}),
      node("text.template", WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS, {}, {port("text", "text")},
           {parameter("template", "text")}),
      node("text.save", WEFT_NODE_WRITES_FILES, {port("text", "text")}, {port("path", "path")},
           {per_request(parameter("path", "path"))})};
  return result;
}

PluginDescriptor image_plugin() {
  PluginDescriptor result = plugin("image");
  result.models = {{"image.diffusion", 1, "a diffusion model", {}},
                   {"image.vision", 1, "a vision model", {}}};
  result.nodes = {
      node("image.generate", WEFT_NODE_PURE, {port("prompt", "text")}, {port("image", "image")},
           {model({"image.diffusion"}), number("steps", "int", "20", 1, 1000), parameter("seed", "seed")}),
      node("image.load", WEFT_NODE_READS_FILES, {port("path", "path")}, {port("image", "image")}, {}),
      node("image.encode", WEFT_NODE_PURE, {port("image", "image")}, {port("latent", "image.latent")},
           {model({"image.diffusion", "image.vision"})}),
      node("image.save", WEFT_NODE_WRITES_FILES, {port("image", "image")}, {port("path", "path")},
           {per_request(parameter("path", "path"))})};
  return result;
}

PluginDescriptor math_plugin() {
  PluginDescriptor result = plugin("math");
  result.nodes = {node("math.scale", WEFT_NODE_PURE, {port("x", "float"), optional_port("by", "float")},
                       {port("y", "float")}, {}),
                  node("math.network", WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS | WEFT_NODE_EXTRA_OUTPUTS, {},
                       {port("seconds", "float")}, {}),
                  node("math.sum", WEFT_NODE_PURE, {port("x", "tensor")}, {port("y", "tensor")}, {}),
                  node("math.sums", WEFT_NODE_PURE, {port("x", "list<tensor>")}, {port("y", "tensor")}, {})};
  return result;
}

}  // namespace

Catalog example_catalog() { return Catalog({text_plugin(), image_plugin(), math_plugin()}, {}); }

}  // namespace weft
