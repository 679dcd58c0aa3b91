/// What a model is, in a few words, for lists of models: read from headers, without touching weights.
///
///   Result<ModelSummary> summary = summarize_model(file);   // "llama", 134515008 parameters, "Q4_1", 8192
#ifndef WEFT_MODALITIES_WEIGHTS_MODEL_SUMMARY_H
#define WEFT_MODALITIES_WEIGHTS_MODEL_SUMMARY_H

#include <cstdint>
#include <string>

#include "modalities/weights/weight_file.h"

namespace weft {

struct ModelSummary {
  std::string kind;  ///< "language model", "text encoder", "adapter", "vocabulary", "projector" or "weights"
  std::string container;        ///< "GGUF" or "safetensors"
  std::string architecture;     ///< "llama", "gemma3"; empty if the file does not say
  std::string name;             ///< as its makers call it; empty if the file does not say
  std::string format;           ///< the weight format that holds most bytes: "Q4_K"; empty without tensors
  uint64_t parameters = 0;      ///< elements of all readable tensors
  uint64_t size_bytes = 0;      ///< of all files
  uint64_t context_length = 0;  ///< tokens; 0 if the file does not say
  uint32_t files = 0;
};

ModelSummary summarize_model(const WeightFile& file);

}  // namespace weft
#endif
