#include "plugins/text/reading_nodes.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "kernels/ops/softmax/softmax.h"
#include "plugins/text/generation_parameters.h"
#include "plugins/text/prompt.h"

namespace weft::text {
namespace {

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;

double logprob(std::span<const float> logits, TokenId token) { return logits[token] - log_sum_exp(logits); }

Result<sdk::Value> int_list(const sdk::Request& request, std::span<const TokenId> ids) {
  std::vector<sdk::Value> items;
  items.reserve(ids.size());
  for (TokenId id : ids) {
    if (items.size() % 4096 == 0 && request.cancelled()) return sdk::Request::cancelled_status();
    Result<sdk::Value> item = request.host().make_int(id);
    if (!item.ok()) return item;
    items.push_back(*std::move(item));
  }
  return request.host().make_list(items, "int");
}

constexpr weft_port kTextInput[] = {sdk::port("text", "text", "The text.")};

// ---- text.tokenize ---------------------------------------------------------------------------------------------------

constexpr weft_port kTokenizeOutputs[] = {sdk::port("tokens", "list<int>", "The token ids."),
                                          sdk::port("count", "int", "How many.")};
constexpr weft_parameter kTokenizeParameters[] = {kModelParameter, kAddSpecial, kParseSpecial};

// ---- text.score ------------------------------------------------------------------------------------------------------

constexpr weft_port kScoreOutputs[] = {
    sdk::port("scores", "json",
              "{\"tokens\": [ids], \"logprobs\": [null, ...]}: natural logarithm of each token's probability "
              "after those "
              "before it."),
    sdk::port("perplexity", "float",
              "exp of minus the mean of the log-probabilities; 1 for a text of one token.")};
constexpr weft_parameter kScoreParameters[] = {kModelParameter, kKvTypeParameter, kAddSpecial, kParseSpecial};

// ---- text.choose -----------------------------------------------------------------------------------------------------

constexpr const char* kFormats[] = {"auto", "chat", "raw", nullptr};
constexpr const char* kNormalizations[] = {"sum", "mean", nullptr};
constexpr weft_port kChooseInputs[] = {sdk::port("prompt", "text", "The question.")};
constexpr weft_port kChooseOutputs[] = {
    sdk::port("choice", "text", "The likeliest option, as written."),
    sdk::port("probabilities", "json", "{option: probability}, summing to 1."),
    sdk::port("index", "int", "The choice's place in options, from 0.")};
constexpr weft_parameter kChooseParameters[] = {
    kModelParameter,
    kKvTypeParameter,
    sdk::parameter({.name = "options",
                    .type = "list<text>",
                    .help = "The answers to choose from, at least one.",
                    .flags = kPerRequest}),
    sdk::parameter({.name = "system",
                    .type = "text",
                    .default_json = "\"\"",
                    .help = "Instructions that stand before the question.",
                    .flags = kPerRequest}),
    sdk::parameter(
        {.name = "format",
         .type = "choice",
         .default_json = "\"auto\"",
         .choices = kFormats,
         .help =
             "auto: the model's chat template where it has one; chat: always; raw: the prompt as it is."}),
    sdk::parameter(
        {.name = "normalize",
         .type = "choice",
         .default_json = "\"sum\"",
         .choices = kNormalizations,
         .help =
             "sum: the probability of the whole option; mean: per token, so that length does not count."})};

struct Option {
  std::string text;
  std::vector<TokenId> tokens;
  double score = 0;
};

void score_options(std::span<Option> options, bool mean) {
  double largest = -INFINITY;
  for (Option& option : options) {
    if (mean) option.score /= static_cast<double>(option.tokens.size());
    largest = std::max(largest, option.score);
  }
  std::vector<float> shares;
  for (const Option& option : options) shares.push_back(static_cast<float>(option.score - largest));
  const auto n = static_cast<int64_t>(shares.size());
  softmax_rows(1, shares.data(), n, shares.data(), n, 1, n);
  for (size_t i = 0; i < options.size(); ++i) options[i].score = shares[i];
}

}  // namespace

TokenizeNode::TokenizeNode(const sdk::NodeConfig& config) : model_(config.model<LanguageModel>("model")) {}

Status TokenizeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const int64_t bytes = inputs[0].max_bytes;
  plan.set_output(0, sdk::list_spec(bytes == WEFT_UNBOUNDED ? bytes : bytes + kExtraTokens, WEFT_UNBOUNDED));
  plan.set_output(1, sdk::spec(WEFT_KIND_INT));
  return {};
}

