/// Constrained output: which tokens may come next so that the text stays within a grammar, valid by
/// construction.
///
/// A Grammar is compiled from GBNF, a JSON schema or a regular expression to a pushdown automaton over UTF-8
/// bytes. A TokenTrie holds a tokenizer's vocabulary by its bytes, built once. A Matcher follows one
/// sequence: it tells the allowed tokens, then accepts the one that was drawn. Tokens may cut characters and
/// grammar symbols anywhere.
///
/// Ownership: Grammar and Matcher are values. Copies of a Matcher follow their own sequences from the same
/// point and share a cache of automaton states and masks behind a lock. Thread safety: Grammar, TokenTrie and
/// TokenMask are immutable; one Matcher belongs to one thread at a time, copies of it may belong to different
/// threads.
///
///   Result<Grammar> grammar = compile_json_schema(R"({"type": "object", "properties": {"age": {"type":
///   "integer"}}})"); Matcher matcher(*grammar, trie); Result<std::shared_ptr<const TokenMask>> mask =
///   matcher.allowed();
///   ... set the logits of tokens with !(*mask)->allows(id) to -infinity, draw `id` ...
///   Status status = matcher.accept(id);
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_CONSTRAINT_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_CONSTRAINT_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct GrammarLimits {
  size_t max_source_bytes = 1u << 20;
  size_t max_states = 500'000;  ///< of the compiled grammar, after bounded repetitions were written out
  int max_depth = 200;          ///< of nested groups, or of nested schemas
};

/// How a text stands to a grammar.
enum class GrammarMatch : uint8_t {
  kRejected,  ///< no sentence of the grammar begins so
  kPrefix,    ///< the beginning of a sentence
  kComplete,  ///< a sentence; it may also be the beginning of a longer one
};

class Grammar {
 public:
  struct Program;
  explicit Grammar(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  /// Errors: kOutOfRange if the grammar is so ambiguous that following `text` takes too many states.
  Result<GrammarMatch> match(std::string_view text) const;
  const std::shared_ptr<const Program>& program() const { return program_; }

 private:
  std::shared_ptr<const Program> program_;
};

/// llama.cpp's GBNF: rules `name ::= ...` with literals, [classes], ., groups, |, *, +, ?, {m,n} and #
/// comments; the sentence is `root`. A rule may refer to itself anywhere but at its own beginning. Errors,
/// with line:column: kCorruptData (syntax, an undefined rule), kUnsupported (left recursion, token literals),
/// kOutOfRange (limits).
Result<Grammar> compile_gbnf(std::string_view source, const GrammarLimits& limits = {});

/// A JSON Schema (2020-12): the texts are JSON that the schema accepts, members in the order of `properties`,
/// free white space limited to one line break with up to 20 blanks. README.md lists the keywords. An
/// object with `properties` but without `additionalProperties` has no others. A keyword outside the subset is
/// an error, never ignored. Errors, with JSON pointer: kCorruptData (not JSON, or not a schema), kUnsupported
/// (a keyword or combination), kInvalidArgument (no value satisfies it), kOutOfRange (limits).
Result<Grammar> compile_json_schema(std::string_view schema_json, const GrammarLimits& limits = {});

/// A regular expression that the whole text must match: literals, ., [classes], \d \w \s \D \W \S, \p{L} and
/// other general categories, \n \r \t \f \v \0 \xHH \uHHHH \u{H...}, groups (...) (?:...), |, * + ? {m} {m,}
/// {m,n} (lazy forms mean the same), ^ at the beginning and $ at the end. Characters are code points. No
/// look-around, back references or \b. Errors, with the column: kCorruptData (syntax), kUnsupported,
/// kOutOfRange (limits).
Result<Grammar> compile_regex(std::string_view pattern, const GrammarLimits& limits = {});

/// One bit a token: may it come next?
class TokenMask {
 public:
  explicit TokenMask(size_t tokens) : words_((tokens + 63) / 64), tokens_(tokens) {}
  bool allows(int32_t token) const {
    return token >= 0 && static_cast<size_t>(token) < tokens_ &&
           (words_[token / 64] >> (token % 64) & 1) != 0;
  }
  void allow(int32_t token) { words_[token / 64] |= uint64_t{1} << (token % 64); }
  size_t size() const { return tokens_; }
  size_t count() const;
  /// Bit i of word w is token 64 w + i; bits past size() are 0.
  std::span<const uint64_t> words() const { return words_; }

 private:
  std::vector<uint64_t> words_;
  size_t tokens_;
};

/// A vocabulary, by its bytes.
class TokenTrie {
 public:
  struct Node {
    uint32_t subtree_end = 0;  ///< index after the last descendant; the nodes stand in depth-first order
    uint32_t first_token = 0;  ///< into tokens(): those that end here are up to the next node's first_token
    uint16_t depth = 0;        ///< 1 for a token's first byte
    uint8_t byte = 0;
  };
  /// tokens[id]: the bytes that the token adds to the text; empty for tokens that add none (control tokens),
  /// which are never allowed. ends: tokens that end the text, allowed where the text is complete, whatever
  /// their bytes. Errors: kInvalidArgument (an end outside the vocabulary, a token over 65535 bytes).
  static Result<std::shared_ptr<const TokenTrie>> build(std::span<const std::string_view> tokens,
                                                        std::span<const int32_t> ends);

  size_t vocabulary_size() const { return bytes_.size(); }
  std::string_view bytes(int32_t token) const { return bytes_[token]; }
  bool is_end(int32_t token) const;
  std::span<const int32_t> ends() const { return ends_; }
  std::span<const Node> nodes() const { return nodes_; }  ///< the last is a sentinel without a byte
  std::span<const int32_t> tokens() const { return tokens_; }

 private:
  TokenTrie() = default;
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> ends_;
  std::vector<std::string> bytes_;
};

class Matcher {
 public:
  Matcher(Grammar grammar, std::shared_ptr<const TokenTrie> trie);
  Matcher(const Matcher&);
  Matcher& operator=(const Matcher&);
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;
  ~Matcher();

  /// The tokens that keep the text within the grammar, and the ends if it is complete.
  /// Errors: kUnsupported (no token of this vocabulary can continue), kOutOfRange (too ambiguous a grammar).
  Result<std::shared_ptr<const TokenMask>> allowed();
  /// Appends a token. After an end token nothing is allowed.
  /// Errors: kInvalidArgument (a token that allowed() does not allow; the state is unchanged), kOutOfRange.
  Status accept(int32_t token);
  /// Whether the text so far is a sentence of the grammar.
  bool is_complete() const;
  /// Whether an end was accepted, or nothing but an end can follow.
  bool is_finished() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
