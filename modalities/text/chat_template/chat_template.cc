#include "modalities/text/chat_template/chat_template.h"

#include <utility>

#include "modalities/text/chat_template/evaluator.h"
#include "modalities/text/chat_template/json.h"
#include "modalities/text/chat_template/parser.h"

namespace weft {

struct ChatTemplate::Tree {
  jinja::Syntax syntax;
};

namespace {

using jinja::Value;

// The list that the JSON in `text` holds, or none if there is no text.
Result<Value> parse_list(std::string_view text, const char* name) {
  if (text.empty()) return Value(jinja::None{});
  Result<Value> value = jinja::parse_json(text, name);
  if (!value.ok() || value->list() != nullptr) return value;
  return Status(StatusCode::kInvalidArgument, std::string(name) + " must be a list")
      .expected("a JSON array")
      .got(value->type_name());
}

Status define_extra(jinja::Evaluator* evaluator, std::string_view text) {
  if (text.empty()) return {};
  Result<Value> value = jinja::parse_json(text, "the extra variables");
  if (!value.ok()) return value.status();
  if (value->dict() == nullptr) {
    return Status(StatusCode::kInvalidArgument, "the extra variables must be an object")
        .expected("a JSON object")
        .got(value->type_name());
  }
  for (const auto& [name, member] : value->dict()->entries)
    evaluator->define(std::string(name.text()->bytes()), member);
  return {};
}

Result<Value> parse_messages(std::string_view json) {
  Result<Value> messages = parse_list(json.empty() ? "[]" : json, "messages");
  if (!messages.ok()) return messages;
  const std::vector<Value>& items = messages->list()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    const jinja::Dict* message = items[i].dict();
    const Value* role = message == nullptr ? nullptr : message->find(std::string_view("role"));
    if (role != nullptr && role->text() != nullptr) continue;
    return Status(StatusCode::kInvalidArgument, "a message has no role")
        .at("messages[" + std::to_string(i) + "]")
        .expected(R"({"role": "user", "content": "..."})")
        .got(message == nullptr ? items[i].type_name() : "an object without a string \"role\"");
  }
  return messages;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, std::string_view name) {
  Result<jinja::Source> text = jinja::make_source(source, name);
  if (!text.ok()) return text.status();
  Result<jinja::Syntax> syntax = jinja::parse(*std::move(text));
  if (!syntax.ok()) return syntax.status();
  return ChatTemplate(std::make_shared<const Tree>(Tree{*std::move(syntax)}));
}

Result<RenderedChat> ChatTemplate::render(const ChatInput& input, const RenderLimits& limits) const {
  jinja::Evaluator evaluator(tree_->syntax, limits, input.now_seconds);
  // First the extra variables: the names below have a meaning of their own.
  if (Status status = define_extra(&evaluator, input.extra_json); !status.ok()) return status;
  Result<Value> messages = parse_messages(input.messages_json);
  if (!messages.ok()) return messages.status();
  Result<Value> tools = parse_list(input.tools_json, "tools");
  if (!tools.ok()) return tools.status();
  Result<Value> documents = parse_list(input.documents_json, "documents");
  if (!documents.ok()) return documents.status();
  evaluator.define("messages", *std::move(messages));
  evaluator.define("tools", *std::move(tools));
  evaluator.define("documents", *std::move(documents));
  const std::pair<const char*, std::string_view> tokens[] = {
      {"bos_token", input.bos_token}, {"eos_token", input.eos_token}, {"pad_token", input.pad_token}};
  for (const auto& [name, token] : tokens) {
    if (jinja::find_invalid_utf8(token) != token.npos) {
      return Status(StatusCode::kInvalidArgument, std::string(name) + " is not UTF-8");
    }
    if (!token.empty()) evaluator.define(name, Value::literal(std::string(token)));
  }
  evaluator.define("add_generation_prompt", Value(input.generation_prompt == GenerationPrompt::kAdd));
  return evaluator.run();
}

bool ChatTemplate::uses_variable(std::string_view name) const {
  return tree_->syntax.names.find(name) != tree_->syntax.names.end();
}

}  // namespace weft
