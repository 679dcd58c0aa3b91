/// Reads a vocabulary from the tokenizer.ggml.* keys of a GGUF file.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_GGUF_VOCABULARY_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_GGUF_VOCABULARY_H

#include <weft/sdk/status.h>

#include <memory>

#include "modalities/text/tokenizer/vocabulary.h"
#include "modalities/weights/metadata.h"

namespace weft {

/// Errors: as Tokenizer::from_weights.
Result<std::shared_ptr<const Tokenizer::Vocabulary>> read_gguf_vocabulary(const Metadata& metadata);

}  // namespace weft
#endif
