/// From what a request says to the token ids that the decoder reads.
///
/// Control tokens are made by the chat template, never by content: a user who types "<|im_end|>" has typed ten
/// characters, unless the node's parse_special asks otherwise. Thread safety: pure functions.
#ifndef WEFT_PLUGINS_TEXT_PROMPT_H
#define WEFT_PLUGINS_TEXT_PROMPT_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/tokenizer/tokenizer.h"

namespace weft::text {

class LanguageModel;

enum class PromptFormat : uint8_t {
  kAuto,  // the model's chat template where it has one, else the text as it is
  kChat,  // the chat template; an error if the model has none
  kRaw,   // the text as it is; messages cannot be given
};

struct PromptSource {
  std::string_view prompt;                   // the user's turn, after `messages` if both are given
  std::string_view messages_json;            // array of {"role", "content"}; empty: none
  std::string_view system;                   // a system turn before everything else; empty: none
  std::string_view tools_json;               // array of function schemas; empty: none
  std::string_view template_variables_json;  // object; empty: none
  int64_t n_pictures = 0;  // shown by parts {"type": "image"} of messages; see picture_prompt.h
  PromptFormat format = PromptFormat::kAuto;
  ControlText control_text = ControlText::kIsText;
  int64_t now_seconds = 0;               // what the template takes for now, see ChatInput
  std::function<bool()> cancelled = {};  // polled while a long text is encoded
};

/// The error for pictures where the model has no vision tower: kUnsupported.
Status sees_no_pictures(const LanguageModel& model);
/// The error for a model that was not made to chat: kNotFound.
Status no_chat_template(const LanguageModel& model);

/// The prompt's ids, with the tokens that the model expects around it.
/// Errors: kInvalidArgument (nothing given, messages without a chat template, malformed JSON), kUnsupported (pictures for a model
/// that sees none), those of pictures' places, of template and tokenizer, kCancelled among them.
Result<std::vector<TokenId>> make_prompt(const LanguageModel& model, const PromptSource& source);

/// The conversation as JSON messages: system, messages, prompt as the user's turn.
/// Errors: kInvalidArgument if messages_json is not an array of objects with a "role"; those of show_pictures(), with pictures.
Result<std::string> conversation_json(const PromptSource& source);

enum class Truncation : uint8_t {
  kError,
  kLeft,    // drops the beginning, but keeps a first beginning-of-sequence token
  kMiddle,  // drops the middle
};

/// Makes `tokens` at most `limit` long. Errors: kOutOfRange with kError, naming both numbers.
/// Precondition: limit >= 2.
Status fit_prompt(std::vector<TokenId>& tokens, int64_t limit, Truncation truncation,
                  const Tokenizer& tokenizer);

}  // namespace weft::text
#endif
