#include "plugins/vision/match_nodes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

namespace weft::vision {
namespace {

enum TextPort : size_t { kText = 2, kTexts = 3 };

// Texts that several requests of an execute share are encoded once.
class SharedTexts {
 public:
  using Encode = std::function<Result<std::vector<float>>(const std::vector<std::string>&)>;

  Result<const std::vector<float>*> get(const std::vector<std::string>& texts, const Encode& encode) {
    const auto known = vectors_.find(texts);
    if (known != vectors_.end()) return &known->second;
    Result<std::vector<float>> made = encode(texts);
    if (!made.ok()) return made.status();
    return &(vectors_[texts] = *std::move(made));
  }

 private:
  std::map<std::vector<std::string>, std::vector<float>> vectors_;
};

Status nothing_to(const char* what, const char* port) {
  return Status(StatusCode::kInvalidArgument, std::string("there is nothing to ") + what)
      .at(std::string("port '") + port + "'");
}

Result<sdk::NewTensor> new_matrix(const sdk::Request& request, const sdk::Execution& execution, int64_t rows,
                                  int64_t columns, const char* tag) {
  const int64_t shape[] = {rows, columns};
  return request.host().allocate_tensor(WEFT_DTYPE_F32, shape, execution.stream(), tag);
}

// Probabilities of logits, in place.
void softmax(std::vector<double>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - most);
  for (double& value : values) value /= sum;
}

// ---- vision.similarity -----------------------------------------------------------------------------------------------

constexpr weft_port kSimilarityInputs[] = {kImagePort, kImagesPort, kTextPort, kTextsPort};
enum SimilarityOutput : size_t { kSimilarity, kLogits };
constexpr weft_port kSimilarityOutputs[] = {
    sdk::port("similarity", "tensor", "f32 [pictures, texts]: cosines of their vectors, -1 to 1."),
    sdk::port("logits", "tensor",
              "f32 [pictures, texts]: the cosines as the model was trained to compare them.")};
constexpr weft_parameter kSimilarityParameters[] = {kModelParameter};

// ---- vision.classify -------------------------------------------------------------------------------------------------

enum LabelPort : size_t { kLabels = 2 };
constexpr weft_port kClassifyInputs[] = {
    kImagePort, kImagesPort,
    sdk::optional_port("labels", "list<text>",
                       "What the pictures may show; without them the classes of a model that classifies.")};
enum ClassifyOutput : size_t { kLabel, kBestLabels, kConfidences, kProbabilities };
constexpr weft_port kClassifyOutputs[] = {
    sdk::port("label", "text", "The likeliest label of the first picture."),
    sdk::port("labels", "list<text>", "The likeliest label of each picture."),
    sdk::port("confidences", "list<float>", "Their probabilities."),
    sdk::port(
        "probabilities", "tensor",
        "f32 [pictures, labels]; their sum is 1, or with SigLIP each says how likely a label is by itself.")};
constexpr weft_parameter kClassifyParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "templates",
                    .type = "json",
                    .default_json = "[\"a photo of a {}.\"]",
                    .help = "Texts in which {} stands for a label; of several the mean vector counts."})};

Result<std::vector<std::string>> read_templates(std::string_view json) {
  const nlohmann::json list = nlohmann::json::parse(json, nullptr, false);
  const bool valid =
      list.is_array() && !list.empty() && std::all_of(list.begin(), list.end(), [](const auto& item) {
        return item.is_string() &&
               item.template get_ref<const std::string&>().find("{}") != std::string::npos;
      });
  if (valid) return list.get<std::vector<std::string>>();
  return Status(StatusCode::kInvalidArgument, "the templates cannot be read")
      .at("parameter 'templates'")
      .expected("a list of texts with {} in each")
      .got(std::string(json));
}

// ---- vision.rank -----------------------------------------------------------------------------------------------------

constexpr weft_port kRankInputs[] = {kImagePort, kImagesPort,
                                     sdk::port("text", "text", "What they are compared with.")};
enum RankOutput : size_t { kBest, kRanked, kScores, kIndices };
constexpr weft_port kRankOutputs[] = {
    sdk::port("image", "image", "The picture that fits best."),
    sdk::port("images", "list<image>", "The pictures that fit best, best first."),
    sdk::port("scores", "list<float>", "Cosines of their vectors and the text's, -1 to 1."),
    sdk::port("indices", "list<int>", "Their places among the pictures that came, from 0.")};
