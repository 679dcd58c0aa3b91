/// What a tokenizer knows, however it was stored: the readers fill it in, Tokenizer reads it.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_VOCABULARY_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_VOCABULARY_H

#include <weft/sdk/status.h>

#include <array>
#include <bitset>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/tokenizer/bert_normalizer.h"
#include "modalities/text/tokenizer/piece_table.h"
#include "modalities/text/tokenizer/pre_tokenizer.h"
#include "modalities/text/tokenizer/tokenizer.h"

namespace weft {

inline constexpr std::string_view kSpaceBlock =
    "\xE2\x96\x81";  // "▁", which SentencePiece writes for a space
inline constexpr std::string_view kWordEnd = "</w>";
inline constexpr size_t kMaxPieceBytes =
    4096;  // bounds what a hostile vocabulary can make of one place in a text
inline constexpr size_t kMaxVocabulary = 1 << 24;

enum class Algorithm : uint8_t {
  kByteLevelBpe,      ///< merges over bytes, spelled in GPT-2's byte alphabet
  kCharacterBpe,      ///< ranked merges over characters
  kSentencePieceBpe,  ///< merges over characters, the piece of the best score first
  kUnigram,           ///< the most probable segmentation
  kWordPiece,         ///< the longest piece first, from the beginning of each word
};

/// Before which parts of a text a space is put; control and added tokens part it.
struct SpacePrefix {
  enum class Where : uint8_t {
    kNever,
    kFirstPart,  ///< the first part, even after tokens: sentencepiece, GGUF
    kAtStart,    ///< only what the text begins with: Hugging Face's "first"
    kEveryPart,  ///< Hugging Face's "always" and Prepend
  } where = Where::kNever;
  bool unless_there = false;  ///< not if the part begins with a space already: Hugging Face's Metaspace
};

struct Tokenizer::Vocabulary {
  // Filled in by the readers.
  Algorithm algorithm = Algorithm::kByteLevelBpe;
  PieceTable pieces;             ///< as spelled in the file
  std::vector<TokenType> types;  ///< one a piece
  std::vector<double> scores;    ///< one a piece; SentencePiece kinds
  bool adds_in_double = false;   ///< unigram: Hugging Face adds scores in double, SentencePiece in float
  PreTokenizer pre_tokenizer;
  MergeTable merges;  ///< the ranked kinds
  SpacePrefix space_prefix;
  bool spaces_are_blocks = false;   ///< spaces are spelled ▁
  bool splits_every_block = false;  ///< every ▁ begins a word of its own
  bool normalizes_nfc = false;
  bool lower_cases = false;        ///< after composing
  bool marks_word_ends = false;    ///< pieces that end a word end in "</w>": CLIP's byte-level BPE
  bool whole_words_first = false;  ///< a word that is a token needs no merges ("ignore_merges")
  bool byte_fallback = false;      ///< a character without a token becomes its bytes' tokens
  /// What stands for a character without a token; without one such characters are left out, as Hugging Face does.
  std::optional<TokenId> unknown_in_text;
  bool fuses_unknown = true;  ///< neighbouring unknown characters become one
  std::map<TokenId, std::pair<bool, bool>>
      strips;  ///< added tokens that take the white space on their (left, right) along
  std::optional<BertNormalizer> bert_normalizer;  ///< WordPiece
  std::string continuation = "##";                ///< what WordPiece pieces within a word begin with
  size_t longest_word = 100;                      ///< characters; a longer word is unknown to WordPiece
  SpecialTokens special;
  std::map<std::string, std::string, std::less<>> chat_templates;  ///< "" is the default

  // Derived by finish().
  PieceTable texts;                      ///< what each token adds to a text
  PieceIndex index;                      ///< every piece by spelling
  std::array<TokenId, 256> byte_tokens;  ///< -1: none
  std::array<TokenId, 256>
      last_byte_tokens;  ///< those of a word's last byte; the same unless word ends are marked
  PieceTrie user_defined, control, unigram;
  PieceTrie word_starts, word_parts;  ///< of WordPiece; parts without what marks them
  std::bitset<256> joins_block;       ///< last bytes of characters that some piece puts before a ▁
  double unknown_score = 0;
  size_t longest_piece = 0;

  Vocabulary() {
    byte_tokens.fill(-1);
    last_byte_tokens.fill(-1);
  }
  Vocabulary(const Vocabulary&) = delete;  // the indexes point into this object
  Vocabulary& operator=(const Vocabulary&) = delete;

  /// Checks what was filled in and derives the rest. `source` names the file in errors.
  /// Errors: kCorruptData (a bad byte token, a special id outside the vocabulary, sizes that do not match).
  Status finish(const std::string& source);
  /// Adds the merge of the pieces spelled `left` and `right`. `number`: its rank, and its index in errors.
  Status add_merge(std::string_view left, std::string_view right, size_t number, const std::string& source);
  /// Finds pieces by spelling from now on: for add_merge(). finish() calls it too.
  void index_pieces();

  /// The piece that SentencePiece merges may make of `piece`: not a control, unknown or byte token. -1 if there is none.
  int32_t find_mergeable(std::string_view piece) const {
    const int32_t id = index.find(piece);
    if (id < 0) return -1;
    const TokenType type = types[static_cast<size_t>(id)];
    const bool is_mergeable =
        type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
    return is_mergeable ? id : -1;
  }

 private:
  size_t indexed_ = 0;  // pieces when index was built
};

/// GPT-2's spelling of bytes as printable characters, and back. The reverse gives nothing for text in another alphabet.
void append_byte_spelling(std::string& spelled, std::string_view bytes);
std::optional<std::string> bytes_of_spelling(std::string_view spelled);

}  // namespace weft
#endif
