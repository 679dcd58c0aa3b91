#include "plugins/onnx/safety_node.h"

#include <algorithm>
#include <array>

#include "modalities/image/files/image_file.h"
#include "modalities/image/resize.h"
#include "modalities/image/rgb_bytes.h"
#include "plugins/onnx/input_tensor.h"

namespace weft::onnx {
namespace {

constexpr int64_t kResized = 256, kSide = 224;
constexpr int kQuality = 75;                                // of the JPEG file
constexpr std::array<float, 3> kMeanBgr = {104, 117, 123};  // of the training set

enum Output : size_t { kSafe, kScore, kScores };
constexpr weft_port kInputs[] = {sdk::port("image", "image", "A picture, or several of one size.")};
constexpr weft_port kOutputs[] = {
    sdk::port("safe", "bool", "Whether the score is below the threshold."),
    sdk::port("score", "float", "How likely it is unsafe, 0 to 1; of several pictures, the highest."),
    sdk::port("scores", "list<float>", "The score of each.")};
constexpr weft_parameter kParameters[] = {
    sdk::parameter({.name = "model",
                    .type = "model",
                    .choices = kNetworkModels,
                    .help = "open-nsfw.onnx (scripts/fetch_models nsfw)."}),
    sdk::parameter({.name = "threshold",
                    .type = "float",
                    .default_json = "0.5",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "The score from which on a picture is not safe.",
                    .flags = WEFT_PARAMETER_PER_REQUEST})};

bool has_extents(const NetworkPort& port, std::initializer_list<int64_t> extents) {
  return port.dtype == WEFT_DTYPE_F32 && port.dimensions.size() == extents.size() + 1 &&
         std::equal(
             extents.begin(), extents.end(), port.dimensions.begin() + 1,
             [](int64_t extent, const OnnxDimension& dimension) { return dimension.extent == extent; });
}

/// The middle of a picture, RGB [224, 224, 3].
std::vector<uint8_t> middle_of(const Picture& picture, int64_t index,
                               const std::function<bool()>& cancelled) {
  std::vector<uint8_t> converted;
  const ImageView source = rgb_bytes(picture, index, converted);
  constexpr double kMargin = (kResized - kSide) / 2.0 / kResized, kPart = double{kSide} / kResized;
  const auto width = static_cast<double>(source.shape.width),
             height = static_cast<double>(source.shape.height);
  const Resizer resizer(source.shape, {width * kMargin, height * kMargin, width * kPart, height * kPart},
                        kSide, kSide, ResizeFilter::kBilinear, ResizeSteps::kBytes);
  std::vector<uint8_t> middle(static_cast<size_t>(kSide * kSide * 3));
  std::vector<float> scratch(resizer.scratch_values());
  resizer.run(source, packed_image_view(middle.data(), WEFT_DTYPE_U8, {1, kSide, kSide, 3}), 0, 0, kSide,
              scratch.data(), cancelled);
  return middle;
}

/// What a JPEG file makes of it, in place.
Status through_jpeg(std::vector<uint8_t>& pixels, const std::function<bool()>& cancelled) {
  const ImageView view = packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, kSide, kSide, 3});
  ImageEncodeOptions options;
  options.format = ImageFormat::kJpeg;
  options.quality = kQuality;
  const Result<std::string> file = encode_image(view, 0, options, cancelled);
  if (!file.ok()) return file.status();
  const std::span<const std::byte> bytes = std::as_bytes(std::span(*file));
  const Result<ImageHeader> header = read_image_header(bytes, {});
  return header.ok() ? decode_image(bytes, *header, view, cancelled) : header.status();
}

}  // namespace

