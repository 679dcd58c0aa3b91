#include "plugins/image/control_node.h"

#include <algorithm>
#include <array>

#include "plugins/image/generation_parameters.h"
#include "plugins/image/latent_codec.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

enum Input : size_t { kImage, kControl };
constexpr weft_port kInputs[] = {
    sdk::port("image", "image", "What the network expects: edges, a depth map, a pose; alpha is left out."),
    sdk::optional_port("control", kControlType, "Controls that act beside this one.")};
constexpr weft_port kOutputs[] = {sdk::port("control", kControlType, "For image.generate or image.sample.")};
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    sdk::parameter(
        {.name = "network",
         .type = "text",
         .default_json = "\"\"",
         .help = "Its name in the model's option \"control\"; may be left out if there is only one."}),
    sdk::parameter({.name = "strength",
                    .type = "float",
                    .default_json = "1.0",
                    .minimum = 0,
                    .maximum = 10,
                    .help = "How strongly it acts.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "start",
                    .type = "float",
                    .default_json = "0.0",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "From which share of the steps on it acts.",
                    .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "end",
                    .type = "float",
                    .default_json = "1.0",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "Up to which share of the steps it acts.",
                    .flags = WEFT_PARAMETER_PER_REQUEST})};

Result<Control> control_from(const sdk::Parameters& parameters, const std::string& network) {
  const Control control{network, parameters.get_float("strength"), parameters.get_float("start"),
                        parameters.get_float("end")};
  if (control.start <= control.end) return control;
  return Status(StatusCode::kInvalidArgument, "a control that ends before it starts")
      .at("parameter 'end'")
      .expected("at least start, " + std::to_string(control.start))
      .got(std::to_string(control.end));
}

// The controls that came in stay in front; all act on pictures of one size.
Result<Controls> earlier_controls(const sdk::Request& request, const ImageShape& picture) {
  const sdk::Value value = request.input(kControl);
  if (!value) return Controls{};
  Result<Controls> earlier = controls_of(value);
  if (!earlier.ok() || (earlier->height == picture.height && earlier->width == picture.width)) return earlier;
  return Status(StatusCode::kInvalidShape, "controls of one picture have one size")
      .at("port 'image'")
      .expected(std::to_string(earlier->width) + " x " + std::to_string(earlier->height) + " pixels")
      .got(std::to_string(picture.width) + " x " + std::to_string(picture.height))
      .hint("image.resize makes it fit");
}

}  // namespace

Result<std::unique_ptr<ControlNode>> ControlNode::create(const sdk::NodeConfig& config) {
  auto node = std::make_unique<ControlNode>();
  const Result<const NamedControl*> network = control_network(
      *config.model<DiffusionModel>("model"), std::string(config.parameters().get_text("network")));
  if (!network.ok()) return network.status();
  node->network_ = (*network)->name;
  return node;
}

Status ControlNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const weft_spec picture = picture_spec(inputs[kImage]);
  int64_t controls = 1;
  if (inputs[kControl].kind != 0) {
    const bool known = inputs[kControl].rank == 4 && inputs[kControl].shape[0] != WEFT_UNBOUNDED;
    controls = known ? inputs[kControl].shape[0] + 1 : WEFT_UNBOUNDED;
  }
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, std::array{controls, picture.shape[1], picture.shape[2],
                                                                 kControlChannels}));
  return {};
}

Status ControlNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, kImage, "image");
  if (!picture.ok()) return picture.status();
  const ImageShape& shape = picture->shape();
  if (shape.count != 1) {
    return Status(StatusCode::kInvalidShape, "a control has one picture")
        .at("port 'image'")
        .expected("1 picture")
        .got(std::to_string(shape.count))
        .hint("for_each makes a control of each");
  }
  Result<Control> control = control_from(request.parameters(), network_);
  if (!control.ok()) return control.status();
  Result<Controls> all = earlier_controls(request, shape);
  if (!all.ok()) return all.status();
  all->list.push_back(*std::move(control));
  Result<sdk::NewTensor> made = request.host().allocate_tensor(
      WEFT_DTYPE_F32,
      std::array{static_cast<int64_t>(all->list.size()), shape.height, shape.width, kControlChannels},
      execution.stream(), "control");
  if (!made.ok()) return made.status();
  float* to = std::copy(all->pictures.begin(), all->pictures.end(), made->data<float>());
  const int64_t row = shape.width * kControlChannels;
  Status status = for_each_row(request, shape, [&](int64_t, int64_t y) {
    for (int64_t i = 0; i < row; ++i) {
      const int64_t channel = shape.channels < 3 ? 0 : i % kControlChannels;
      to[y * row + i] = unit_value(picture->view, 0, y, i / kControlChannels, channel);
    }
  });
  if (!status.ok()) return status;
  return request.set_output(0, request.host().make_tensor(made->buffer, made->view, kControlType,
                                                          control_attributes(all->list).c_str()));
}

const weft_node_type kControlNode =
    sdk::node<ControlNode>({.name = "image.control",
                            .help = "Lets a picture steer painting through a control network (ControlNet).",
                            .flags = WEFT_NODE_PURE,
                            .inputs = kInputs,
                            .outputs = kOutputs,
                            .parameters = kParameters});

}  // namespace weft::image
