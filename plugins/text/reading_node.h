/// What the nodes that read a text with a language model share: model, KV cache for one text at a time, workspace.
#ifndef WEFT_PLUGINS_TEXT_READING_NODE_H
#define WEFT_PLUGINS_TEXT_READING_NODE_H

#include <weft/sdk/plugin.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "plugins/text/decoder_pass.h"
#include "plugins/text/evaluator.h"
#include "plugins/text/language_model.h"

namespace weft::text {

inline constexpr const char* kLanguageModels[] = {"text.language_model", nullptr};
inline constexpr weft_parameter kModelParameter = sdk::parameter(
    {.name = "model", .type = "model", .choices = kLanguageModels, .help = "The language model."});
inline constexpr weft_parameter kKvTypeParameter =
    sdk::parameter({.name = "kv_type",
                    .type = "choice",
                    .default_json = "\"f16\"",
                    .choices = kKvTypes,
                    .help = "How past keys and values are stored."});

/// What the model's own tokens and a chat template add to a text when the plan sizes the cache.
inline constexpr int64_t kExtraTokens = 1024;

inline constexpr weft_parameter kParseSpecial =
    sdk::parameter({.name = "parse_special",
                    .type = "bool",
                    .default_json = "false",
                    .help = "Reads control tokens such as <|im_end|> in the text as such.",
                    .flags = WEFT_PARAMETER_PER_REQUEST});
inline constexpr weft_parameter kAddSpecial =
    sdk::parameter({.name = "add_special",
                    .type = "bool",
                    .default_json = "true",
                    .help = "Adds the tokens that the model expects around a text.",
                    .flags = WEFT_PARAMETER_PER_REQUEST});
/// Whether the tokens that the model expects around a text are added.
inline AddSpecial add_special(const sdk::Parameters& parameters) {
  return parameters.get_bool("add_special") ? AddSpecial::kAsModelDeclares : AddSpecial::kNone;
}
inline ControlText control_text(const sdk::Parameters& parameters) {
  return parameters.get_bool("parse_special") ? ControlText::kIsToken : ControlText::kIsText;
}

/// As the request's parameters add_special and parse_special say.
inline Result<std::vector<TokenId>> encode_text(const LanguageModel& model, std::string_view text,
                                                const sdk::Request& request) {
  const sdk::Parameters parameters = request.parameters();
  return model.tokenizer().encode(text, {.add_special = add_special(parameters),
                                         .control_text = control_text(parameters),
                                         .stop = [&request] { return request.cancelled(); }});
}

/// A node that needs a model which writes; others are refused before anything loads.
template <typename Node>
Result<std::unique_ptr<Node>> create_on_decoder(const sdk::NodeConfig& config) {
  const LanguageModel& model = *config.model<LanguageModel>("model");
  if (model.encoder() == nullptr) return std::make_unique<Node>(config);
  return Status(StatusCode::kUnsupported, "this model turns texts into vectors and writes none")
      .at(model.path())
      .expected("a model that writes (llama, qwen3, gemma3 and others)")
      .got("an encoder")
      .hint("text.embed and text.tokenize take it");
}

class ReadingNode {
 protected:
  explicit ReadingNode(const sdk::NodeConfig& config)
      : model_(config.model<LanguageModel>("model")),
        kv_layout_(model_->kv_layout(kv_format(config.parameters().get_text("kv_type")))) {}

  int64_t context_length() const { return model_->config().context_length; }

  /// `input`: bounds of the text. Longer texts than the model's context are refused when they come.
  void plan_memory(const weft_spec& input, int64_t extra_tokens, const sdk::Plan& plan) const {
    int64_t tokens = context_length();
    if (input.max_bytes != WEFT_UNBOUNDED) tokens = std::min(tokens, input.max_bytes + extra_tokens);
    plan_pass(*model_, kv_layout_, Evaluator::limits(model_->config(), kv_pages(tokens)), plan);
  }
  /// For texts of `pages` pages.
  Result<std::unique_ptr<DecoderPass>> begin(int64_t pages, const sdk::Request& request,
                                             const sdk::Execution& execution) const {
    return begin_pass(*model_, kv_layout_, Evaluator::limits(model_->config(), pages), request.host(),
                      execution);
  }

  Status check_length(int64_t tokens) const {
    if (tokens <= context_length()) return {};
    return Status(StatusCode::kOutOfRange, "the text is too long for the model")
        .expected("at most " + std::to_string(context_length()) + " tokens")
        .got(std::to_string(tokens) + " tokens");
  }

  static Evaluator evaluator(DecoderPass& pass, const sdk::Request& request) {
    return Evaluator(pass, [&request] { return request.cancelled(); });
  }

  LanguageModel* model_;
  KvLayout kv_layout_;
};

}  // namespace weft::text
#endif
