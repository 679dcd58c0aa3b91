#include "plugins/text/prompt.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <utility>

#include "plugins/text/language_model.h"

namespace weft::text {
namespace {

/// Control tokens by their spelling; the longest spelling that matches wins.
std::map<std::string_view, TokenId> control_tokens(const Tokenizer& tokenizer) {
  std::map<std::string_view, TokenId> tokens;
  for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const TokenType type = tokenizer.token_type(id);
    if (type == TokenType::kControl && !tokenizer.token_piece(id).empty())
      tokens[tokenizer.token_piece(id)] = id;
  }
  return tokens;
}

/// Collects ids: text between control tokens is encoded as one piece, so that merges see it whole.
class PromptWriter {
 public:
  PromptWriter(const Tokenizer& tokenizer, ControlText content) : tokenizer_(tokenizer), content_(content) {
    for (const auto& [spelling, id] : control_tokens(tokenizer)) {
      longest_ = std::max(longest_, spelling.size());
      spellings_[spelling] = id;
    }
  }

  Status write(std::string_view text, TextOrigin origin) {
    if (origin == TextOrigin::kContent && content_ == ControlText::kIsText) {
      plain_ += text;
      return {};
    }
    for (size_t i = 0; i < text.size();) {
      const auto found = control_at(text.substr(i));
      if (found == spellings_.end()) {
        plain_ += text[i++];
        continue;
      }
      if (Status status = flush(); !status.ok()) return status;
      ids_.push_back(found->second);
      i += found->first.size();
    }
    return {};
  }

  Result<std::vector<TokenId>> finish() {
    if (Status status = flush(); !status.ok()) return status;
    return std::move(ids_);
  }

 private:
  using Spellings = std::map<std::string_view, TokenId>;

  Spellings::const_iterator control_at(std::string_view text) const {
    // Spellings that begin `text` sort before it; among those the longest comes last.
    const std::string_view head = text.substr(0, longest_);
    auto next = spellings_.upper_bound(head);
    while (next != spellings_.begin()) {
      --next;
      if (head.starts_with(next->first)) return next;
      if (next->first.empty() || next->first.front() != head.front()) break;
    }
    return spellings_.end();
  }

  Status flush() {
    if (plain_.empty()) return {};
    Result<std::vector<TokenId>> ids = tokenizer_.encode(plain_);
    if (!ids.ok()) return ids.status();
    ids_.insert(ids_.end(), ids->begin(), ids->end());
    plain_.clear();
    return {};
  }

  const Tokenizer& tokenizer_;
  ControlText content_;
  Spellings spellings_;
  size_t longest_ = 0;
  std::string plain_;
  std::vector<TokenId> ids_;
};

std::string_view spelling(const Tokenizer& tokenizer, const std::optional<TokenId>& id) {
  return id ? tokenizer.token_piece(*id) : std::string_view();
}

Result<std::vector<TokenId>> chat_prompt(const LanguageModel& model, const PromptSource& source) {
  Result<std::string> messages = conversation_json(source);
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
                                     .now_seconds = 0});
  if (!chat.ok()) return chat.status();
  PromptWriter writer(tokenizer, source.control_text);
  for (const RenderedChat::Run& run : chat->runs) {
    const std::string_view text = std::string_view(chat->text).substr(run.begin, run.end - run.begin);
    if (Status status = writer.write(text, run.origin); !status.ok()) return status;
  }
  return writer.finish();
}

}  // namespace

Result<std::string> conversation_json(const PromptSource& source) {
  nlohmann::json messages = nlohmann::json::array();
  if (!source.messages_json.empty()) {
    messages = nlohmann::json::parse(source.messages_json, nullptr, false);
    const auto is_message = [](const nlohmann::json& item) {
      return item.is_object() && item.contains("role");
    };
    if (!messages.is_array() || !std::ranges::all_of(messages, is_message)) {
      return Status(StatusCode::kInvalidArgument, "the messages cannot be read")
          .expected("a JSON array of {\"role\": ..., \"content\": ...}")
          .got(std::string(source.messages_json.substr(0, 80)));
    }
  }
  if (!source.system.empty()) {
    messages.insert(messages.begin(), {{"role", "system"}, {"content", source.system}});
  }
  if (!source.prompt.empty()) messages.push_back({{"role", "user"}, {"content", source.prompt}});
  return messages.dump();
}

Result<std::vector<TokenId>> make_prompt(const LanguageModel& model, const PromptSource& source) {
  if (source.prompt.empty() && source.messages_json.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is nothing to answer")
        .expected("a prompt or messages")
        .got("neither, or empty ones");
  }
  const bool chat = source.format == PromptFormat::kChat ||
                    (source.format == PromptFormat::kAuto && model.chat_template() != nullptr);
  if (chat && model.chat_template() == nullptr) {
    return Status(StatusCode::kInvalidArgument, "this model has no chat template")
        .at(model.path())
        .hint("use text.generate with \"format\": \"raw\", or a model that was trained to chat");
  }
  if (chat) return chat_prompt(model, source);
  if (!source.messages_json.empty() || !source.system.empty() || !source.tools_json.empty()) {
    return Status(StatusCode::kInvalidArgument, "messages, system and tools need a chat template")
        .expected("a prompt alone, since the format is raw or the model has no chat template")
        .hint("use \"format\": \"chat\" with a model that has one");
  }
  Result<std::vector<TokenId>> ids = model.tokenizer().encode(
      source.prompt, {.add_special = AddSpecial::kAsModelDeclares, .control_text = source.control_text});
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
