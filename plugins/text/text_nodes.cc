#include "plugins/text/text_nodes.h"

#include <weft/sdk/owned.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "modalities/unicode/utf8.h"

namespace weft::text {
namespace {

constexpr int64_t kLargestFile = int64_t{1} << 30;

Status io_error(const std::string& what, const std::string& path) {
  return Status(StatusCode::kIoError, what + ": " + std::strerror(errno)).at(path);
}

Result<std::string> read_file(const std::string& path) {
  const Owned<std::FILE, std::fclose> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return io_error("the file cannot be opened", path);
  std::string bytes;
  char block[1 << 16];
  while (const size_t size = std::fread(block, 1, sizeof block, file.get())) {
    bytes.append(block, size);
    if (static_cast<int64_t>(bytes.size()) > kLargestFile) {
      return Status(StatusCode::kOutOfRange, "the file is too large for a text")
          .at(path)
          .expected("at most " + std::to_string(kLargestFile) + " bytes");
    }
  }
  if (std::ferror(file.get()) != 0) return io_error("the file cannot be read", path);
  return bytes;
}

/// Where the first byte stands that is not part of valid UTF-8; text.size() if all is.
size_t valid_utf8_bytes(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.state != Utf8::kValid) break;
    at += step.size;
  }
  return at;
}

nlohmann::json to_json(const sdk::Value& value) {
  switch (value.kind()) {
    case WEFT_KIND_BOOL: return value.as_bool();
    case WEFT_KIND_INT: return value.as_int();
    case WEFT_KIND_FLOAT: return value.as_float();
    case WEFT_KIND_BYTES:
      if (value.type() == "json") return nlohmann::json::parse(value.as_text(), nullptr, false);
      return value.as_text();
    case WEFT_KIND_LIST: {
      nlohmann::json list = nlohmann::json::array();
      for (size_t i = 0; i < value.size(); ++i) list.push_back(to_json(value.item(i)));
      return list;
    }
    default: return nullptr;
  }
}

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;
constexpr weft_port kTextOutput[] = {sdk::port("text", "text", "The text.")};
constexpr weft_port kSaveInputs[] = {sdk::port("text", "text", "What to write.")};
constexpr weft_port kSaveOutputs[] = {sdk::port("path", "path", "Where the file is.")};
constexpr weft_parameter kLoadParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "A UTF-8 file; relative paths start at the pipeline's folder.",
                    .flags = kPerRequest})};
constexpr weft_parameter kSaveParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "Below the output folder; folders are made as needed.",
                    .flags = kPerRequest})};
constexpr weft_parameter kTemplateParameters[] = {sdk::parameter(
    {.name = "template", .type = "text", .help = "Text with {{name}} for each input; {{{{ writes {{."})};

}  // namespace

Status LoadNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(WEFT_UNBOUNDED));
  return {};
}

Status LoadNode::run(sdk::Request& request, const sdk::Execution&) {
  Result<std::string> path = request.resolve_input(std::string(request.parameters().get_text("path")));
  if (!path.ok()) return path.status();
  Result<std::string> text = read_file(*path);
  if (!text.ok()) return text.status();
  if (const size_t valid = valid_utf8_bytes(*text); valid != text->size()) {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned char>((*text)[valid]));
    return Status(StatusCode::kCorruptData, "the file is not UTF-8 text")
        .at(*path + ", offset " + std::to_string(valid))
        .got(std::string("byte ") + byte)
        .hint("convert it first, for example with iconv -t UTF-8");
  }
  return request.set_output(0, request.host().make_text(*text));
}

Status SaveNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  return {};
}

Status SaveNode::run(sdk::Request& request, const sdk::Execution&) {
  const sdk::Value text = request.input(0);
  return request.set_output(0, request.save(request.parameters().get_text("path"), text.as_text()));
}

