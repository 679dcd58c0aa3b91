/// Reads SentencePiece's tokenizer.model, a protocol buffer (ModelProto of sentencepiece_model.proto), by hand: pieces
/// with scores and types, and the few settings that change ids. Every length is checked against the bytes at hand.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_SENTENCEPIECE_MODEL_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_SENTENCEPIECE_MODEL_H

#include <weft/sdk/status.h>

#include <string>
#include <string_view>

#include "modalities/text/tokenizer/vocabulary.h"

namespace weft {

/// Fills in everything but finish(). `name` is the file's, for errors.
/// Errors: kCorruptData (offset), kUnsupported (WORD and CHAR models, normalisation rules, collapsed white space).
Status read_sentencepiece_model(std::string_view bytes, const std::string& name,
                                Tokenizer::Vocabulary& vocabulary);

}  // namespace weft
#endif