Result<std::unique_ptr<SafetyNode>> SafetyNode::create(const sdk::NodeConfig& config) {
  auto node = std::make_unique<SafetyNode>(config);
  const Network& network = node->network_;
  const bool is_open_nsfw = network.inputs().size() == 1 && network.outputs().size() == 1 &&
                            has_extents(network.inputs()[0], {kSide, kSide, 3}) &&
                            has_extents(network.outputs()[0], {2});
  if (is_open_nsfw) return node;
  std::string got;
  for (const NetworkPort& input : network.inputs()) got += (got.empty() ? "" : ", ") + to_string(input);
  for (const NetworkPort& output : network.outputs())
    got += (&output == network.outputs().data() ? " -> " : ", ") + to_string(output);
  return Status(StatusCode::kInvalidArgument, "the model is not open_nsfw")
      .at(network.path())
      .expected("f32 [any, 224, 224, 3] -> f32 [any, 2]")
      .got(got)
      .hint("scripts/fetch_models nsfw fetches it");
}

SafetyNode::SafetyNode(const sdk::NodeConfig& config)
    : host_(config.host()), network_(*config.model<Network>("model")) {}

Status SafetyNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const weft_spec& image = inputs[0];
  const int64_t count = image.kind == WEFT_KIND_TENSOR && image.rank == 4 ? image.shape[0] : WEFT_UNBOUNDED;
  plan.set_output(kScores, sdk::list_spec(count, WEFT_UNBOUNDED));
  return {};
}

Status SafetyNode::run(sdk::Request& request, const sdk::Execution& /*execution*/) {
  const Result<Picture> picture = picture_of(request.input(0));
  if (!picture.ok()) return picture.status().at("port 'image'");
  const Cancelled cancelled = [&request] { return request.cancelled(); };
  float highest = 0;
  std::vector<sdk::Value> scores;
  const int64_t count = picture->shape().count;
  for (int64_t i = 0; i < count; ++i) {
    const Result<float> one = score(*picture, i, cancelled);
    if (!one.ok()) return one.status();
    highest = std::max(highest, *one);
    Result<sdk::Value> value = host_.make_float(*one);
    if (!value.ok()) return value.status();
    scores.push_back(*std::move(value));
    request.progress(i + 1, count, "pictures");
  }
  const bool safe = highest < request.parameters().get_float("threshold");
  Status status = request.set_output(kSafe, host_.make_bool(safe));
  if (status.ok()) status = request.set_output(kScore, host_.make_float(highest));
  return status.ok() ? request.set_output(kScores, host_.make_list(scores, "float")) : status;
}

Result<float> SafetyNode::score(const Picture& picture, int64_t index, const Cancelled& cancelled) const {
  std::vector<uint8_t> pixels = middle_of(picture, index, cancelled);
  if (cancelled()) return sdk::Request::cancelled_status();
  if (Status status = through_jpeg(pixels, cancelled); !status.ok()) return status;
  std::vector<float> values(pixels.size());
  for (size_t i = 0; i < values.size(); i += 3)
    for (size_t c = 0; c < 3; ++c) values[i + c] = static_cast<float>(pixels[i + 2 - c]) - kMeanBgr[c];

  constexpr std::array<int64_t, 4> kShape = {1, kSide, kSide, 3};
  const weft_tensor input = sdk::contiguous_tensor(values.data(), WEFT_DTYPE_F32, kShape);
  constexpr size_t kProbabilities[] = {0};
  float unsafe = 0;
  const auto take = [&](size_t, const weft_tensor& made) -> Status {
    if (made.dtype != WEFT_DTYPE_F32 || sdk::element_count(made) != 2)
      return Status(StatusCode::kCorruptData, "the model makes something else than two probabilities")
          .at(network_.path())
          .expected("f32 [1, 2]")
          .got(to_string(made));
    unsafe = static_cast<const float*>(made.data)[1];  // behind that of being safe
    return {};
  };
  if (Status status = network_.session().run({&input, 1}, kProbabilities, take, cancelled); !status.ok())
    return status;
  return unsafe;
}

const weft_node_type kSafetyNode =
    sdk::node<SafetyNode>({.name = "image.safety",
                           .help = "Says how likely a picture is unsafe to show at work (nudity), by "
                                   "open_nsfw. A machine's guess, not a "
                                   "judgement: it errs both ways.",
                           .flags = WEFT_NODE_PURE,
                           .inputs = kInputs,
                           .outputs = kOutputs,
                           .parameters = kParameters});

}  // namespace weft::onnx