constexpr weft_parameter kRankParameters[] = {kModelParameter,
                                              sdk::parameter({.name = "top",
                                                              .type = "int",
                                                              .default_json = "10",
                                                              .minimum = 1,
                                                              .maximum = 1 << 30,
                                                              .help = "How many pictures, at most."})};

struct Place {
  const Picture* picture;
  int64_t image;  // of its batch
};

std::vector<Place> places_of(const std::vector<Picture>& pictures) {
  std::vector<Place> places;
  for (const Picture& picture : pictures)
    for (int64_t i = 0; i < picture.shape().count; ++i) places.push_back({&picture, i});
  return places;
}

// One picture of a batch as a value of its own; shared where the batch has no other.
Result<sdk::Value> single(const sdk::Request& request, const sdk::Execution& execution, const Place& place) {
  const ImageView& from = place.picture->view;
  if (from.shape.count == 1) return place.picture->value;
  ImageShape shape = from.shape;
  shape.count = 1;
  Result<sdk::NewTensor> tensor =
      request.host().allocate_tensor(from.dtype, shape.extents(), execution.stream(), "ranked picture");
  if (!tensor.ok()) return tensor.status();
  const ImageView to = packed_image_view(tensor->view.data, from.dtype, shape);
  for (int64_t y = 0; y < shape.height; ++y)
    std::memcpy(to.row<std::byte>(0, y), from.row<std::byte>(place.image, y),
                static_cast<size_t>(to.row_bytes));
  return request.host().make_tensor(tensor->buffer, tensor->view, "image",
                                    image_attributes(place.picture->color_space));
}

}  // namespace

Result<std::unique_ptr<SimilarityNode>> SimilarityNode::create(const sdk::NodeConfig& config) {
  if (Status status = check_pictures(config); !status.ok()) return status;
  if (Status status = check_texts(config); !status.ok()) return status;
  return std::make_unique<SimilarityNode>(config);
}

Status SimilarityNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan_encoding(inputs, plan);
  int64_t texts = inputs[kTexts].kind != 0 ? inputs[kTexts].max_count : 0;
  if (texts != WEFT_UNBOUNDED && inputs[kText].kind != 0) ++texts;
  const int64_t shape[] = {pictures_bound(inputs), texts};
  for (const size_t port : {kSimilarity, kLogits})
    plan.set_output(port, sdk::tensor_spec(WEFT_DTYPE_F32, shape));
  return {};
}

Status SimilarityNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  SharedTexts shared;
  return encode(requests, execution, [&](EncodedRequest& one) -> Status {
    const std::vector<std::string> texts = texts_of(one.request, kText, kTexts);
    if (texts.empty()) return nothing_to("compare with", "texts");
    const auto vectors =
        shared.get(texts, [&](const auto& all) { return encode_texts(one.encoder, one.request, all); });
    if (!vectors.ok()) return vectors.status();
    const int64_t n = one.pictures.count(), m = static_cast<int64_t>(texts.size());
    Result<sdk::NewTensor> cosines = new_matrix(one.request, execution, n, m, "similarity");
    if (!cosines.ok()) return cosines.status();
    Result<sdk::NewTensor> logits = new_matrix(one.request, execution, n, m, "logits");
    if (!logits.ok()) return logits.status();
    for (int64_t i = 0; i < n * m; ++i) {
      const double value = cosine(one.vector(i / m, width()), (*vectors)->data() + i % m * width(), width());
      cosines->data<float>()[i] = static_cast<float>(value);
      logits->data<float>()[i] = static_cast<float>(logit(value));
    }
    Status status = one.request.set_output(kSimilarity, host_.make_tensor(cosines->buffer, cosines->view));
    return status.ok() ? one.request.set_output(kLogits, host_.make_tensor(logits->buffer, logits->view))
                       : status;
  });
}

Result<std::unique_ptr<ClassifyNode>> ClassifyNode::create(const sdk::NodeConfig& config) {
  if (Status status = check_pictures(config); !status.ok()) return status;
  const VisionModel& model = *config.model<VisionModel>("model");
  if (model.classes().empty()) {
    if (Status status = check_texts(config); !status.ok()) return status;
    if (!config.input_connected(kLabels))
      return Status(StatusCode::kInvalidArgument, "this model has no classes of its own")
          .at("'" + std::string(config.name()) + "', port 'labels'")
          .expected("labels")
          .got("none");
  }
  Result<std::vector<std::string>> templates = read_templates(config.parameters().get_text("templates"));
  if (!templates.ok()) return templates.status();
  return std::make_unique<ClassifyNode>(config, *std::move(templates));
}

