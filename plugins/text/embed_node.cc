#include "plugins/text/embed_node.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/text/reading_node.h"
#include "plugins/text/text_embedder.h"

namespace weft::text {
namespace {

enum Input : size_t { kText, kTexts };
constexpr weft_port kInputs[] = {
    sdk::optional_port("text", "text", "One text."),
    sdk::optional_port("texts", "list<text>",
                       "Many, read together by encoders; after the text, if both are there.")};
constexpr weft_port kOutputs[] = {
    sdk::port("embedding", "tensor", "f32 [width] of one text, or [texts, width] where there is a list.")};
constexpr const char* kPoolings[] = {"auto", "mean", "first", "cls", "last", "max", nullptr};
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    kKvTypeParameter,
    kAddSpecial,
    kParseSpecial,
    sdk::parameter({.name = "pooling",
                    .type = "choice",
                    .default_json = "\"auto\"",
                    .choices = kPoolings,
                    .help =
                        "Of the final hidden states: their mean, the first (cls), the last or the largest of "
                        "each component. auto: what the model's files say, or mean."}),
    sdk::parameter({.name = "normalize",
                    .type = "bool",
                    .help = "Scales vectors to length 1; unless given, as the model's files say, or true.",
                    .flags = WEFT_PARAMETER_OPTIONAL})};

std::optional<Pooling> pooling_named(std::string_view name) {
  if (name == "mean") return Pooling::kMean;
  if (name == "first" || name == "cls") return Pooling::kFirst;
  if (name == "last") return Pooling::kLast;
  if (name == "max") return Pooling::kMax;
  return std::nullopt;
}

// A request's texts, and the values that hold them.
struct Texts {
  std::vector<sdk::Value> values;
  std::vector<std::string_view> texts;
  bool is_list = false;

  static Result<Texts> of(const sdk::Request& request) {
    Texts all;
    const sdk::Value text = request.input(kText), list = request.input(kTexts);
    all.is_list = static_cast<bool>(list);
    if (!text && !list) return Status(StatusCode::kInvalidArgument, "there is no text").at("port 'text'");
    if (text) all.values.push_back(text);
    for (size_t i = 0; list && i < list.size(); ++i) all.values.push_back(list.item(i));
    for (const sdk::Value& value : all.values) all.texts.push_back(value.as_text());
    return all;
  }
  Result<sdk::NewTensor> allocate(const sdk::Request& request, const sdk::Execution& execution,
                                  int64_t width) const {
    const int64_t shape[] = {static_cast<int64_t>(texts.size()), width};
    return request.host().allocate_tensor(WEFT_DTYPE_F32, std::span(shape).subspan(is_list ? 0 : 1),
                                          execution.stream(), "embedding");
  }
};

// The bounds of what comes. A port that is not connected has no kind.
struct TextBounds {
  bool is_list;
  int64_t count = 0;
  weft_spec each = sdk::bytes_spec(0);  // of a text

  explicit TextBounds(const sdk::Specs& inputs) : is_list(inputs[kTexts].kind != 0) {
    if (inputs[kText].kind != 0) take(1, inputs[kText].max_bytes);
    if (is_list) take(inputs[kTexts].max_count, inputs[kTexts].max_bytes);
  }
  void set_output(const sdk::Plan& plan, int64_t width) const {
    const int64_t shape[] = {count, width};
    plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, std::span(shape).subspan(is_list ? 0 : 1)));
  }

 private:
  void take(int64_t n, int64_t max_bytes) {
    const bool counted = n != WEFT_UNBOUNDED && count != WEFT_UNBOUNDED;
    const bool measured = max_bytes != WEFT_UNBOUNDED && each.max_bytes != WEFT_UNBOUNDED;
    count = counted ? count + n : WEFT_UNBOUNDED;
    each.max_bytes = measured ? std::max(each.max_bytes, max_bytes) : WEFT_UNBOUNDED;
  }
};

}  // namespace

class EmbedNode::OfDecoder : public ReadingNode {
 public:
  explicit OfDecoder(const sdk::NodeConfig& config)
      : ReadingNode(config),
        pooling_(pooling_named(config.parameters().get_text("pooling")).value_or(Pooling::kMean)),
        normalizes_(!config.parameters().is_set("normalize") || config.parameters().get_bool("normalize")) {}

  void prepare(const sdk::Specs& inputs, const sdk::Plan& plan) const {
    const TextBounds bounds(inputs);
    plan_memory(bounds.each, kExtraTokens, plan);
    bounds.set_output(plan, width());
  }

