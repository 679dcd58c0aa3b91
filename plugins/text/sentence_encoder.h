/// A BERT-type encoder with what the files of sentence-transformers say about it: how the vectors of a text's tokens become
/// one, whether it is scaled, how long a text may be.
///
/// modules.json, 1_Pooling/config.json, sentence_bert_config.json, config_sentence_transformers.json and tokenizer_config.json
/// are read where they are there. A module or a pooling that is not known is refused: vectors must be the model's own.
/// Ownership: the network borrows the WeightFile.
#ifndef WEFT_PLUGINS_TEXT_SENTENCE_ENCODER_H
#define WEFT_PLUGINS_TEXT_SENTENCE_ENCODER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/networks/bert/bert.h"
#include "kernels/tensor.h"
#include "modalities/weights/weight_file.h"

namespace weft::text {

struct SentenceModules {
  Pooling pooling = Pooling::kMean;
  bool normalizes = true;
  std::optional<int64_t> max_tokens;         // of a text, with the tokens around it
  std::string prompt;                        // stands before every text
  std::vector<std::filesystem::path> files;  // below the folder's own level, that were read

  /// Errors: kCorruptData, kUnsupported, naming the file.
  static Result<SentenceModules> read(const std::filesystem::path& folder);
};

struct SentenceEncoder {
  Bert network;
  SentenceModules modules;
  int64_t max_tokens;  // of a text, with the tokens around it

  /// Headers only. Errors: those of the configuration, of Bert::open() and of SentenceModules::read().
  static Result<SentenceEncoder> open(const WeightFile& file, DType compute);
};

}  // namespace weft::text
#endif
