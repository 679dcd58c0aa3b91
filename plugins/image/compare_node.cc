#include "plugins/image/compare_node.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "modalities/image/opencv/structural_similarity.h"
#include "modalities/image/rows.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr weft_port kInputs[] = {
    sdk::port("a", "image", "The one picture."),
    sdk::port("b", "image", "The other, of the same shape; u8 and f32 go together.")};
constexpr weft_port kOutputs[] = {
    sdk::port("psnr", "float", "Peak signal-to-noise ratio, in dB; 100 for equal pictures."),
    sdk::port("ssim", "float", "Structural similarity, 1 for equal pictures (Wang et al. 2004)."),
    sdk::port("max_difference", "float", "The largest difference of two values, in 0..1."),
    sdk::port("difference", "image", "The difference of each value, times gain; alpha is left out.")};
constexpr weft_parameter kParameters[] = {sdk::parameter({.name = "gain",
                                                          .type = "float",
                                                          .default_json = "1",
                                                          .minimum = 1,
                                                          .maximum = 255,
                                                          .help = "Makes small differences visible.",
                                                          .flags = WEFT_PARAMETER_PER_REQUEST})};

struct RowResult {
  double squares = 0;
  float largest = 0;
};

}  // namespace

Status CompareNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const weft_spec spec = picture_spec(inputs[0]);
  for (const size_t port : {0, 1, 2}) plan.set_output(port, sdk::spec(WEFT_KIND_FLOAT));
  plan.set_output(3, spec);
  // What OpenCV takes comes from its own allocator; the plan counts it here.
  if (spec.shape[2] != WEFT_UNBOUNDED) {
    plan.set_state_bytes(structural_similarity_bytes(std::max<int64_t>(1, spec.shape[2])));
  }
  return {};
}

Status CompareNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> a = input_picture(request, 0, "a"), b = input_picture(request, 1, "b");
  if (!a.ok()) return a.status();
  if (!b.ok()) return b.status();
  const ImageShape& shape = a->shape();
  if (b->shape() != shape) {
    return Status(StatusCode::kInvalidShape, "the pictures have different shapes")
        .at("port 'b'")
        .expected(to_string(shape))
        .got(to_string(b->shape()))
        .hint("image.resize gives them one size");
  }
  Result<NewPicture> made = new_picture(request, execution, a->type(), "difference");
  if (!made.ok()) return made.status();
  const auto gain = static_cast<float>(request.parameters().get_float("gain"));
  std::vector<RowResult> rows(static_cast<size_t>(shape.count * shape.height));
  Status status = for_each_row(request, shape, [&](int64_t image, int64_t y) {
    thread_local std::vector<float> of_a, of_b;
    const auto size = static_cast<size_t>(shape.width * shape.channels);
    of_a.resize(size);
    of_b.resize(size);
    read_row(a->view, image, y, of_a.data());
    read_row(b->view, image, y, of_b.data());
    RowResult& result = rows[static_cast<size_t>(image * shape.height + y)];
    for (size_t i = 0; i < size; ++i) {
      const float difference = std::abs(of_a[i] - of_b[i]);
      result.squares += static_cast<double>(difference) * static_cast<double>(difference);
      result.largest = std::max(result.largest, difference);
      of_a[i] = shape.has_alpha() && i % 4 == 3 ? 1.0f : difference * gain;
    }
    write_row(made->view, image, y, of_a.data());
  });
  if (!status.ok()) return status;
  double squares = 0;  // row by row: the sum does not depend on threads
  float largest = 0;
  for (const RowResult& row : rows) {
    squares += row.squares;
    largest = std::max(largest, row.largest);
  }
  const double mean = squares / static_cast<double>(shape.elements());
  const double psnr = mean > 0 ? std::min(kLargestPsnr, -10 * std::log10(mean)) : kLargestPsnr;
  const Result<double> ssim =
      structural_similarity(a->view, b->view, [&request] { return request.cancelled(); });
  if (!ssim.ok()) return ssim.status();
  status = request.set_output(0, request.host().make_float(psnr));
  if (status.ok()) status = request.set_output(1, request.host().make_float(*ssim));
  if (status.ok()) status = request.set_output(2, request.host().make_float(static_cast<double>(largest)));
  return status.ok() ? request.set_output(3, finish(request, *made)) : status;
}

constexpr weft_node_type kCompareNode =
    sdk::node<CompareNode>({.name = "image.compare",
                            .help = "Measures how far two pictures are apart.",
                            .flags = WEFT_NODE_PURE,
                            .inputs = kInputs,
                            .outputs = kOutputs,
                            .parameters = kParameters});

}  // namespace weft::image
