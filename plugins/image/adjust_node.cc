#include "plugins/image/adjust_node.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "modalities/image/rows.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr weft_port kInputs[] = {sdk::port("image", "image", "The picture, or several of one size.")};
constexpr weft_port kOutputs[] = {sdk::port("image", "image", "Of the same size; alpha stays as it is.")};

constexpr weft_parameter factor(const char* name, double minimum, double maximum, const char* help) {
  return sdk::parameter({.name = name,
                         .type = "float",
                         .default_json = "1",
                         .minimum = minimum,
                         .maximum = maximum,
                         .help = help,
                         .flags = WEFT_PARAMETER_PER_REQUEST});
}
// Applied in this order.
constexpr weft_parameter kParameters[] = {
    factor("brightness", 0, 10, "Multiplies all values: 0 is black, 1 changes nothing."),
    factor("contrast", 0, 10, "Of values to middle gray (0.5): 0 is gray, 1 changes nothing."),
    factor("saturation", 0, 10, "Of colours to their luma: 0 is without colour, 1 changes nothing."),
    factor("gamma", 0.1, 10,
           "Values become value^(1/gamma): above 1 brightens dark parts, 1 changes nothing.")};

struct Adjustment {
  float brightness, contrast, saturation, gamma;

  void apply(float* pixel, int64_t channels) const {
    const int64_t colors = channels == 1 ? 1 : 3;
    for (int64_t c = 0; c < colors; ++c) pixel[c] = (pixel[c] * brightness - 0.5f) * contrast + 0.5f;
    if (colors == 3 && saturation != 1) {
      float luma = 0;
      convert_channels(pixel, 3, &luma, 1, 1);
      for (int64_t c = 0; c < 3; ++c) pixel[c] = luma + (pixel[c] - luma) * saturation;
    }
    if (gamma == 1) return;
    for (int64_t c = 0; c < colors; ++c) pixel[c] = std::pow(std::max(pixel[c], 0.0f), 1 / gamma);
  }
};

}  // namespace

Status AdjustNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan.set_output(0, picture_spec(inputs[0]));
  return {};
}

Status AdjustNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, 0, "image");
  if (!picture.ok()) return picture.status();
  Result<NewPicture> made = new_picture(request, execution, picture->type(), "adjust");
  if (!made.ok()) return made.status();
  const sdk::Parameters parameters = request.parameters();
  const auto value = [&](const char* name) { return static_cast<float>(parameters.get_float(name)); };
  const Adjustment adjustment{value("brightness"), value("contrast"), value("saturation"), value("gamma")};
  const ImageShape& shape = picture->shape();
  Status status = for_each_row(request, shape, [&](int64_t image, int64_t y) {
    thread_local std::vector<float> row;
    row.resize(static_cast<size_t>(shape.width * shape.channels));
    read_row(picture->view, image, y, row.data());
    for (int64_t x = 0; x < shape.width; ++x)
      adjustment.apply(row.data() + x * shape.channels, shape.channels);
    write_row(made->view, image, y, row.data());
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

constexpr weft_node_type kAdjustNode =
    sdk::node<AdjustNode>({.name = "image.adjust",
                           .help = "Changes brightness, contrast, saturation and gamma, in this order.",
                           .flags = WEFT_NODE_PURE,
                           .inputs = kInputs,
                           .outputs = kOutputs,
                           .parameters = kParameters});

}  // namespace weft::image