  Status run(sdk::Request& request, const sdk::Execution& execution) const {
    const Result<Texts> texts = Texts::of(request);
    if (!texts.ok()) return texts.status();
    Result<sdk::NewTensor> embedding = texts->allocate(request, execution, width());
    if (!embedding.ok()) return embedding.status();
    const auto n = static_cast<int64_t>(texts->texts.size());
    for (int64_t i = 0; i < n; ++i) {
      Status status = embed(request, execution, texts->texts[static_cast<size_t>(i)],
                            embedding->data<float>() + i * width());
      if (!status.ok()) return status;
      if (n > 1) request.progress(i + 1, n, "texts");
    }
    return request.set_output(0, request.host().make_tensor(embedding->buffer, embedding->view));
  }

 private:
  int64_t width() const { return model_->config().width; }

  Status embed(sdk::Request& request, const sdk::Execution& execution, std::string_view text,
               float* vector) const {
    Result<std::vector<TokenId>> ids = encode_text(*model_, text, request);
    if (!ids.ok()) return ids.status();
    const auto size = static_cast<int64_t>(ids->size());
    if (size == 0)
      return Status(StatusCode::kInvalidArgument, "an empty text has no embedding").at("port 'text'");
    if (Status status = check_length(size); !status.ok()) return status;
    Result<std::unique_ptr<DecoderPass>> pass = begin(kv_pages(size), request, execution);
    if (!pass.ok()) return pass.status();
    KvSequence sequence = (*pass)->cache().new_sequence();
    std::vector<double> pooled(static_cast<size_t>(width()), pooling_ == Pooling::kMax ? -INFINITY : 0.0);
    Status status =
        evaluator(**pass, request).hidden(sequence, *ids, [&](int64_t row, std::span<const float> state) {
          const bool skipped =
              (pooling_ == Pooling::kFirst && row > 0) || (pooling_ == Pooling::kLast && row < size - 1);
          for (size_t i = 0; !skipped && i < pooled.size(); ++i)
            pooled[i] =
                pooling_ == Pooling::kMax ? std::max(pooled[i], double{state[i]}) : pooled[i] + state[i];
        });
    if (!status.ok()) return status;
    double scale = pooling_ == Pooling::kMean ? 1.0 / static_cast<double>(size) : 1.0;
    if (normalizes_) {
      double square = 0;
      for (double value : pooled) square += value * value;
      scale = square > 0 ? 1 / std::sqrt(square) : 0;
    }
    for (size_t i = 0; i < pooled.size(); ++i) vector[i] = static_cast<float>(pooled[i] * scale);
    return {};
  }

  Pooling pooling_;
  bool normalizes_;
};

class EmbedNode::OfEncoder {
 public:
  explicit OfEncoder(const sdk::NodeConfig& config)
      : host_(config.host()),
        name_(config.name()),
        model_(*config.model<LanguageModel>("model")),
        max_requests_(config.max_requests()) {
    const SentenceModules& modules = model_.encoder()->modules;
    const sdk::Parameters parameters = config.parameters();
    options_.pooling = pooling_named(parameters.get_text("pooling")).value_or(modules.pooling);
    options_.normalizes =
        parameters.is_set("normalize") ? parameters.get_bool("normalize") : modules.normalizes;
  }

  void prepare(const sdk::Specs& inputs, const sdk::Plan& plan) {
    const TextBounds bounds(inputs);
    const bool known = bounds.count != WEFT_UNBOUNDED && max_requests_ > 0;
    const int64_t texts = known ? bounds.count * int64_t{max_requests_} : WEFT_UNBOUNDED;
    limits_ = EmbeddingLimits::of(model_, texts, bounds.each.max_bytes);
    bounds.set_output(plan, width());
    plan_embedding(model_, limits_, host_, plan);
    plan.set_max_batch(std::numeric_limits<uint32_t>::max());  // they are taken in turns
    plan.set_useful_batch(bounds.is_list ? 1 : kUsefulBatch);
  }

  Status execute(std::span<sdk::Request> requests, const sdk::Execution& execution);

 private:
  class Batch;
  static constexpr uint32_t kUsefulBatch = 64;  // sentences of some sixteen tokens fill a pass

  int64_t width() const { return model_.encoder()->network.config().width; }

  sdk::Host host_;
  std::string name_;
  const LanguageModel& model_;
  uint32_t max_requests_;
  EmbeddingOptions options_;
  EmbeddingLimits limits_;
};

/// The requests that an execute has and has not completed, as the embedder takes them.
class EmbedNode::OfEncoder::Batch {
 public:
  Batch(const OfEncoder& node, const sdk::Execution& execution) : node_(node), execution_(execution) {}