Result<std::unique_ptr<TemplateNode>> TemplateNode::create(const sdk::NodeConfig& config) {
  auto node = std::make_unique<TemplateNode>();
  const std::string_view source = config.parameters().get_text("template");
  std::string literal;
  const auto error = [&](size_t offset, const std::string& message) {
    const auto line = 1 + std::count(source.begin(), source.begin() + offset, '\n');
    return Status(StatusCode::kInvalidArgument, message)
        .at("parameter 'template', line " + std::to_string(line));
  };
  for (size_t i = 0; i < source.size();) {
    if (source.substr(i, 4) == "{{{{") {
      literal += "{{";
      i += 4;
      continue;
    }
    if (source.substr(i, 2) != "{{") {
      literal += source[i++];
      continue;
    }
    const size_t end = source.find("}}", i);
    if (end == std::string_view::npos) return error(i, "a {{ has no }}").hint("write {{{{ for a literal {{");
    std::string_view name = source.substr(i + 2, end - i - 2);
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    size_t input = 0;
    std::string known;
    for (; input < config.n_inputs() && config.input_name(input) != name; ++input) {
      known += (known.empty() ? "" : ", ") + std::string(config.input_name(input));
    }
    if (input == config.n_inputs()) {
      return error(i, "the template names an input that the node does not have")
          .expected(known.empty() ? "inputs under \"in\"" : "one of " + known)
          .got(std::string(name));
    }
    node->parts_.emplace_back(std::exchange(literal, {}));
    node->parts_.emplace_back(input);
    i = end + 2;
  }
  node->parts_.emplace_back(std::move(literal));
  return node;
}

Status TemplateNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  int64_t bytes = 0;
  for (const Part& part : parts_) {
    if (const auto* text = std::get_if<std::string>(&part)) {
      bytes += static_cast<int64_t>(text->size());
      continue;
    }
    const weft_spec& spec = inputs[std::get<size_t>(part)];
    const bool scalar =
        spec.kind == WEFT_KIND_BOOL || spec.kind == WEFT_KIND_INT || spec.kind == WEFT_KIND_FLOAT;
    const bool bounded = scalar || (spec.kind == WEFT_KIND_BYTES && spec.max_bytes != WEFT_UNBOUNDED);
    if (!bounded) {
      plan.set_output(0, sdk::bytes_spec(WEFT_UNBOUNDED));
      return {};
    }
    bytes += scalar ? 32 : spec.max_bytes;
  }
  plan.set_output(0, sdk::bytes_spec(bytes));
  return {};
}

Status TemplateNode::run(sdk::Request& request, const sdk::Execution&) {
  std::string text;
  for (const Part& part : parts_) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      text += *literal;
      continue;
    }
    const sdk::Value value = request.input(std::get<size_t>(part));
    if (!value) continue;  // its producer was skipped
    if (value.kind() == WEFT_KIND_TENSOR) {
      return Status(StatusCode::kInvalidArgument, "a tensor cannot be written into a text");
    }
    if (value.kind() == WEFT_KIND_BYTES) {
      text += value.as_text();
    } else {
      text += to_json(value).dump();
    }
  }
  return request.set_output(0, request.host().make_text(text));
}

constexpr weft_node_type kLoadNode = sdk::node<LoadNode>({.name = "text.load",
                                                          .help = "Reads a UTF-8 file.",
                                                          .flags = WEFT_NODE_READS_FILES,
                                                          .outputs = kTextOutput,
                                                          .parameters = kLoadParameters});
constexpr weft_node_type kSaveNode = sdk::node<SaveNode>({.name = "text.save",
                                                          .help = "Writes a text into the output folder.",
                                                          .flags = WEFT_NODE_WRITES_FILES,
                                                          .inputs = kSaveInputs,
                                                          .outputs = kSaveOutputs,
                                                          .parameters = kSaveParameters});
constexpr weft_node_type kTemplateNode =
    sdk::node<TemplateNode>({.name = "text.template",
                             .help = "Fills a template from any named inputs.",
                             .flags = WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS,
                             .outputs = kTextOutput,
                             .parameters = kTemplateParameters});

}  // namespace weft::text
