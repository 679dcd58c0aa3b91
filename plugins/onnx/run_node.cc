#include "plugins/onnx/run_node.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

namespace weft::onnx {
namespace {

constexpr weft_port kOutputs[] = {sdk::port("output", "tensor",
                                            "The model's output of this name, or its first. The others have "
                                            "the names that the model gives them.")};
constexpr weft_parameter kParameters[] = {
    sdk::parameter({.name = "model", .type = "model", .choices = kNetworkModels, .help = "The ONNX model."}),
    sdk::parameter(
        {.name = "image_white",
         .type = "float",
         .default_json = "1",
         .help =
             "For inputs that get pictures: what white becomes before the mean is taken off: 1, or 255."}),
    sdk::parameter({.name = "image_mean",
                    .type = "list<float>",
                    .default_json = "[0]",
                    .help = "What is taken off: one number, or one a channel, in the model's order."}),
    sdk::parameter({.name = "image_deviation",
                    .type = "list<float>",
                    .default_json = "[1]",
                    .help = "What is then divided by: one number, or one a channel."}),
    sdk::parameter({.name = "image_bgr",
                    .type = "bool",
                    .default_json = "false",
                    .help = "The model wants blue first, then green, then red."})};

Status read_channels(const sdk::Parameters& parameters, const char* name, std::array<double, 3>* channels) {
  const auto numbers = nlohmann::json::parse(parameters.get_text(name), nullptr, false);
  if (!numbers.is_array() || (numbers.size() != 1 && numbers.size() != 3))
    return Status(StatusCode::kInvalidArgument, "a list of the wrong length")
        .at(std::string("parameter '") + name + "'")
        .expected("1 or 3 numbers")
        .got(std::to_string(numbers.size()));
  for (size_t c = 0; c < 3; ++c) (*channels)[c] = numbers[numbers.size() == 1 ? 0 : c].get<double>();
  return {};
}

Result<PictureValues> read_picture_values(const sdk::Parameters& parameters) {
  PictureValues values;
  values.white = parameters.get_float("image_white");
  values.is_bgr = parameters.get_bool("image_bgr");
  Status status = read_channels(parameters, "image_mean", &values.mean);
  if (status.ok()) status = read_channels(parameters, "image_deviation", &values.deviation);
  if (!status.ok()) return status;
  for (const double deviation : values.deviation)
    if (deviation == 0)
      return Status(StatusCode::kInvalidArgument, "a division by zero")
          .at("parameter 'image_deviation'")
          .expected("numbers other than 0");
  return values;
}

/// Bounds of the extents that the model names, from those of the inputs: the largest that a symbol could be. A picture comes as
/// NHWC whatever the model's order is, and its bounds do not say that it is one.
class SymbolBounds {
 public:
  void add(const NetworkPort& port, const weft_spec& spec) {
    if (spec.kind != WEFT_KIND_TENSOR || !port.has_rank ||
        static_cast<size_t>(spec.rank) != port.dimensions.size())
      return unknown(port);
    const std::optional<PictureLayout> layout = picture_layout(port);
    for (size_t axis = 0; axis < port.dimensions.size(); ++axis) {
      note(port.dimensions[axis], spec.shape[axis]);
      constexpr size_t kFromNhwc[] = {0, 3, 1, 2};
      if (layout && layout->is_nchw) note(port.dimensions[axis], spec.shape[kFromNhwc[axis]]);
    }
  }
  int64_t bound(const OnnxDimension& dimension) const {
    if (dimension.extent >= 0) return dimension.extent;
    const auto found = bounds_.find(dimension.symbol);
    return dimension.symbol.empty() || found == bounds_.end() ? WEFT_UNBOUNDED : found->second;
  }

 private:
  void unknown(const NetworkPort& port) {
    for (const OnnxDimension& dimension : port.dimensions) note(dimension, WEFT_UNBOUNDED);
  }
  void note(const OnnxDimension& dimension, int64_t extent) {
    if (dimension.extent >= 0 || dimension.symbol.empty()) return;
    const auto [known, is_new] = bounds_.emplace(dimension.symbol, extent);
    if (is_new) return;
    known->second = known->second == WEFT_UNBOUNDED || extent == WEFT_UNBOUNDED
                        ? WEFT_UNBOUNDED
                        : std::max(known->second, extent);
  }

