#include "plugins/text/embed_bench_node.h"

#include <weft/sdk/measure.h>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/text/bench_node.h"
#include "plugins/text/reading_node.h"

namespace weft::text {
namespace {

constexpr weft_port kOutputs[] = {
    sdk::port("report", "json", "texts_per_s and tokens_per_s, medians; batch_s: of one batch; load_ms.")};
constexpr weft_parameter kParameters[] = {
    kModelParameter,
    sdk::parameter({.name = "batch",
                    .type = "int",
                    .default_json = "32",
                    .minimum = 1,
                    .maximum = 65536,
                    .help = "Texts at once."}),
    sdk::parameter({.name = "tokens",
                    .type = "int",
                    .default_json = "128",
                    .minimum = 1,
                    .maximum = 1 << 20,
                    .unit = "tokens",
                    .help = "Of each text, with the tokens around it; at most what the model reads."}),
    sdk::repetitions_parameter("5")};

}  // namespace

Result<std::unique_ptr<EmbedBenchNode>> EmbedBenchNode::create(const sdk::NodeConfig& config) {
  const LanguageModel& model = *config.model<LanguageModel>("model");
  if (model.encoder() == nullptr)
    return Status(StatusCode::kUnsupported, "this model writes texts; what is measured here is an encoder")
        .at(model.path())
        .hint("`weft bench text` measures it");
  const int64_t most = model.encoder()->network.config().longest_text();
  if (config.parameters().get_int("tokens") > most)
    return Status(StatusCode::kOutOfRange, "the texts are longer than the model's positions")
        .at("parameter 'tokens'")
        .expected("at most " + std::to_string(most));
  return std::make_unique<EmbedBenchNode>(config);
}

EmbedBenchNode::EmbedBenchNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      model_(*config.model<LanguageModel>("model")),
      batch_(config.parameters().get_int("batch")),
      tokens_(config.parameters().get_int("tokens")),
      repetitions_(config.parameters().get_int("repetitions")),
      limits_(EmbeddingLimits::of_tokens(model_, batch_, tokens_)) {}

Status EmbedBenchNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  plan_embedding(model_, limits_, host_, plan);
  return {};
}

Status EmbedBenchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const int64_t width = model_.encoder()->network.config().width;
  std::vector<float> vectors(static_cast<size_t>(batch_ * width));
  std::vector<std::vector<TokenId>> texts(static_cast<size_t>(batch_));
  for (size_t s = 0; s < texts.size(); ++s)
    for (int64_t i = 0; i < tokens_; ++i)
      texts[s].push_back(some_token(model_.tokenizer(), static_cast<int64_t>(s), i));
  TextEmbedder embedder(model_, {}, limits_, host_, execution);
  const auto seconds = sdk::median_seconds(request, repetitions_, [&]() -> Status {
    EmbeddingJob job;
    job.tokens = texts;
    job.vectors = vectors.data();
    job.cancelled = [&request] { return request.cancelled(); };
    Status done;
    job.on_finished = [&done](const Status& status) { done = status; };
    if (Status status = embedder.run({&job}, {}); !status.ok()) return status;
    return done;
  });
  if (!seconds.ok()) return seconds.status();
  const double batch_s = seconds->front();
  const auto texts_per_s = static_cast<double>(batch_) / batch_s;
  const nlohmann::ordered_json report = {{"texts_per_s", texts_per_s},
                                         {"tokens_per_s", texts_per_s * static_cast<double>(tokens_)},
                                         {"batch_s", batch_s},
                                         {"load_ms", model_.load_seconds() * 1e3},
                                         {"batch", batch_},
                                         {"tokens", tokens_},
                                         {"repetitions", repetitions_}};
  return request.set_output(0, request.host().make_json(report.dump()));
}

constexpr weft_node_type kEmbedBenchNode =
    sdk::node<EmbedBenchNode>({.name = "text.embed_bench",
                               .help = "Measures how fast an encoder turns texts into vectors here.",
                               .flags = WEFT_NODE_NONDETERMINISTIC,
                               .outputs = kOutputs,
                               .parameters = kParameters});

}  // namespace weft::text
