/// Renders the chat template that comes with a model: a strict subset of Jinja2, in a sandbox.
///
/// The language is the part of Jinja2 that chat templates use, with the settings that Hugging Face
/// transformers uses (trim_blocks, lstrip_blocks, break and continue, immutable values); README.md lists
/// it. A template sees the values given here and nothing else: no files, no clock, no attributes of the
/// host's objects. Steps, nesting, and bytes of output are bounded, so a hostile template ends with an error.
///
/// Every byte of the output is known to come from the template or from content (messages, tools, extra
/// variables); slices, trimmed and replaced strings keep that knowledge. Control tokens may be parsed in
/// template text only, so that a user who types "<|im_end|>" has typed ten characters and not ended the turn.
///
/// Ownership: a value; copies share one immutable syntax tree. Thread safety: const members may be called
/// from any thread.
///
///   Result<ChatTemplate> chat = ChatTemplate::parse(tokenizer.chat_template());
///   Result<RenderedChat> prompt = chat->render({.messages_json = R"([{"role": "user", "content": "Hi"}])",
///                                               .generation_prompt = GenerationPrompt::kAdd});
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_CHAT_TEMPLATE_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_CHAT_TEMPLATE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// Whether the text ends with the words that make the model answer ("<|im_start|>assistant\n").
enum class GenerationPrompt : uint8_t { kNone, kAdd };

/// What the template's variables hold. The JSON texts are UTF-8; integers beyond 64 bits become floating
/// point.
struct ChatInput {
  std::string_view messages_json = "[]";  ///< array of {"role": ..., "content": ..., ...}; `messages`
  std::string_view tools_json = {};       ///< array of function schemas; `tools`, none if empty
  std::string_view documents_json = {};   ///< array; `documents`, none if empty
  std::string_view extra_json =
      {};  ///< object: one variable a member, for example {"enable_thinking": false}
  GenerationPrompt generation_prompt = GenerationPrompt::kNone;  ///< `add_generation_prompt`
  std::string_view bos_token = {};  ///< counts as template text; undefined if empty; likewise the next two
  std::string_view eos_token = {};
  std::string_view pad_token = {};
  /// What strftime_now() tells, as seconds since 1970-01-01T00:00:00 of the wanted time zone. Given, never
  /// read from the clock, so that equal inputs give equal bytes.
  int64_t now_seconds = 0;
};

struct RenderLimits {
  int64_t max_steps = 5'000'000;        ///< of evaluation; 16 bytes or 1 list element handled count as one
  size_t max_output_bytes = 16u << 20;  ///< of the output, and of any one string on the way
  int max_depth = 256;                  ///< nested statements, expressions and macro calls
};

enum class TextOrigin : uint8_t { kTemplate, kContent };

struct RenderedChat {
  /// A run of `text` of one origin; runs are in order, adjoin, cover `text`, and none is empty.
  struct Run {
    size_t begin = 0, end = 0;  ///< byte offsets into `text`
    TextOrigin origin = TextOrigin::kTemplate;
    friend bool operator==(const Run&, const Run&) = default;
  };
  std::string text;
  std::vector<Run> runs;
};

class ChatTemplate {
 public:
  struct Tree;

  /// `name` stands for the template in errors: "name:line:column".
  /// Errors: kCorruptData (syntax), kUnsupported (a tag outside the subset; those within
  /// are listed), kOutOfRange (over 1 MiB, or nested deeper than 100 levels).
  static Result<ChatTemplate> parse(std::string_view source, std::string_view name = "chat template");

  /// Errors, with the place in the template: kInvalidArgument (the JSON, or the template's own
  /// raise_exception), kUnsupported, kOutOfRange (a limit was reached), kCorruptData (an operation on values
  /// that do not have it).
  Result<RenderedChat> render(const ChatInput& input, const RenderLimits& limits = {}) const;

  /// Whether the template reads this variable (`tools`, say), so that a caller can tell that it would be
  /// ignored.
  bool uses_variable(std::string_view name) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}
  std::shared_ptr<const Tree> tree_;
};

}  // namespace weft
#endif