Status TokenizeNode::run(sdk::Request& request, const sdk::Execution&) {
  const sdk::Value text = request.input(0);
  Result<std::vector<TokenId>> ids = encode_text(*model_, text.as_text(), request);
  if (!ids.ok()) return ids.status();
  if (Status status = request.set_output(0, int_list(request, *ids)); !status.ok()) return status;
  return request.set_output(1, request.host().make_int(static_cast<int64_t>(ids->size())));
}

Status ScoreNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan_memory(inputs[0], kExtraTokens, plan);
  plan.set_output(0, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_output(1, sdk::spec(WEFT_KIND_FLOAT));
  return {};
}

Status ScoreNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value text = request.input(0);
  Result<std::vector<TokenId>> ids = encode_text(*model_, text.as_text(), request);
  if (!ids.ok()) return ids.status();
  const auto size = static_cast<int64_t>(ids->size());
  if (Status status = check_length(size); !status.ok()) return status;

  nlohmann::json logprobs = nlohmann::json::array();
  double sum = 0;
  if (size > 0) logprobs.push_back(nullptr);
  if (size > 1) {
    Result<std::unique_ptr<DecoderPass>> pass = begin(kv_pages(size), request, execution);
    if (!pass.ok()) return pass.status();
    KvSequence sequence = (*pass)->cache().new_sequence();
    const std::span<const TokenId> known =
        std::span(*ids).first(size - 1);  // the last token predicts nothing
    Status status = evaluator(**pass, request)
                        .logits(sequence, known, 0, [&](int64_t row, std::span<const float> logits) {
                          const double value = logprob(logits, (*ids)[row + 1]);
                          logprobs.push_back(value);
                          sum += value;
                          request.progress(row + 1, size - 1, "tokens");
                        });
    if (!status.ok()) return status;
  }
  const nlohmann::ordered_json scores = {{"tokens", *ids}, {"logprobs", std::move(logprobs)}};
  if (Status status = request.set_output(0, request.host().make_json(scores.dump())); !status.ok())
    return status;
  return request.set_output(
      1, request.host().make_float(size > 1 ? std::exp(-sum / static_cast<double>(size - 1)) : 1));
}

ChooseNode::ChooseNode(const sdk::NodeConfig& config)
    : ReadingNode(config),
      format_(config.parameters().get_text("format") == "raw"    ? PromptFormat::kRaw
              : config.parameters().get_text("format") == "chat" ? PromptFormat::kChat
                                                                 : PromptFormat::kAuto),
      mean_(config.parameters().get_text("normalize") == "mean"),
      today_seconds_(format_ != PromptFormat::kRaw && model_->template_tells_date() ? config.today_seconds()
                                                                                    : 0) {}