Status ClassifyNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan_encoding(inputs, plan);
  const int64_t pictures = pictures_bound(inputs);
  const weft_spec& labels = inputs[kLabels];
  int64_t longest = labels.max_bytes, count = labels.max_count;
  if (labels.kind == 0) {
    longest = 0;
    for (const std::string& name : model_.classes())
      longest = std::max(longest, static_cast<int64_t>(name.size()));
    count = static_cast<int64_t>(model_.classes().size());
  }
  plan.set_output(kLabel, sdk::bytes_spec(longest));
  plan.set_output(kBestLabels, sdk::list_spec(pictures, longest));
  plan.set_output(kConfidences, sdk::list_spec(pictures, WEFT_UNBOUNDED));
  const int64_t shape[] = {pictures, count};
  plan.set_output(kProbabilities, sdk::tensor_spec(WEFT_DTYPE_F32, shape));
  return {};
}

// The mean direction of a label's texts.
Result<std::vector<float>> ClassifyNode::label_vectors(EncodedRequest& one,
                                                       const std::vector<std::string>& labels) const {
  std::vector<std::string> texts;
  for (const std::string& label : labels)
    for (const std::string& text : templates_) {
      std::string& filled = texts.emplace_back();
      for (size_t at = 0; at < text.size();) {
        const size_t next = std::min(text.find("{}", at), text.size());
        filled += text.substr(at, next - at) + (next < text.size() ? label : "");
        at = next + 2;
      }
    }
  Result<std::vector<float>> vectors = encode_texts(one.encoder, one.request, texts);
  if (!vectors.ok()) return vectors;
  std::vector<float> means(labels.size() * static_cast<size_t>(width()));
  for (size_t i = 0; i < texts.size(); ++i) {
    float* vector = vectors->data() + i * static_cast<size_t>(width());
    float* mean = means.data() + i / templates_.size() * static_cast<size_t>(width());
    normalize(vector, width());
    for (int64_t k = 0; k < width(); ++k) mean[k] += vector[k];
  }
  return means;
}

Status ClassifyNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  SharedTexts shared;
  const auto n_classes = static_cast<int64_t>(model_.classes().size());
  const auto begin = [&](EncodedRequest& one) -> Status {
    const bool own = !one.request.input(kLabels);
    one.vectors.resize(static_cast<size_t>(one.pictures.count() * (own ? n_classes : width())));
    (own ? one.pictures.classes : one.pictures.pooled) = one.vectors.data();
    return {};
  };
  const auto answer = [&](EncodedRequest& one) -> Status {
    if (one.pictures.count() == 0) return nothing_to("classify", "images");
    if (!one.request.input(kLabels)) {
      if (n_classes == 0) return nothing_to("choose from", "labels");
      const std::vector<double> logits(one.vectors.begin(), one.vectors.end());
      return answer_with(one, execution, model_.classes(), logits);
    }
    const std::vector<std::string> labels = texts_of(one.request, kNoPort, kLabels);
    if (labels.empty()) return nothing_to("choose from", "labels");
    if (model_.texts() == nullptr)
      return Status(StatusCode::kUnsupported, "this model reads no labels; it has classes of its own")
          .at(model_.path())
          .expected(std::to_string(n_classes) + " classes and no labels");
    const auto vectors = shared.get(labels, [&](const auto& all) { return label_vectors(one, all); });
    if (!vectors.ok()) return vectors.status();
    std::vector<double> logits;
    for (int64_t i = 0; i < one.pictures.count(); ++i)
      for (size_t k = 0; k < labels.size(); ++k)
        logits.push_back(logit(
            cosine(one.vector(i, width()), (*vectors)->data() + static_cast<int64_t>(k) * width(), width())));
    return answer_with(one, execution, labels, logits);
  };
  return encode(requests, execution, answer, begin);
}

