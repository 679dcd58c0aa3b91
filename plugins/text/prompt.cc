#include "plugins/text/prompt.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

#include "plugins/text/language_model.h"
#include "plugins/text/picture_prompt.h"

namespace weft::text {
namespace {

using Json = nlohmann::ordered_json;  // templates print arguments of tool calls in their order

std::string_view spelling(const Tokenizer& tokenizer, const std::optional<TokenId>& id) {
  return id ? tokenizer.token_piece(*id) : std::string_view();
}

// Deeper messages than any template prints; nlohmann's dump() recurses.
constexpr int kMaxNesting = 100;

// How deeply brackets nest, outside of strings; right for JSON, and an upper bound for what is not.
int nesting(std::string_view json) {
  int depth = 0, deepest = 0;
  bool within_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (within_string) {
      if (c == '\\') ++i;
      within_string = c != '"';
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    } else {
      within_string = c == '"';
    }
  }
  return deepest;
}

Result<Json> conversation(const PromptSource& source) {
  Json messages = Json::array();
  if (!source.messages_json.empty()) {
    if (nesting(source.messages_json) > kMaxNesting) {
      return Status(StatusCode::kOutOfRange, "the messages nest too deeply")
          .expected("at most " + std::to_string(kMaxNesting) + " levels");
    }
    messages = Json::parse(source.messages_json, nullptr, false);
    const auto is_message = [](const Json& item) { return item.is_object() && item.contains("role"); };
    if (!messages.is_array() || !std::ranges::all_of(messages, is_message)) {
      return Status(StatusCode::kInvalidArgument, "the messages cannot be read")
          .expected("a JSON array of {\"role\": ..., \"content\": ...}")
          .got(std::string(source.messages_json.substr(0, 80)));
    }
  }
  if (!source.system.empty()) {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", source.system}});
  }
  if (!source.prompt.empty()) messages.push_back({{"role", "user"}, {"content", source.prompt}});
  if (source.n_pictures > 0)
    if (Status shown = show_pictures(messages, source.n_pictures); !shown.ok()) return shown;
  return messages;
}

// A prompt may hold any bytes; JSON may not, and the template works on characters.
std::string to_text(const Json& messages) {
  return messages.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The messages as the model's template reads them.
Result<std::string> template_messages(const LanguageModel& model, const PromptSource& source) {
  Result<Json> messages = conversation(source);
  if (!messages.ok()) return messages.status();
  if (model.pictures() && source.n_pictures == 0)  // which says when messages show some
    if (Status none = show_pictures(*messages, 0); !none.ok()) return none;
  // Templates that show pictures go through lists of parts; others print what they find.
  const bool shows = model.tokenizer().chat_template().find("image") != std::string_view::npos;
  if (model.pictures() && shows) contents_to_parts(*messages);
  return to_text(*messages);
}

Result<std::vector<TokenId>> chat_prompt(const LanguageModel& model, const PromptSource& source) {
  Result<std::string> messages = template_messages(model, source);
  if (!messages.ok()) return messages.status();
  const Tokenizer& tokenizer = model.tokenizer();
  const SpecialTokens& special = tokenizer.special();
  Result<RenderedChat> chat =
      model.chat_template()->render({.messages_json = *messages,
                                     .tools_json = source.tools_json,
                                     .documents_json = {},
                                     .extra_json = source.template_variables_json,
                                     .generation_prompt = GenerationPrompt::kAdd,
                                     .bos_token = spelling(tokenizer, special.bos),
                                     .eos_token = spelling(tokenizer, special.eos),
                                     .pad_token = spelling(tokenizer, special.padding),
                                     .now_seconds = source.now_seconds});
  if (!chat.ok()) return chat.status();
  Result<TrustedText> prompt =
      place_pictures(*chat, source.control_text, model.pictures(), source.n_pictures);
  if (!prompt.ok()) return prompt.status().at(model.path());
  // An empty list would mean that control tokens may stand anywhere.
  const ControlText control_text = prompt->ranges.empty() ? ControlText::kIsText : ControlText::kIsToken;
  // Processors of pictures and texts add the tokens that a template leaves to them.
  const std::string_view bos = spelling(tokenizer, special.bos);
  const bool adds = model.pictures() && !(!bos.empty() && prompt->text.starts_with(bos));
  return tokenizer.encode(prompt->text,
                          {.add_special = adds ? AddSpecial::kAsModelDeclares : AddSpecial::kNone,
                           .control_text = control_text,
                           .control_ranges = prompt->ranges,
                           .stop = source.cancelled});
}

}  // namespace

Result<std::string> conversation_json(const PromptSource& source) {
  Result<Json> messages = conversation(source);
  if (!messages.ok()) return messages.status();
  return to_text(*messages);
}

Status sees_no_pictures(const LanguageModel& model) {
  return Status(StatusCode::kUnsupported, "this model sees no pictures")
      .at(model.path())
      .expected("a language model with a vision tower (LLaVA, Gemma 3), as a Hugging Face folder");
}

Status no_chat_template(const LanguageModel& model) {
  return model.chat_template()
      .status()
      .at(model.path())
      .hint("use text.generate with \"format\": \"raw\", or a model that was trained to chat");
}

Result<std::vector<TokenId>> make_prompt(const LanguageModel& model, const PromptSource& source) {
  if (source.prompt.empty() && source.messages_json.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to answer")
        .expected("a prompt or messages")
        .got("neither, or empty ones");
  }
  if (source.n_pictures > 0 && model.pictures() == nullptr) return sees_no_pictures(model);
  const Result<ChatTemplate>& chat_template = model.chat_template();
  // A template that cannot be read is an error, not a reason to do without one.
  const bool chat = source.format == PromptFormat::kChat ||
                    (source.format == PromptFormat::kAuto && chat_template.code() != StatusCode::kNotFound);
  if (chat && chat_template.code() == StatusCode::kNotFound) return no_chat_template(model);
  if (chat && !chat_template.ok()) return chat_template.status();
  const bool has_tools = source.tools_json.find_first_not_of("[] \t\r\n") != std::string_view::npos;
  if (chat && has_tools && !chat_template->uses_variable("tools")) {
    return Status(StatusCode::kUnsupported, "the model's chat template does not show tools")
        .at(model.path())
        .hint("describe them in the system message, or use a model that was trained to call functions");
  }
  if (chat) return chat_prompt(model, source);
  if (!source.messages_json.empty() || !source.system.empty() || !source.tools_json.empty() ||
      source.n_pictures > 0) {
    return Status(StatusCode::kInvalidArgument, "messages, system, tools and pictures need a chat template")
        .expected("a prompt alone, since the format is raw or the model has no chat template")
        .hint("use \"format\": \"chat\" with a model that has one");
  }
  Result<std::vector<TokenId>> ids =
      model.tokenizer().encode(source.prompt, {.add_special = AddSpecial::kAsModelDeclares,
                                               .control_text = source.control_text,
                                               .stop = source.cancelled});
  return ids;
}

Status fit_prompt(std::vector<TokenId>& tokens, int64_t limit, Truncation truncation,
                  const Tokenizer& tokenizer) {
  const auto size = static_cast<int64_t>(tokens.size());
  if (size <= limit) return {};
  switch (truncation) {
    case Truncation::kError:
      return Status(StatusCode::kOutOfRange, "the prompt is too long")
          .expected("at most " + std::to_string(limit) + " tokens")
          .got(std::to_string(size) + " tokens")
          .hint(
              "raise n_ctx if the model allows it, shorten the prompt, or set \"truncate\": \"left\" or "
              "\"middle\"");
    case Truncation::kLeft: {
      const bool keep_first = tokenizer.special().bos && tokens.front() == *tokenizer.special().bos;
      tokens.erase(tokens.begin() + (keep_first ? 1 : 0),
                   tokens.begin() + (keep_first ? 1 : 0) + (size - limit));
      return {};
    }
    case Truncation::kMiddle: {
      const int64_t head = limit / 2;
      tokens.erase(tokens.begin() + head, tokens.begin() + head + (size - limit));
      return {};
    }
  }
  return {};
}

}  // namespace weft::text
