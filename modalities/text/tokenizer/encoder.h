/// Turns text without added tokens into ids: normalisation, words, merges. One object an encode() call: it keeps the
/// working memory.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_ENCODER_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_ENCODER_H

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/tokenizer/merge.h"
#include "modalities/text/tokenizer/vocabulary.h"

namespace weft {

class Encoder {
 public:
  /// All outlive this object; ids are appended. stop: asked now and then, see EncodeOptions; may be empty.
  Encoder(const Tokenizer::Vocabulary& vocabulary, std::vector<TokenId>& ids,
          const std::function<bool()>& stop)
      : vocabulary_(vocabulary), ids_(ids), stop_(stop) {}

  /// What stands before a part of the text.
  enum class Before : uint8_t { kNothing, kTokens, kText };
  void encode_part(std::string_view part, Before before);

  /// Notes `work` steps, about bytes, and asks when enough have come together. True: give up, the ids are not wanted.
  bool stopping(size_t work) {
    work_ += work;
    if (work_ < kWorkBetweenQuestions) return stopped_;
    work_ = 0;
    stopped_ = stopped_ || (stop_ && stop_());
    return stopped_;
  }
  bool stopped() const { return stopped_; }

 private:
  static constexpr size_t kWorkBetweenQuestions = 8192;  // below a millisecond

  void normalize(std::string_view part, Before before);
  void encode_byte_level(std::string_view text);
  void encode_blocks(std::string_view text);
  void encode_word_pieces(std::string_view text);
  bool append_word_pieces(std::string_view word);
  void encode_characters(std::string_view word);
  template <typename Score>
  void encode_unigram(std::string_view text);
  void emit(std::string_view word, const Symbol& symbol);
  void emit_unknown(std::string_view character);
  Merge sentencepiece_merge(std::string_view word, const Symbol& left, const Symbol& right);

  const Tokenizer::Vocabulary& vocabulary_;
  std::vector<TokenId>& ids_;
  const std::function<bool()>& stop_;
  size_t work_ = 0;
  bool stopped_ = false;
  bool last_was_unknown_ = false;
  std::string normalized_;
  std::string spelled_;
  std::vector<std::string_view> words_;
  std::vector<Symbol> symbols_;
  MergeScratch scratch_;
  std::vector<std::pair<std::string_view, uint32_t>>
      unused_splits_;  // unused pieces that were made, and their left part
};

}  // namespace weft
#endif