Status ChooseNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan_memory(inputs[0], kExtraTokens, plan);
  plan.set_output(0, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_output(1, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_output(2, sdk::spec(WEFT_KIND_INT));
  return {};
}

Status ChooseNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value question = request.input(0);
  const sdk::Parameters parameters = request.parameters();
  PromptSource source;
  source.prompt = question.as_text();
  source.system = parameters.get_text("system");
  source.format = format_;
  source.now_seconds = today_seconds_;
  source.cancelled = [&request] { return request.cancelled(); };
  Result<std::vector<TokenId>> prompt = make_prompt(*model_, source);
  if (!prompt.ok()) return prompt.status();

  // The end of the answer belongs to it: otherwise "yes" could never be less likely than "yes and no".
  const SpecialTokens& special = model_->tokenizer().special();
  const std::optional<TokenId> end = special.eot ? special.eot : special.eos;
  std::vector<Option> options;
  size_t longest = 0;
  for (std::string& text : sdk::text_list(parameters, "options")) {
    Result<std::vector<TokenId>> ids =
        model_->tokenizer().encode(text, {.stop = [&request] { return request.cancelled(); }});
    if (!ids.ok()) return ids.status();
    if (end) ids->push_back(*end);
    if (ids->empty())
      return Status(StatusCode::kInvalidArgument, "an option is empty").at("parameter 'options'");
    longest = std::max(longest, ids->size());
    options.push_back({std::move(text), *std::move(ids), 0});
  }
  if (options.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to choose from").at("parameter 'options'");
  }
  const auto prompt_size = static_cast<int64_t>(prompt->size());
  const int64_t tokens = prompt_size + static_cast<int64_t>(longest);
  if (Status status = check_length(tokens); !status.ok()) return status;

  // The prompt's pages are shared by all options; each needs its own from the first page that it writes on.
  const int64_t pages = kv_pages(prompt_size) + kv_pages(static_cast<int64_t>(longest)) + 1;
  Result<std::unique_ptr<DecoderPass>> pass = begin(pages, request, execution);
  if (!pass.ok()) return pass.status();
  const Evaluator evaluator = this->evaluator(**pass, request);
  KvSequence sequence = (*pass)->cache().new_sequence();
  std::vector<float> after_prompt;
  Status status = evaluator.logits(
      sequence, *prompt, prompt_size - 1,
      [&](int64_t, std::span<const float> logits) { after_prompt.assign(logits.begin(), logits.end()); });
  for (size_t i = 0; status.ok() && i < options.size(); ++i) {
    Option& option = options[i];
    option.score = logprob(after_prompt, option.tokens.front());
    if (option.tokens.size() == 1) continue;
    KvSequence branch = sequence.fork();
    const std::span<const TokenId> known = std::span(option.tokens).first(option.tokens.size() - 1);
    status = evaluator.logits(branch, known, 0, [&](int64_t row, std::span<const float> logits) {
      option.score += logprob(logits, option.tokens[row + 1]);
    });
    request.progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(options.size()), "options");
  }
  if (!status.ok()) return status;

  score_options(options, mean_);
  const auto best = std::ranges::max_element(options, {}, &Option::score);
  nlohmann::ordered_json probabilities = nlohmann::ordered_json::object();
  for (const Option& option : options) probabilities[option.text] = option.score;
  if (status = request.set_output(0, request.host().make_text(best->text)); !status.ok()) return status;
  if (status = request.set_output(1, request.host().make_json(probabilities.dump())); !status.ok())
    return status;
  return request.set_output(2, request.host().make_int(best - options.begin()));
}

constexpr weft_node_type kTokenizeNode =
    sdk::node<TokenizeNode>({.name = "text.tokenize",
                             .help = "Splits a text into a model's tokens.",
                             .flags = WEFT_NODE_PURE,
                             .inputs = kTextInput,
                             .outputs = kTokenizeOutputs,
                             .parameters = kTokenizeParameters});
constexpr weft_node_type kScoreNode =
    sdk::node<ScoreNode>({.name = "text.score",
                          .help = "Tells how likely a language model finds each token of a text.",
                          .flags = WEFT_NODE_PURE,
                          .inputs = kTextInput,
                          .outputs = kScoreOutputs,
                          .parameters = kScoreParameters});
constexpr weft_node_type kChooseNode = sdk::node<ChooseNode>(
    {.name = "text.choose",
     .help = "Lets a language model choose one of several answers; made to steer a \"when\".",
     .flags = WEFT_NODE_PURE,
     .inputs = kChooseInputs,
     .outputs = kChooseOutputs,
     .parameters = kChooseParameters});

}  // namespace weft::text
