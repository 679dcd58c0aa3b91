#include "plugins/vision/encoding_node.h"

#include <algorithm>
#include <limits>
#include <list>

namespace weft::vision {

std::vector<std::string> texts_of(const sdk::Request& request, size_t text, size_t texts) {
  std::vector<std::string> all;
  const sdk::Value one = text == kNoPort ? sdk::Value() : request.input(text);
  const sdk::Value list = texts == kNoPort ? sdk::Value() : request.input(texts);
  if (one) all.emplace_back(one.as_text());
  for (size_t i = 0; list && i < list.size(); ++i) all.emplace_back(list.item(i).as_text());
  return all;
}

EncodingNode::EncodingNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      name_(config.name()),
      model_(*config.model<VisionModel>("model")),
      max_requests_(config.max_requests()) {}

Status EncodingNode::check_pictures(const sdk::NodeConfig& config) {
  if (config.input_connected(kImage) || config.input_connected(kImages)) return {};
  return Status(StatusCode::kInvalidArgument, "this node takes an image, a list of images, or both")
      .at("'" + std::string(config.name()) + "', ports 'image' and 'images'")
      .got("none");
}

Status EncodingNode::check_texts(const sdk::NodeConfig& config) {
  const VisionModel& model = *config.model<VisionModel>("model");
  if (model.texts() != nullptr) return {};
  return Status(StatusCode::kUnsupported,
                "this model has no encoder of texts, so that pictures cannot be compared with them")
      .at(model.path());
}

int64_t EncodingNode::pictures_bound(const sdk::Specs& inputs) {
  if (inputs[kImages].kind != 0) return WEFT_UNBOUNDED;  // of a list's elements each may be several
  const weft_spec& image = inputs[kImage];
  return image.kind == WEFT_KIND_TENSOR && image.rank == 4 ? image.shape[0] : WEFT_UNBOUNDED;
}

void EncodingNode::plan_encoding(const sdk::Specs& inputs, const sdk::Plan& plan) {
  const int64_t each = pictures_bound(inputs);
  const bool known = each != WEFT_UNBOUNDED && max_requests_ > 0;
  limits_ = EncodingLimits::of(model_, known ? each * int64_t{max_requests_} : -1);
  Encoder::plan(model_, limits_, host_, plan);
  plan.set_max_batch(std::numeric_limits<uint32_t>::max());  // they are taken in turns
  plan.set_useful_batch(static_cast<uint32_t>(std::clamp<int64_t>(limits_.pictures, 1, 16)));
}

Status EncodingNode::encode(std::span<sdk::Request> requests, const sdk::Execution& execution,
                            const Step& answer, const Step& begin) const {
  Result<Encoder> encoder = begin_encoding(execution);
  if (!encoder.ok()) return encoder.status();
  std::list<EncodedRequest> encoded;
  std::vector<PictureJob*> jobs;
  jobs.reserve(requests.size());
  for (sdk::Request& request : requests) {
    EncodedRequest& one = encoded.emplace_back(EncodedRequest{request, *encoder, {}, {}, {}});
    const Status status = sdk::guarded([&]() -> Status {
      PictureJob& job = one.pictures;
      Status read = append_pictures(request.input(kImage), "image", &job.pictures);
      if (read.ok()) read = append_pictures(request.input(kImages), "images", &job.pictures);
      if (!read.ok()) return read;
      job.cancelled = [&request] { return request.cancelled(); };
      job.on_progress = [&request](int64_t done, int64_t all) { request.progress(done, all, "pictures"); };
      if (begin) return begin(one);
      one.vectors.resize(static_cast<size_t>(job.count() * width()));
      job.pooled = one.vectors.data();
      return {};
    });
    if (status.ok()) {
      jobs.push_back(&one.pictures);
      continue;
    }
    request.complete(status);
    encoded.pop_back();
  }
  const Status status = encoder->encode_pictures(jobs);
  for (EncodedRequest& one : encoded) {
    const Status& own = status.ok() ? one.pictures.status : status;
    one.request.complete(own.ok() ? sdk::guarded([&] { return answer(one); }) : own);
  }
  return {};
}

Result<std::vector<float>> EncodingNode::encode_texts(Encoder& encoder, const sdk::Request& request,
                                                      std::span<const std::string> texts) const {
  Result<TextVectors> vectors = encoder.encode_texts(texts, [&request] { return request.cancelled(); });
  if (!vectors.ok()) return vectors.status();
  if (vectors->n_cut > 0)
    host_.log(WEFT_LOG_WARNING, "'" + name_ + "': the model reads " +
                                    std::to_string(model_.texts()->network.config().n_positions) +
                                    " tokens of a text; the ends of " + std::to_string(vectors->n_cut) +
                                    (vectors->n_cut == 1 ? " text were" : " texts were") + " left out");
  return std::move(vectors->values);
}

}  // namespace weft::vision
