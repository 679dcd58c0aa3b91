/// Reads a vocabulary from the files of a Hugging Face folder: tokenizer.json, or vocab.json with merges.txt, or
/// SentencePiece's tokenizer.model, or BERT's vocab.txt; special tokens and chat templates from tokenizer_config.json and its neighbours.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_HUGGING_FACE_VOCABULARY_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_HUGGING_FACE_VOCABULARY_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <memory>

#include "modalities/text/tokenizer/vocabulary.h"

namespace weft {

/// Errors: as Tokenizer::from_folder.
Result<std::shared_ptr<const Tokenizer::Vocabulary>> read_hugging_face_vocabulary(
    const std::filesystem::path& folder);

}  // namespace weft
#endif