  /// Reads a request; one that cannot be read is completed with the reason.
  void add(sdk::Request& request) {
    Pending& pending = pending_.emplace_back();
    pending.request = &request;
    Status status = sdk::guarded([&] { return start(pending); });
    if (status.ok()) {
      ready_.push_back(&pending.job);
      return;
    }
    request.complete(status);
    pending_.pop_back();
  }
  std::vector<EmbeddingJob*> take_ready() { return std::exchange(ready_, {}); }
  /// Jobs of requests that have come since.
  std::vector<EmbeddingJob*> take_more() {
    std::erase_if(pending_, [](const Pending& pending) { return pending.request == nullptr; });
    constexpr size_t kMostPending = 256;
    const size_t room = pending_.size() < kMostPending ? kMostPending - pending_.size() : 0;
    for (sdk::Request* request : execution_.more(room)) add(*request);
    return take_ready();
  }

 private:
  struct Pending {
    sdk::Request* request = nullptr;  // null: completed
    Texts texts;
    sdk::NewTensor embedding;
    EmbeddingJob job;
  };

  Status start(Pending& pending) const {
    sdk::Request& request = *pending.request;
    Result<Texts> texts = Texts::of(request);
    if (!texts.ok()) return texts.status();
    pending.texts = *std::move(texts);
    Result<sdk::NewTensor> embedding = pending.texts.allocate(request, execution_, node_.width());
    if (!embedding.ok()) return embedding.status();
    pending.embedding = *std::move(embedding);
    EmbeddingJob& job = pending.job;
    job.texts = pending.texts.texts;
    job.add_special = add_special(request.parameters());
    job.control_text = control_text(request.parameters());
    job.vectors = pending.embedding.data<float>();
    job.cancelled = [&request] { return request.cancelled(); };
    job.on_progress = [&request, n = static_cast<int64_t>(job.texts.size())](int64_t done) {
      request.progress(done, n, "texts");
    };
    job.on_finished = [&pending](const Status& status) { finish(pending, status); };
    return {};
  }

  static void finish(Pending& pending, Status status) {
    sdk::Request& request = *std::exchange(pending.request, nullptr);
    if (status.ok())
      status = sdk::guarded([&] {
        return request.set_output(
            0, request.host().make_tensor(pending.embedding.buffer, pending.embedding.view));
      });
    request.complete(status);
  }

  const OfEncoder& node_;
  const sdk::Execution& execution_;
  std::list<Pending> pending_;  // jobs refer to theirs
  std::vector<EmbeddingJob*> ready_;
};

Status EmbedNode::OfEncoder::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  Batch batch(*this, execution);
  for (sdk::Request& request : requests) batch.add(request);
  TextEmbedder embedder(model_, options_, limits_, host_, execution);
  const Status status = embedder.run(batch.take_ready(), [&batch] { return batch.take_more(); });
  if (embedder.n_cut() > 0)
    host_.log(WEFT_LOG_WARNING, "'" + name_ + "': the model reads " +
                                    std::to_string(model_.encoder()->max_tokens) +
                                    " tokens of a text; the ends of " + std::to_string(embedder.n_cut()) +
                                    (embedder.n_cut() == 1 ? " text were" : " texts were") + " left out");
  return status;
}

EmbedNode::EmbedNode() = default;
EmbedNode::~EmbedNode() = default;

Result<std::unique_ptr<EmbedNode>> EmbedNode::create(const sdk::NodeConfig& config) {
  if (!config.input_connected(kText) && !config.input_connected(kTexts))
    return Status(StatusCode::kInvalidArgument, "text.embed takes a text, a list of texts, or both")
        .at("'" + std::string(config.name()) + "', ports 'text' and 'texts'")
        .got("none");
  std::unique_ptr<EmbedNode> node(new EmbedNode);
  const LanguageModel& model = *config.model<LanguageModel>("model");
  if (model.encoder() != nullptr) node->encoder_ = std::make_unique<OfEncoder>(config);
  else node->decoder_ = std::make_unique<OfDecoder>(config);
  return node;
}

Status EmbedNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  if (encoder_) encoder_->prepare(inputs, plan);
  else decoder_->prepare(inputs, plan);
  return {};
}

Status EmbedNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  if (encoder_) return encoder_->execute(requests, execution);
  for (sdk::Request& request : requests)
    request.complete(sdk::guarded([&] { return decoder_->run(request, execution); }));
  return {};
}

constexpr weft_node_type kEmbedNode = sdk::node<EmbedNode>({.name = "text.embed",
                                                            .help = "Turns texts into vectors.",
                                                            .version = 2,
                                                            .flags = WEFT_NODE_PURE,
                                                            .inputs = kInputs,
                                                            .outputs = kOutputs,
                                                            .parameters = kParameters});

}  // namespace weft::text
