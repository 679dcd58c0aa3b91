/// What a model is, in a few words, for lists of models: read from headers, without touching weights.
///
///   Result<ModelSummary> summary = summarize_model(file);   // "llama", 134515008 parameters, "Q4_1", 8192
#ifndef WEFT_MODALITIES_WEIGHTS_MODEL_SUMMARY_H
#define WEFT_MODALITIES_WEIGHTS_MODEL_SUMMARY_H

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "modalities/weights/weight_file.h"

namespace weft {

struct ModelSummary {
  std::string kind;             ///< "language model", "text encoder", "adapter", "vocabulary", "projector",
                                ///< "diffusion model", "image and text encoder", "network" or "weights"
  std::string container;        ///< "GGUF", "safetensors", "diffusers" or "ONNX"
  std::string architecture;     ///< "llama", "gemma3"; empty if the file does not say
  std::string name;             ///< as its makers call it; empty if the file does not say
  std::string format;           ///< the weight format that holds most bytes: "Q4_K"; empty without tensors
  uint64_t parameters = 0;      ///< elements of all readable tensors
  uint64_t size_bytes = 0;      ///< of all files
  uint64_t context_length = 0;  ///< tokens; 0 if the file does not say
  uint32_t files = 0;
};

ModelSummary summarize_model(const WeightFile& file);

/// The same for a weight file, an ONNX file, a folder of one model, or a diffusers folder: one with model_index.json, which names the
/// folders of its parts. Errors: those of WeightFile::open and of reading model_index.json.
Result<ModelSummary> summarize_model(const std::filesystem::path& path);

/// The folders in a model's folder that hold its parts, sorted: those of a diffusers folder ("unet", "vae" ...), and of
/// sentence-transformers' ("1_Pooling" ...); empty for any other path.
std::vector<std::string> model_parts(const std::filesystem::path& folder);

}  // namespace weft
#endif
