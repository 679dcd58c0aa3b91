/// Prompts whose words carry weights, in the notations that users of image models know, cut into the chunks that a text
/// encoder takes.
///
/// kA1111 (stable-diffusion-webui): (word) times 1.1, [word] divided by 1.1, (word:1.3) times 1.3, nested; \( \) \[ \] \\ for
/// the characters themselves; BREAK ends a chunk; brackets that stay open reach to the end.
/// kComfyUi: (word), (word:1.3) and \( \); the rest is text.
/// kNovelAi: {word} times 1.05, [word] divided by 1.05, nested; \{ \} \[ \] \\; BREAK as above.
/// kPlain: everything is text.
///
/// Chunks: a prompt longer than the encoder goes on in further chunks, each with beginning, end and padding of its own; their
/// hidden states stand one after another in the network's context. With kA1111 and kNovelAi a text that does not fit
/// moves to the next chunk from its last comma on, if that is at most 20 tokens back; with kComfyUi a part does so whole if it
/// is at most 7 tokens long. Thread safety: pure functions.
///
///   std::vector<PromptPart> parts = parse_prompt("a (red:1.3) apple", PromptNotation::kA1111);
///   Result<PromptChunks> chunks = chunk_prompt(parts, PromptNotation::kA1111, tokenizer, 77);
#ifndef WEFT_MODALITIES_TEXT_PROMPT_WEIGHTS_PROMPT_WEIGHTS_H
#define WEFT_MODALITIES_TEXT_PROMPT_WEIGHTS_PROMPT_WEIGHTS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/tokenizer/tokenizer.h"

namespace weft {

enum class PromptNotation : uint8_t { kPlain, kA1111, kComfyUi, kNovelAi };

struct PromptPart {
  enum class Kind : uint8_t { kText, kBreak } kind = Kind::kText;
  std::string text;
  float weight = 1;
  friend bool operator==(const PromptPart&, const PromptPart&) = default;
};

/// Neighbouring parts have different weights; at least one part, which may be empty text.
std::vector<PromptPart> parse_prompt(std::string_view prompt, PromptNotation notation);

/// A name in the prompt that stands for learned embeddings (textual inversion).
struct LearnedToken {
  std::string name;      // matched where it stands alone, before tokenization
  TokenId first_id = 0;  // n_ids consecutive ids, beyond the vocabulary
  int32_t n_ids = 1;
};

struct PromptChunks {
  int64_t n_chunks = 0;
  std::vector<TokenId> tokens;  // [n_chunks, length]
  std::vector<float> weights;   // [n_chunks, length]; 1 for beginning, end and padding
  bool is_weighted() const;
};

/// length: of a chunk, beginning and end included. At least one chunk, at most max_chunks.
/// Errors: kInvalidArgument (length below 3), kUnsupported (a tokenizer without beginning or end token), kOutOfRange (more
/// chunks).
Result<PromptChunks> chunk_prompt(std::span<const PromptPart> parts, PromptNotation notation,
                                  const Tokenizer& tokenizer, int64_t length,
                                  std::span<const LearnedToken> learned = {}, int64_t max_chunks = 64);
/// Appends chunks of an empty prompt until there are n_chunks.
void pad_chunks(PromptChunks& chunks, const Tokenizer& tokenizer, int64_t length, int64_t n_chunks);

}  // namespace weft
#endif
