#include "plugins/vision/encode_nodes.h"

#include <algorithm>

namespace weft::vision {
namespace {

constexpr weft_port kInputs[] = {kImagePort, kImagesPort};
constexpr weft_port kOutputs[] = {sdk::port("embedding", "tensor",
                                            "f32 [pictures, width]; of patches [pictures, rows, columns, "
                                            "width]: the last layer's states, without the "
                                            "class token's.")};
constexpr const char* kOf[] = {"picture", "patches", nullptr};
constexpr weft_parameter kNormalize =
    sdk::parameter({.name = "normalize",
                    .type = "bool",
                    .default_json = "true",
                    .help = "Scales vectors to length 1; those of patches stay as they are."});
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "of",
                    .type = "choice",
                    .default_json = "\"picture\"",
                    .choices = kOf,
                    .help = "One vector of the picture, or one of each patch."}),
    kNormalize};

enum TextPort : size_t { kText, kTexts };
constexpr weft_port kTextInputs[] = {kTextPort, kTextsPort};
constexpr weft_port kTextOutputs[] = {
    sdk::port("embedding", "tensor", "f32 [width] of one text, or [texts, width] where there is a list.")};
constexpr weft_parameter kTextParameters[] = {kModelParameter, kNormalize};

std::string grid_text(const PatchGrid& grid) {
  return std::to_string(grid.rows) + " x " + std::to_string(grid.columns) + " patches";
}

}  // namespace

Result<std::unique_ptr<EncodeNode>> EncodeNode::create(const sdk::NodeConfig& config) {
  if (Status status = check_pictures(config); !status.ok()) return status;
  return std::make_unique<EncodeNode>(config);
}

EncodeNode::EncodeNode(const sdk::NodeConfig& config)
    : EncodingNode(config),
      patches_(config.parameters().get_text("of") == "patches"),
      normalizes_(config.parameters().get_bool("normalize")) {}

std::vector<int64_t> EncodeNode::shape(int64_t pictures, const PatchGrid& grid) const {
  if (!patches_) return {pictures, width()};
  return {pictures, grid.rows, grid.columns, model_.network().config().width};
}

Result<PatchGrid> EncodeNode::grid_of(const PictureJob& job) const {
  PatchGrid grid = model_.network().config().keeps_shapes() ? PatchGrid{} : model_.grid_of({});
  for (const Picture& picture : job.pictures) {
    const PatchGrid own = model_.grid_of(picture.shape());
    if (grid.count() > 0 && own != grid)
      return Status(StatusCode::kInvalidShape, "the patches of pictures of different shapes are no tensor")
          .at("port 'images'")
          .expected(grid_text(grid))
          .got(grid_text(own))
          .hint("encode such pictures one by one");
    grid = own;
  }
  return grid;
}

Status EncodeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan_encoding(inputs, plan);
  const bool keeps_shapes = model_.network().config().keeps_shapes();
  const PatchGrid grid = keeps_shapes ? PatchGrid{WEFT_UNBOUNDED, WEFT_UNBOUNDED} : model_.grid_of({});
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, shape(pictures_bound(inputs), grid)));
  return {};
}

Status EncodeNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  const auto begin = [&](EncodedRequest& one) -> Status {
    const Result<PatchGrid> grid = patches_ ? grid_of(one.pictures) : PatchGrid{};
    if (!grid.ok()) return grid.status();
    Result<sdk::NewTensor> tensor = host_.allocate_tensor(WEFT_DTYPE_F32, shape(one.pictures.count(), *grid),
                                                          execution.stream(), "embedding");
    if (!tensor.ok()) return tensor.status();
    one.tensor = *std::move(tensor);
    (patches_ ? one.pictures.patches : one.pictures.pooled) = one.tensor.data<float>();
    return {};
  };
  const auto answer = [&](EncodedRequest& one) -> Status {
    for (int64_t i = 0; normalizes_ && !patches_ && i < one.pictures.count(); ++i)
      normalize(one.tensor.data<float>() + i * width(), width());
    return one.request.set_output(0, host_.make_tensor(one.tensor.buffer, one.tensor.view));
  };
  return encode(requests, execution, answer, begin);
}

Result<std::unique_ptr<EncodeTextNode>> EncodeTextNode::create(const sdk::NodeConfig& config) {
  if (Status status = check_texts(config); !status.ok()) return status;
  if (!config.input_connected(kText) && !config.input_connected(kTexts))
    return Status(StatusCode::kInvalidArgument, "this node takes a text, a list of texts, or both")
        .at("'" + std::string(config.name()) + "', ports 'text' and 'texts'")
        .got("none");
  return std::make_unique<EncodeTextNode>(config);
}

EncodeTextNode::EncodeTextNode(const sdk::NodeConfig& config)
    : EncodingNode(config),
      is_list_(config.input_connected(kTexts)),
      normalizes_(config.parameters().get_bool("normalize")) {}

Status EncodeTextNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  limits_ = EncodingLimits::of(model_, 1);
  Encoder::plan(model_, limits_, host_, plan);
  int64_t count = is_list_ ? inputs[kTexts].max_count : 0;
  if (count != WEFT_UNBOUNDED && inputs[kText].kind != 0) ++count;
  const int64_t shape[] = {count, width()};
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, std::span(shape).subspan(is_list_ ? 0 : 1)));
  return {};
}

Status EncodeTextNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const std::vector<std::string> texts = texts_of(request, kText, kTexts);
  if (texts.empty()) return Status(StatusCode::kInvalidArgument, "there is no text").at("port 'text'");
  Result<Encoder> encoder = begin_encoding(execution);
  if (!encoder.ok()) return encoder.status();
  Result<std::vector<float>> vectors = encode_texts(*encoder, request, texts);
  if (!vectors.ok()) return vectors.status();
  const int64_t shape[] = {static_cast<int64_t>(texts.size()), width()};
  Result<sdk::NewTensor> tensor = host_.allocate_tensor(
      WEFT_DTYPE_F32, std::span(shape).subspan(is_list_ ? 0 : 1), execution.stream(), "embedding");
  if (!tensor.ok()) return tensor.status();
  std::copy(vectors->begin(), vectors->end(), tensor->data<float>());
  for (size_t i = 0; normalizes_ && i < texts.size(); ++i)
    normalize(tensor->data<float>() + static_cast<int64_t>(i) * width(), width());
  return request.set_output(0, host_.make_tensor(tensor->buffer, tensor->view));
}

constexpr weft_node_type kEncodeNode = sdk::node<EncodeNode>({.name = "vision.encode",
                                                              .help = "Turns pictures into vectors.",
                                                              .flags = WEFT_NODE_PURE,
                                                              .inputs = kInputs,
                                                              .outputs = kOutputs,
                                                              .parameters = kParameters});
constexpr weft_node_type kEncodeTextNode = sdk::node<EncodeTextNode>(
    {.name = "vision.encode_text",
     .help = "Turns texts into vectors that lie beside those of the pictures that they describe.",
     .flags = WEFT_NODE_PURE,
     .inputs = kTextInputs,
     .outputs = kTextOutputs,
     .parameters = kTextParameters});

}  // namespace weft::vision