// logits: [pictures, labels].
Status ClassifyNode::answer_with(EncodedRequest& one, const sdk::Execution& execution,
                                 const std::vector<std::string>& labels,
                                 std::span<const double> logits) const {
  const sdk::Request& request = one.request;
  const size_t n = labels.size();
  const bool compete = model_.texts() == nullptr || model_.texts()->texts_compete();
  Result<sdk::NewTensor> all =
      new_matrix(request, execution, one.pictures.count(), static_cast<int64_t>(n), "probabilities");
  if (!all.ok()) return all.status();
  std::vector<size_t> best;
  std::vector<double> confidences;
  for (size_t i = 0; i < logits.size(); i += n) {
    std::vector<double> values(logits.begin() + static_cast<std::ptrdiff_t>(i),
                               logits.begin() + static_cast<std::ptrdiff_t>(i + n));
    if (compete) softmax(values);
    else
      for (double& value : values) value = 1 / (1 + std::exp(-value));
    best.push_back(static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin()));
    confidences.push_back(values[best.back()]);
    std::copy(values.begin(), values.end(), all->data<float>() + i);
  }
  Status status = request.set_output(kLabel, host_.make_text(labels[best[0]]));
  if (status.ok())
    status = set_list(request, kBestLabels, "text", best.size(),
                      [&](size_t i) { return host_.make_text(labels[best[i]]); });
  if (status.ok())
    status = set_list(request, kConfidences, "float", best.size(),
                      [&](size_t i) { return host_.make_float(confidences[i]); });
  return status.ok() ? request.set_output(kProbabilities, host_.make_tensor(all->buffer, all->view)) : status;
}

Result<std::unique_ptr<RankNode>> RankNode::create(const sdk::NodeConfig& config) {
  if (Status status = check_pictures(config); !status.ok()) return status;
  if (Status status = check_texts(config); !status.ok()) return status;
  return std::make_unique<RankNode>(config);
}

Status RankNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan_encoding(inputs, plan);
  const int64_t pictures = pictures_bound(inputs);
  const int64_t count = pictures == WEFT_UNBOUNDED ? most_ : std::min(most_, pictures);
  int64_t shape[] = {1, WEFT_UNBOUNDED, WEFT_UNBOUNDED, 4};
  weft_dtype dtype = 0;
  if (pictures != WEFT_UNBOUNDED) {
    std::copy_n(inputs[kImage].shape + 1, 3, shape + 1);
    dtype = inputs[kImage].dtype;
  }
  plan.set_output(kBest, sdk::tensor_spec(dtype, shape));
  for (const size_t port : {kRanked, kScores, kIndices})
    plan.set_output(port, sdk::list_spec(count, WEFT_UNBOUNDED));
  return {};
}

Status RankNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  SharedTexts shared;
  return encode(requests, execution, [&](EncodedRequest& one) -> Status {
    const sdk::Request& request = one.request;
    const std::vector<Place> places = places_of(one.pictures.pictures);
    if (places.empty()) return nothing_to("rank", "images");
    const auto vector = shared.get(texts_of(request, kText, kNoPort),
                                   [&](const auto& all) { return encode_texts(one.encoder, request, all); });
    if (!vector.ok()) return vector.status();
    std::vector<double> scores(places.size());
    for (size_t i = 0; i < scores.size(); ++i)
      scores[i] = cosine(one.vector(static_cast<int64_t>(i), width()), (*vector)->data(), width());
    std::vector<size_t> order(places.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    const size_t count = std::min(order.size(), static_cast<size_t>(most_));
    Status status = request.set_output(kBest, single(request, execution, places[order[0]]));
    if (status.ok())
      status = set_list(request, kRanked, "image", count,
                        [&](size_t i) { return single(request, execution, places[order[i]]); });
    if (status.ok())
      status = set_list(request, kScores, "float", count,
                        [&](size_t i) { return host_.make_float(scores[order[i]]); });
    if (!status.ok()) return status;
    return set_list(request, kIndices, "int", count,
                    [&](size_t i) { return host_.make_int(static_cast<int64_t>(order[i])); });
  });
}

constexpr weft_node_type kSimilarityNode = sdk::node<SimilarityNode>({.name = "vision.similarity",
                                                                      .help = "Compares pictures with texts.",
                                                                      .flags = WEFT_NODE_PURE,
                                                                      .inputs = kSimilarityInputs,
                                                                      .outputs = kSimilarityOutputs,
                                                                      .parameters = kSimilarityParameters});
constexpr weft_node_type kClassifyNode =
    sdk::node<ClassifyNode>({.name = "vision.classify",
                             .help = "Says which of several labels a picture fits.",
                             .flags = WEFT_NODE_PURE,
                             .inputs = kClassifyInputs,
                             .outputs = kClassifyOutputs,
                             .parameters = kClassifyParameters});
constexpr weft_node_type kRankNode =
    sdk::node<RankNode>({.name = "vision.rank",
                         .help = "Orders pictures by how well they fit a text.",
                         .flags = WEFT_NODE_PURE,
                         .inputs = kRankInputs,
                         .outputs = kRankOutputs,
                         .parameters = kRankParameters});

}  // namespace weft::vision