  std::map<std::string, int64_t> bounds_;
};

}  // namespace

Result<std::unique_ptr<RunNode>> RunNode::create(const sdk::NodeConfig& config) {
  auto node = std::make_unique<RunNode>(config);
  Result<PictureValues> values = read_picture_values(config.parameters());
  Status status = values.status();
  if (status.ok()) status = node->connect(config);
  if (!status.ok()) return status;
  node->picture_values_ = *values;
  return node;
}

RunNode::RunNode(const sdk::NodeConfig& config)
    : host_(config.host()), network_(*config.model<Network>("model")) {}

Status RunNode::connect(const sdk::NodeConfig& config) {
  const std::span<const NetworkPort> inputs = network_.inputs();
  constexpr size_t kNone = SIZE_MAX;
  port_of_input_.assign(inputs.size(), kNone);
  for (size_t port = 0; port < config.n_inputs(); ++port) {
    const std::optional<size_t> input = find_port(inputs, config.input_name(port));
    if (!input) return no_such_port(inputs, "input", config.input_name(port));
    port_of_input_[*input] = port;
  }
  for (size_t input = 0; input < inputs.size(); ++input)
    if (port_of_input_[input] == kNone)
      return Status(StatusCode::kInvalidArgument, "an input of the model has no link")
          .at("input '" + inputs[input].name + "'")
          .expected(to_string(inputs[input]))
          .hint("\"in\": { \"" + inputs[input].name + "\": \"node.port\" }");
  return connect_outputs(config);
}

Status RunNode::connect_outputs(const sdk::NodeConfig& config) {
  const std::span<const NetworkPort> outputs = network_.outputs();
  output_of_port_.push_back(find_port(outputs, kOutputs[0].name).value_or(0));
  for (size_t port = std::size(kOutputs); port < config.n_outputs(); ++port) {
    const std::optional<size_t> output = find_port(outputs, config.output_name(port));
    if (!output) return no_such_port(outputs, "output", config.output_name(port));
    output_of_port_.push_back(*output);
  }
  wanted_ = output_of_port_;
  std::sort(wanted_.begin(), wanted_.end());
  wanted_.erase(std::unique(wanted_.begin(), wanted_.end()), wanted_.end());
  return {};
}

Status RunNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  SymbolBounds symbols;
  for (size_t input = 0; input < port_of_input_.size(); ++input)
    symbols.add(network_.inputs()[input], inputs[port_of_input_[input]]);
  for (size_t port = 0; port < output_of_port_.size(); ++port) {
    const NetworkPort& output = network_.outputs()[output_of_port_[port]];
    if (!output.has_rank) continue;
    std::vector<int64_t> bounds;
    for (const OnnxDimension& dimension : output.dimensions) bounds.push_back(symbols.bound(dimension));
    plan.set_output(port, sdk::tensor_spec(output.dtype, bounds));
  }
  return {};
}

Status RunNode::run(sdk::Request& request, const sdk::Execution& execution) {
  std::vector<InputTensor> inputs;
  std::vector<weft_tensor> views;
  for (size_t input = 0; input < port_of_input_.size(); ++input) {
    Result<InputTensor> made = make_input(host_, request.input(port_of_input_[input]),
                                          network_.inputs()[input], picture_values_, execution.stream());
    if (!made.ok()) return made.status();
    views.push_back(made->view);
    inputs.push_back(*std::move(made));
  }
  if (Status status = check_shapes(network_.inputs(), views); !status.ok()) return status;
  return network_.session().run(
      views, wanted_,
      [&](size_t i, const weft_tensor& made) { return take_output(request, execution, wanted_[i], made); },
      [&] { return request.cancelled(); });
}

// Sets every port that has this output of the model.
Status RunNode::take_output(sdk::Request& request, const sdk::Execution& execution, size_t output,
                            const weft_tensor& made) const {
  const NetworkPort& described = network_.outputs()[output];
  if (made.dtype != described.dtype)
    return Status(StatusCode::kCorruptData, "the model makes other elements than its file says")
        .at("output '" + described.name + "'")
        .expected(to_string(described))
        .got(to_string(made));
  Result<sdk::NewTensor> tensor = host_.allocate_tensor(
      made.dtype, {made.shape, static_cast<size_t>(made.rank)}, execution.stream(), "onnx output");
  if (!tensor.ok()) return tensor.status();
  if (const int64_t count = sdk::element_count(made); count > 0)
    std::memcpy(tensor->view.data, made.data,
                static_cast<size_t>(count * sdk::element_size_bytes(made.dtype)));
  const Result<sdk::Value> value = host_.make_tensor(tensor->buffer, tensor->view);
  Status status;
  for (size_t port = 0; port < output_of_port_.size() && status.ok(); ++port)
    if (output_of_port_[port] == output) status = request.set_output(port, value);
  if (status.code() != StatusCode::kOutOfRange) return status;
  return Status(StatusCode::kCorruptData, "the model makes another shape than its file says")
      .at("output '" + described.name + "'")
      .expected(to_string(described))
      .got(to_string(made));
}

const weft_node_type kRunNode = sdk::node<RunNode>(
    {.name = "onnx.run",
     .help = "Runs an ONNX model. Links in \"in\" have the names of its inputs, references to "
             "its outputs the names of those, with '_' for other characters than letters, "
             "digits, '_' and '-'.",
     .flags = WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS | WEFT_NODE_EXTRA_OUTPUTS,
     .outputs = kOutputs,
     .parameters = kParameters});

}  // namespace weft::onnx
