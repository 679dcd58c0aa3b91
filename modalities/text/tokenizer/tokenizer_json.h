/// Reads Hugging Face's tokenizer.json: model, normalizer, pre_tokenizer, added tokens and post-processor, as far as
/// language models use them. A part that is not known is an error that names it, never skipped: ids must be right.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_TOKENIZER_JSON_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_TOKENIZER_JSON_H

#include <rapidjson/document.h>
#include <weft/sdk/status.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/tokenizer/vocabulary.h"

namespace weft {

struct AddedToken {
  std::string content;
  bool special = false, takes_left_space = false, takes_right_space = false;
  bool normalized = false;  ///< looked for after normalisation
};
using AddedTokens = std::map<TokenId, AddedToken>;

/// {"content": ..., "special": ..., "lstrip": ..., "rstrip": ...}. Errors: kCorruptData.
Status read_added_token(const rapidjson::Value& value, TokenId id, const std::string& source,
                        AddedTokens& tokens);

/// Sets pieces, types and (if given) scores from a vocabulary by id and the added tokens. Errors: kCorruptData (an id twice
/// or beyond what the number of tokens allows).
struct ScoredPiece {
  std::string_view piece;
  double score = 0;
};
Status set_pieces(const std::vector<std::pair<TokenId, ScoredPiece>>& entries, const AddedTokens& added,
                  const std::string& source, Tokenizer::Vocabulary& vocabulary);

/// Fills in everything but finish(). Errors: kCorruptData, kUnsupported.
Status read_tokenizer_json(const rapidjson::Value& document, const std::string& source,
                           Tokenizer::Vocabulary& vocabulary);

}  // namespace weft
#endif
