/// Cuts a text into words, within which byte-pair merges happen: what models' tokenizers write as regular expressions,
/// here as scanners that go over the text once. Linear in the text, whatever it holds. A byte that is not UTF-8 counts
/// as a symbol: no letter, no number, no space.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_PRE_TOKENIZER_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_PRE_TOKENIZER_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

enum class SplitRule : uint8_t {
  // Whole regular expressions, named after the first model that used them.
  kGpt2,  ///< 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  kLlama3,  ///< (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  kQwen2,   ///< as kLlama3 with one digit a word
  kQwen35,  ///< as kQwen2 with marks counted as letters
  kTekken,  ///< as kQwen2, words also end where lower case meets upper; no contractions
  kGpt4o,   ///< as kTekken, with three digits a word and contractions kept with their word
  kClip,    ///< 's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+ ; white space is left out
  kBert,    ///< words at white space, which is left out; each punctuation character alone
  // Steps, applied one after another to the words so far.
  kSingleNumbers,  ///< each character of \p{N} alone
  kNumberRuns,     ///< runs of \p{N}
  kByteNumberRuns,  ///< runs of what is \p{N} once each byte is written as a character of GPT-2's byte alphabet
  kThreeDigits,     ///< [0-9][0-9][0-9]
  kPunctuationRuns,  ///< runs of \p{P} and ASCII punctuation
};
using PreTokenizer = std::vector<SplitRule>;

/// The words of `text`, in order; together they are the text, but for the white space of kClip and kBert. An empty pre-tokenizer gives one word.
/// `words` is replaced; its views point into `text`.
void split_words(const PreTokenizer& rules, std::string_view text, std::vector<std::string_view>& words);

/// By GGUF's tokenizer.ggml.pre ("llama-bpe", "qwen2", ...); nothing if unknown.
std::optional<PreTokenizer> pre_tokenizer_of_gguf(std::string_view name);
/// "gpt-2, llama-bpe, ...", for an error.
std::string known_gguf_pre_tokenizers();
/// By the regular expression of a Split step in a tokenizer.json; nothing if unknown.
std::optional<SplitRule> split_rule_of_regex(std::string_view regex);

}  // namespace weft
#endif
