/// Text to token ids and back, with the ids that the model was trained on.
///
/// Kinds: byte-level BPE (GPT-2, Llama 3, Qwen, Falcon, SmolLM, CLIP, ...), SentencePiece BPE (Llama, Mistral,
/// Gemma), SentencePiece unigram (T5 and its like) and WordPiece (BERT). Text is any byte string; UTF-8 is what models know,
/// other bytes are encoded byte by byte.
///
/// decode(encode(x)) == x for every byte string x, as far as the model goes; these exceptions are the models' own:
/// - Where a SentencePiece model asks for a space before the text, a first space that decode() sees is taken to be it.
/// - SentencePiece spells a space as U+2581, so that this character itself comes back as a space.
/// - Qwen's tokenizers compose characters first (NFC).
/// - SigLIP 2's lower-case, if its tokenizer.json says so.
/// - CLIP's compose, lower-case and forget white space; decode() puts a space after each word.
/// - WordPiece's forget white space, control characters and, most of them, case and accents; a word with a character that
///   no piece has becomes the unknown token. decode() puts a space between words.
/// - A few byte-level vocabularies (SmolLM2, Falcon) lack rare bytes; these are left out, as the reference does.
///
/// Ownership: a value; copies share one immutable vocabulary. Thread safety: const members may be called from
/// any thread.
///
///   Result<Tokenizer> tokenizer = Tokenizer::from_weights(file);
///   Result<std::vector<TokenId>> ids = tokenizer->encode("Hello", {.add_special =
///   AddSpecial::kAsModelDeclares}); std::string text = tokenizer->decode(*ids);
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_TOKENIZER_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_TOKENIZER_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class WeightFile;
using TokenId = int32_t;

/// The numbers are GGUF's (tokenizer.ggml.token_type).
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      ///< never made from text unless asked for: <s>, <|im_end|>
  kUserDefined = 4,  ///< always matched whole, before anything else: Gemma's runs of newlines
  kUnused = 5,
  kByte = 6,  ///< one byte, spelled <0xNN>
};

/// Whether encode() adds the tokens that the model expects around a text (beginning and end of sequence).
enum class AddSpecial : uint8_t { kNone, kAsModelDeclares };
/// Whether a control token's spelling within the text becomes that token. Text from users must stay text.
enum class ControlText : uint8_t { kIsText, kIsToken };
/// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0, end = 0;
};
struct EncodeOptions {
  AddSpecial add_special = AddSpecial::kNone;
  ControlText control_text = ControlText::kIsText;
  /// With kIsToken: spellings become tokens only where they lie within one of these, ascending and disjoint. Empty:
  /// everywhere. A chat template's own text is such a range, what a user wrote is not.
  std::span<const TextRange> control_ranges = {};
  /// Asked every few thousand bytes, after the passes that normalise and find words (a few milliseconds a megabyte);
  /// true ends encode() with kCancelled. Empty: never.
  std::function<bool()> stop = {};
};

/// What decoding makes of control tokens, and of bytes that are not UTF-8.
enum class ControlTokens : uint8_t { kOmit, kSpell };
enum class InvalidUtf8 : uint8_t { kKeep, kReplace };  ///< kReplace: U+FFFD for each maximal invalid part
/// Where the decoded tokens stand: at the start of a text, where a SentencePiece space prefix is taken off,
/// or after other text.
enum class DecodePosition : uint8_t { kStartOfText, kWithinText };
struct DecodeOptions {
  ControlTokens control_tokens = ControlTokens::kOmit;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kKeep;
  DecodePosition position = DecodePosition::kStartOfText;
};

/// The ids with a meaning of their own; absent where the model has none.
struct SpecialTokens {
  std::optional<TokenId> bos, eos, eot, unknown, separator, padding, mask, cls;
  std::optional<TokenId> fim_prefix, fim_suffix, fim_middle;
  bool add_bos = false, add_eos = false, add_separator = false;
  std::vector<TokenId> end_of_generation;  ///< sorted: eos, eot and every other token that ends an answer
};

class Tokenizer {
 public:
  /// From a GGUF file's tokenizer.ggml.* keys; for safetensors, from the files beside it (as from_folder).
  /// Errors: kNotFound (no tokenizer), kUnsupported (a kind or pre-tokenizer that is not known: the message
  /// lists those that are), kCorruptData (file, key, index, expected, got).
  static Result<Tokenizer> from_weights(const WeightFile& file);
  /// From a Hugging Face folder: tokenizer.json, or vocab.json with merges.txt, or tokenizer.model (spiece.model), or vocab.txt; with
  /// tokenizer_config.json, special_tokens_map.json and generation_config.json where present. Errors: as
  /// above.
  static Result<Tokenizer> from_folder(const std::filesystem::path& folder);

  /// Ids of `text`. Linear in its length, up to a logarithm.
  /// Errors: kOutOfRange (more than 1 GiB at once), kCancelled.
  Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The text of `ids`; an id outside the vocabulary adds nothing.
  std::string decode(std::span<const TokenId> ids, const DecodeOptions& options = {}) const;

  int32_t vocabulary_size() const;
  /// The bytes that a token adds within a text; a control token's spelling. Constrained decoding matches
  /// these. May be empty. Precondition of the next three: 0 <= id < vocabulary_size().
  std::string_view token_bytes(TokenId id) const;
  /// The token as the vocabulary file spells it ("Ġthe", "▁the", "<0x0A>").
  std::string_view token_piece(TokenId id) const;
  TokenType token_type(TokenId id) const;
  /// The id of the token that the vocabulary file spells so.
  std::optional<TokenId> find_piece(std::string_view piece) const;

  const SpecialTokens& special() const;
  bool ends_generation(TokenId id) const;
  /// The model's chat template, uninterpreted; empty if it has none. `name`: a named variant ("tool_use"),
  /// empty for the default.
  std::string_view chat_template(std::string_view name = {}) const;

  struct Vocabulary;  ///< the implementation
  explicit Tokenizer(std::shared_ptr<const Vocabulary> vocabulary);

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
};

/// Decodes token by token, for streaming: gives out text as soon as it is whole UTF-8 and withholds the
/// beginning of a character until the rest has come. Concatenated, the parts equal Tokenizer::decode of all
/// ids. Not thread-safe; one a sequence.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {});
  std::string push(TokenId id);
  /// What was withheld, at the end of the stream.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  DecodeOptions options_;
  std::string withheld_;
};

}  // namespace weft
#endif
