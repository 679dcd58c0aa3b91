#include "plugins/text/generate_node.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "plugins/text/decoder_pass.h"
#include "plugins/text/generation_parameter_table.h"
#include "plugins/text/generation_parameters.h"
#include "plugins/text/picture_prompt.h"
#include "plugins/text/reading_node.h"

namespace weft::text {
namespace {

using sdk::optional_port;
using sdk::parameter;
using sdk::port;

enum Input : size_t { kPrompt, kMessages, kSystem, kTools, kImage, kImages };
constexpr weft_port kInputs[] = {
    optional_port("prompt", "text", "What to answer or continue; in a conversation the user's last turn."),
    optional_port("messages", "json", "A conversation: [{\"role\": \"user\", \"content\": \"...\"}, ...]."),
    optional_port("system", "text", "Instructions that stand before the conversation."),
    optional_port("tools", "json",
                  "Functions that the model may call, as JSON schemas; the chat template shows them."),
    optional_port(
        "image", "image",
        "A picture, or several of one size, for a model that sees; shown before the prompt, or where "
        "messages have {\"type\": \"image\"}."),
    optional_port("images", "list<image>", "Many, of any sizes; after the image, if both are there.")};

enum Output : size_t { kText, kTokens, kLogprobs, kFinishReason, kTexts, kConversation };
constexpr weft_port kOutputs[] = {
    port("text", "text", "The generated text; streams while it is made if n is 1."),
    port("tokens", "list<int>", "Its token ids."),
    optional_port("logprobs", "json",
                  "With parameter logprobs: [{token, logprob, top: [{token, logprob}]}], in nats."),
    port("finish_reason", "text",
         "\"stop\": the model or a stop text ended it; \"length\": max_tokens or n_ctx did."),
    port("texts", "list<text>", "All n texts."),
    port("messages", "json", "The conversation with the answer appended.")};

constexpr const char* kModelTypes[] = {"text.language_model", nullptr};
constexpr const char* kFormats[] = {"auto", "chat", "raw", nullptr};
constexpr const char* kTruncations[] = {"error", "left", "middle", nullptr};

constexpr weft_parameter kOwnParameters[] = {
    parameter({.name = "model", .type = "model", .choices = kModelTypes, .help = "The language model."}),
    parameter({.name = "n_ctx",
               .type = "int",
               .default_json = "0",
               .minimum = 0,
               .maximum = 1 << 24,
               .unit = "tokens",
               .help = "Most tokens of prompt and answer together; 0: what the model was trained for."}),
    parameter({.name = "kv_type",
               .type = "choice",
               .default_json = "\"f16\"",
               .choices = kKvTypes,
               .help = "How past keys and values are stored."}),
    parameter({.name = "truncate",
               .type = "choice",
               .default_json = "\"error\"",
               .choices = kTruncations,
               .help = "What happens when the prompt leaves no room for the answer: an error, or its "
                       "beginning or middle "
                       "is dropped."}),
    parameter({.name = "max_batch",
               .type = "int",
               .default_json = "32",
               .minimum = 1,
               .maximum = 1024,
               .help = "Most texts that are generated together."}),
    parameter(
        {.name = "parse_special",
         .type = "bool",
         .default_json = "false",
         .help =
             "Reads control tokens such as <|im_end|> in the inputs as such. Not for text from strangers."}),
    parameter({.name = "template_variables",
               .type = "json",
               .default_json = "{}",
               .help = "Further variables of the chat template: {\"enable_thinking\": false}."})};
constexpr weft_parameter kFormat[] = {parameter(
    {.name = "format",
     .type = "choice",
     .default_json = "\"auto\"",
     .choices = kFormats,
     .help = "auto: the model's chat template where it has one; chat: always; raw: the prompt as it is."})};

constexpr auto kGenerateParameters = sdk::joined(kOwnParameters, kFormat, kGenerationParameters);
constexpr auto kChatParameters = sdk::joined(kOwnParameters, kGenerationParameters);

Truncation truncation(std::string_view name) {
  return name == "left" ? Truncation::kLeft : name == "middle" ? Truncation::kMiddle : Truncation::kError;
}

/// What a chat template adds around a prompt, at most; a longer one makes the run ask for its exact size.
constexpr int64_t kTemplateTokens = 1024;
/// Together with at most one decoder pass over that many tokens, cancelling is prompt.
constexpr int64_t kStepTokens = 512;

int64_t longest_token_bytes(const Tokenizer& tokenizer) {
  size_t longest = 1;
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    longest = std::max(longest, tokenizer.token_bytes(id).size());
  }
  return static_cast<int64_t>(longest);
}

nlohmann::json logprobs_json(std::span<const TokenRecord> records, const Tokenizer& tokenizer) {
  const auto entry = [&](TokenId token, float logprob) {
    const std::string text = tokenizer.decode({&token, 1}, {.control_tokens = ControlTokens::kSpell,
                                                            .invalid_utf8 = InvalidUtf8::kReplace,
                                                            .position = DecodePosition::kWithinText});
    return nlohmann::json{{"id", token}, {"token", text}, {"logprob", logprob}};
  };
  nlohmann::json list = nlohmann::json::array();
  for (const TokenRecord& record : records) {
    nlohmann::json item = entry(record.token, record.logprob);
    item["top"] = nlohmann::json::array();
    for (const TokenLogprob& top : record.top) item["top"].push_back(entry(top.token, top.logprob));
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace

std::span<const weft_port> generation_inputs() { return kInputs; }
std::span<const weft_port> generation_outputs() { return kOutputs; }
std::span<const weft_parameter> generate_parameters() { return kGenerateParameters; }
std::span<const weft_parameter> chat_parameters() { return kChatParameters; }

/// A request under way and the texts that it still waits for.
struct GenerationNode::Pending {
  sdk::Request* request = nullptr;
  GenerationParameters parameters;
  std::vector<TokenId> prompt;
  std::vector<std::shared_ptr<const PictureRows>> rows;  // of each picture
  std::vector<PromptPicture> pictures;
  std::vector<Job> jobs;  // one a text
  std::vector<std::optional<JobResult>> results;
  size_t waiting = 0;
  Status failure;
};

/// The requests that an execute has and has not completed, as the engine takes them.
class GenerationNode::Batch {
 public:
  /// encoded: null for a model that sees no pictures.
  Batch(const GenerationNode& node, EncodedPictures* encoded) : node_(node), encoded_(encoded) {}

  /// Reads a request; one that cannot be read is completed with the reason.
  void add(sdk::Request& request) {
    Pending& pending = pending_.emplace_back();
    pending.request = &request;
    Status status = sdk::guarded([&] { return node_.start(pending, encoded_); });
    if (!status.ok()) {
      request.complete(status);
      pending_.pop_back();
      return;
    }
    for (Job& job : pending.jobs) ready_.push_back(&job);
  }
  /// Jobs that the engine has not got yet.
  const std::vector<Job*>& ready() const { return ready_; }
  std::vector<Job*> take_ready() {
    std::erase_if(pending_, [](const Pending& pending) { return pending.waiting == 0; });
    return std::exchange(ready_, {});
  }

 private:
  const GenerationNode& node_;
  EncodedPictures* encoded_;
  std::list<Pending> pending_;  // jobs refer to theirs
  std::vector<Job*> ready_;
};

Result<std::unique_ptr<GenerateNode>> GenerateNode::create(const sdk::NodeConfig& config) {
  return create_on_decoder<GenerateNode>(config);
}
Result<std::unique_ptr<ChatNode>> ChatNode::create(const sdk::NodeConfig& config) {
  return create_on_decoder<ChatNode>(config);
}

GenerateNode::GenerateNode(const sdk::NodeConfig& config)
    : GenerationNode(config, config.parameters().get_text("format") == "raw"    ? PromptFormat::kRaw
                             : config.parameters().get_text("format") == "chat" ? PromptFormat::kChat
                                                                                : PromptFormat::kAuto) {}

GenerationNode::GenerationNode(const sdk::NodeConfig& config, PromptFormat format)
    : host_(config.host()),
      parameters_(config.parameters()),
      model_(config.model<LanguageModel>("model")),
      format_(format),
      kv_layout_(model_->kv_layout(kv_format(parameters_.get_text("kv_type")))),
      context_(parameters_.get_int("n_ctx")),
      max_tokens_(parameters_.get_int("max_tokens")),
      n_(parameters_.get_int("n")),
      max_requests_(config.max_requests()),
      truncation_(truncation(parameters_.get_text("truncate"))),
      sees_(model_->pictures() != nullptr &&
            (config.input_connected(kImage) || config.input_connected(kImages))),
      today_seconds_(format != PromptFormat::kRaw && model_->template_tells_date() ? config.today_seconds()
                                                                                   : 0) {
  const int64_t trained = model_->config().context_length;
  if (context_ == 0) context_ = trained;
}

int64_t GenerationNode::pictures_bound(const sdk::Specs& inputs) const {
  if (!sees_) return 0;
  const weft_spec& image = inputs[kImage];
  // As many as the context has room for, where it is not known: each element of a list may be several.
  const int64_t room = std::max<int64_t>(1, context_ / model_->pictures()->network.n_rows());
  if (inputs[kImages].kind != 0 || image.kind != WEFT_KIND_TENSOR || image.rank != 4) return room;
  return image.shape[0] == WEFT_UNBOUNDED ? room : std::min(room, image.shape[0]);
}

int64_t GenerationNode::prompt_bound(const sdk::Specs& inputs) const {
  int64_t bytes = 0;
  for (const Input port : {kPrompt, kMessages, kSystem, kTools}) {
    if (inputs[port].kind == 0) continue;  // not connected
    if (inputs[port].max_bytes == WEFT_UNBOUNDED) return context_;
    bytes += inputs[port].max_bytes;
  }
  const int64_t pictures = sees_ ? pictures_bound(inputs) * model_->pictures()->tokens_of_picture() : 0;
  return std::min(context_, bytes + pictures + kTemplateTokens);  // a token is at least one byte
}

Status GenerationNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  if (context_ < 2)
    return Status(StatusCode::kInvalidArgument, "n_ctx leaves no room").expected("at least 2 tokens");
  const bool shown = inputs[kImage].kind != 0 || inputs[kImages].kind != 0;
  if (shown && model_->pictures() == nullptr) return sees_no_pictures(*model_);
  // Known before anything is loaded.
  if (format_ == PromptFormat::kChat && model_->chat_template().code() == StatusCode::kNotFound) {
    return no_chat_template(*model_);
  }
  const DecoderConfig& config = model_->config();
  if (config.learned_positions && context_ > config.context_length) {
    return Status(StatusCode::kInvalidArgument, "n_ctx is beyond the model's learned positions")
        .expected("at most " + std::to_string(config.context_length))
        .got(std::to_string(context_));
  }
  const int64_t prompt_tokens = prompt_bound(inputs);
  const int64_t text_tokens = std::min(context_, prompt_tokens + max_tokens_);
  const int64_t max_batch = parameters_.get_int("max_batch");
  const int64_t texts = max_requests_ == 0 ? max_batch : std::min<int64_t>(max_batch, max_requests_ * n_);
  limits_.max_sequences = std::max<int64_t>(texts, 1);
  limits_.max_step_tokens =
      std::max<int64_t>(limits_.max_sequences, std::min<int64_t>(kStepTokens, prompt_tokens * texts));
  BesidePass beside;
  if (sees_) {
    const PictureReader& reader = *model_->pictures();
    if (config.pictures_see_themselves)
      limits_.max_step_tokens =
          std::max(limits_.max_step_tokens, limits_.max_sequences + reader.network.n_rows());
    beside.workspace_bytes = model_->device() ? reader.device_workspace_bytes()
                                              : reader.workspace_bytes(host_.executor().max_threads());
    beside.state_bytes = pictures_bound(inputs) * limits_.max_sequences * reader.network.rows_bytes();
  }
  n_pages_ = kv_pages(text_tokens) * limits_.max_sequences;

  const int64_t text_bytes =
      3 * max_tokens_ * longest_token_bytes(model_->tokenizer());  // 3: U+FFFD for one byte
  plan.set_output(kText, sdk::bytes_spec(text_bytes));
  plan.set_output(kTokens, sdk::list_spec(max_tokens_, WEFT_UNBOUNDED));
  plan.set_output(kLogprobs, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_output(kFinishReason, sdk::bytes_spec(8));
  plan.set_output(kTexts, sdk::list_spec(n_, text_bytes));
  plan.set_output(kConversation, sdk::bytes_spec(WEFT_UNBOUNDED));
  plan.set_max_batch(std::numeric_limits<uint32_t>::max());  // the engine takes them in turns
  plan.set_useful_batch(static_cast<uint32_t>((max_batch + n_ - 1) / n_));
  plan_pass(*model_, kv_layout_, Engine::pass_limits(limits_, n_pages_), plan, beside);
  const double weights = static_cast<double>(model_->weights_bytes());
  plan.set_cost_seconds(weights / 20e9 *
                        static_cast<double>(max_tokens_ * n_));  // decoding reads all weights a token
  return {};
}

Result<std::vector<TokenId>> GenerationNode::prompt(const sdk::Request& request, int64_t n_pictures) const {
  const sdk::Value prompt = request.input(kPrompt), messages = request.input(kMessages);
  const sdk::Value system = request.input(kSystem), tools = request.input(kTools);
  const auto text = [](const sdk::Value& value) { return value ? value.as_text() : std::string_view(); };
  Result<std::vector<TokenId>> tokens = make_prompt(
      *model_,
      {.prompt = text(prompt),
       .messages_json = text(messages),
       .system = text(system),
       .tools_json = text(tools),
       .template_variables_json = parameters_.get_text("template_variables"),
       .n_pictures = n_pictures,
       .format = format_,
       .control_text = parameters_.get_bool("parse_special") ? ControlText::kIsToken : ControlText::kIsText,
       .now_seconds = today_seconds_,
       .cancelled = [&request] { return request.cancelled(); }});
  if (!tokens.ok()) return tokens;
  if (tokens->empty()) return Status(StatusCode::kInvalidArgument, "the prompt has no tokens");
  // Without truncation the answer may be cut short; with it, there is room for all of it. Pictures are not cut.
  const Truncation truncation = n_pictures > 0 ? Truncation::kError : truncation_;
  const int64_t room = truncation == Truncation::kError ? 1 : std::min(max_tokens_, context_ / 2);
  Status status = fit_prompt(*tokens, context_ - room, truncation, model_->tokenizer());
  if (!status.ok() && n_pictures > 0)
    return std::move(status).hint("raise n_ctx if the model allows it, or give fewer pictures: each takes " +
                                  std::to_string(model_->pictures()->network.n_rows()) +
                                  " tokens, and a prompt with pictures is not truncated");
  if (!status.ok()) return status;
  return tokens;
}

/// A request's prompt, and the rows of its pictures.
Status GenerationNode::read_pictures(Pending& pending, EncodedPictures* encoded) const {
  const sdk::Request& request = *pending.request;
  std::vector<Picture> pictures;
  if (Status read = append_pictures(request.input(kImage), "image", &pictures); !read.ok()) return read;
  if (Status read = append_pictures(request.input(kImages), "images", &pictures); !read.ok()) return read;
  int64_t n_pictures = 0;
  for (const Picture& picture : pictures) n_pictures += picture.shape().count;
  Result<std::vector<TokenId>> tokens = prompt(request, n_pictures);
  if (!tokens.ok()) return tokens.status();
  pending.prompt = *std::move(tokens);
  if (n_pictures == 0) return {};
  const PictureReader& reader = *model_->pictures();
  const Result<std::vector<int64_t>> places = picture_places(pending.prompt, reader, n_pictures);
  if (!places.ok()) return places.status();
  const RowsMemory memory = model_->device() ? RowsMemory::kDevice : RowsMemory::kHost;
  const std::function<bool()> cancelled = [&request] { return request.cancelled(); };
  for (const Picture& picture : pictures)
    for (int64_t i = 0; i < picture.shape().count; ++i) {
      request.progress(static_cast<int64_t>(pending.rows.size()), n_pictures, "pictures");
      Result<std::shared_ptr<const PictureRows>> rows = encoded->of(picture, i, cancelled);
      if (!rows.ok()) return rows.status();
      pending.pictures.push_back(
          {(*places)[pending.rows.size()], reader.network.n_rows(), (*rows)->rows(), memory});
      pending.rows.push_back(*std::move(rows));
    }
  return {};
}

/// Reads a request and makes its jobs.
Status GenerationNode::start(Pending& pending, EncodedPictures* encoded) const {
  sdk::Request& request = *pending.request;
  Result<GenerationParameters> parameters =
      read_generation_parameters(request.parameters(), model_->tokenizer());
  if (!parameters.ok()) return parameters.status();
  pending.parameters = *std::move(parameters);
  if (Status status = read_pictures(pending, encoded); !status.ok()) return status;
  std::shared_ptr<const TokenTrie> trie;
  if (pending.parameters.grammar) {
    Result<std::shared_ptr<const TokenTrie>> built = model_->token_trie();
    if (!built.ok()) return built.status();
    trie = *std::move(built);
  }
  pending.results.resize(n_);
  pending.waiting = n_;
  const int64_t max_tokens = std::min(max_tokens_, context_ - static_cast<int64_t>(pending.prompt.size()));
  for (int64_t i = 0; i < n_; ++i) {
    Job job;
    job.prompt = pending.prompt;
    job.pictures = pending.pictures;
    job.sampling = pending.parameters.sampling;
    job.sampling.seed += static_cast<uint64_t>(i);
    job.max_tokens = max_tokens;
    job.stop = pending.parameters.stop;
    if (trie) job.constraint.emplace(*pending.parameters.grammar, trie);
    job.top_logprobs = pending.parameters.top_logprobs;
    job.cancelled = [&request] { return request.cancelled(); };
    if (n_ == 1) {
      job.on_text = [&request](std::string_view part) {
        // A part that the host cannot take is not lost: the whole text is set at the end.
        static_cast<void>(request.emit_text(kText, part).ok());
      };
    }
    job.on_finished = [this, &pending, i](Result<JobResult> result) {
      if (result.ok()) {
        pending.results[i] = *std::move(result);
      } else if (pending.failure.ok()) {
        pending.failure = result.status();
      }
      if (--pending.waiting == 0) finish(pending);
    };
    pending.jobs.push_back(std::move(job));
  }
  return {};
}

Status GenerationNode::set_outputs(Pending& pending) const {
  const sdk::Request& request = *pending.request;
  const JobResult& first = *pending.results.front();
  std::vector<sdk::Value> tokens, texts;
  for (TokenId token : first.tokens) {
    Result<sdk::Value> value = host_.make_int(token);
    if (!value.ok()) return value.status();
    tokens.push_back(*std::move(value));
  }
  for (const std::optional<JobResult>& result : pending.results) {
    Result<sdk::Value> value = host_.make_text(result->text);
    if (!value.ok()) return value.status();
    texts.push_back(*std::move(value));
  }
  const sdk::Value prompt = request.input(kPrompt), messages = request.input(kMessages),
                   system = request.input(kSystem);
  const auto text = [](const sdk::Value& value) { return value ? value.as_text() : std::string_view(); };
  PromptSource source;
  source.prompt = text(prompt);
  source.messages_json = text(messages);
  source.system = text(system);
  source.n_pictures = static_cast<int64_t>(pending.rows.size());
  Result<std::string> conversation = conversation_json(source);
  if (!conversation.ok()) return conversation.status();
  nlohmann::ordered_json all = nlohmann::ordered_json::parse(*conversation);
  all.push_back({{"role", "assistant"}, {"content", first.text}});

  if (Status status = request.set_output(kText, texts.front()); !status.ok()) return status;
  if (Status status = request.set_output(kTokens, host_.make_list(tokens, "int")); !status.ok())
    return status;
  if (Status status = request.set_output(kTexts, host_.make_list(texts, "text")); !status.ok()) return status;
  if (Status status = request.set_output(kFinishReason, host_.make_text(to_string(first.reason)));
      !status.ok())
    return status;
  if (Status status = request.set_output(kConversation, host_.make_json(all.dump())); !status.ok())
    return status;
  if (pending.parameters.top_logprobs < 0) return {};
  return request.set_output(kLogprobs,
                            host_.make_json(logprobs_json(first.logprobs, model_->tokenizer()).dump()));
}

void GenerationNode::finish(Pending& pending) const {
  Status status = pending.failure;
  if (status.ok()) status = sdk::guarded([&] { return set_outputs(pending); });
  pending.request->complete(status);
}

Status GenerationNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  std::optional<EncodedPictures> encoded;
  if (sees_) {
    Result<EncodedPictures> pictures =
        EncodedPictures::begin(*model_->pictures(), model_->device(), host_, execution);
    if (!pictures.ok()) return pictures.status();
    encoded.emplace(*std::move(pictures));
  }
  Batch batch(*this, encoded ? &*encoded : nullptr);
  for (sdk::Request& request : requests) batch.add(request);
  if (batch.ready().empty()) return {};
  int64_t n_pages = n_pages_;   // room for whoever may join
  if (!execution.may_grow()) {  // what these jobs need, which is often less than the plan's bound
    int64_t pages = 0;
    for (const Job* job : batch.ready())
      pages += kv_pages(static_cast<int64_t>(job->prompt.size()) + job->max_tokens);
    n_pages = std::min(pages, n_pages_);
  }
  Result<std::unique_ptr<DecoderPass>> pass =
      begin_pass(*model_, kv_layout_, Engine::pass_limits(limits_, n_pages), host_, execution);
  if (!pass.ok()) return pass.status();
  Engine engine(**pass, model_->tokenizer(), host_.executor(), limits_);
  return engine.run({}, [&](int64_t room) {
    room -= static_cast<int64_t>(batch.ready().size());
    const int64_t joining = std::max<int64_t>(room, 0) / n_;
    for (sdk::Request* request : execution.more(static_cast<size_t>(joining))) batch.add(*request);
    return batch.take_ready();
  });
}

}  // namespace weft::text
