/// What BERT's tokenizers do to a text before they split it, as Hugging Face's BertNormalizer does it, and what they take
/// for punctuation.
///
/// Both go by the Unicode data of their reference, which ends with Unicode 8.0: punctuation and marks that came later are
/// letters to it.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_BERT_NORMALIZER_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_BERT_NORMALIZER_H

#include <string>
#include <string_view>

namespace weft {

struct BertNormalizer {
  bool cleans_text = true;    ///< control characters and what is no UTF-8 go; white space becomes a space
  bool parts_chinese = true;  ///< spaces around each Chinese character
  bool strips_accents = true;
  bool lower_cases = true;

  /// Appends the normalised text to `out`.
  void append(std::string& out, std::string_view text) const;
};

bool is_bert_punctuation(char32_t code_point);

}  // namespace weft
#endif
