#include "modalities/weights/model_summary.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace weft {
namespace {

// A value of the wrong type is as good as none here: a list of models is no place to fail.
std::string text_of(const Metadata& metadata, std::string_view key) {
  const Result<std::string_view> text = metadata.string(key);
  return text.ok() ? std::string(*text) : std::string();
}

uint64_t first_size(const Metadata& metadata, std::initializer_list<std::string> keys) {
  for (const std::string& key : keys)
    if (const Result<int64_t> value = metadata.integer(key); value.ok() && *value > 0)
      return static_cast<uint64_t>(*value);
  return 0;
}

// Whether a Hugging Face config names a class that continues text.
bool generates_text(const Metadata& metadata) {
  const Result<std::vector<std::string_view>> classes = metadata.strings("architectures");
  if (!classes.ok()) return false;
  return std::any_of(classes->begin(), classes->end(), [](std::string_view name) {
    return name.ends_with("ForCausalLM") || name.ends_with("LMHeadModel") ||
           name.ends_with("ForConditionalGeneration");
  });
}

std::string kind_of(const WeightFile& file, const std::string& architecture) {
  const Metadata& metadata = file.metadata();
  const std::string type = text_of(metadata, "general.type");
  if (type == "adapter" || metadata.contains("peft_type")) return "adapter";
  if (file.container() == WeightContainer::kSafetensors)
    return generates_text(metadata) ? "language model" : "weights";
  if (type == "mmproj" || architecture == "clip") return "projector";
  if (!metadata.contains("tokenizer.ggml.tokens")) return "weights";
  if (file.tensors().empty()) return "vocabulary";
  return architecture.find("bert") == std::string::npos ? "language model" : "text encoder";
}

}  // namespace

ModelSummary summarize_model(const WeightFile& file) {
  const Metadata& metadata = file.metadata();
  ModelSummary summary;
  const bool is_gguf = file.container() == WeightContainer::kGguf;
  summary.container = is_gguf ? "GGUF" : "safetensors";
  summary.architecture = text_of(metadata, is_gguf ? "general.architecture" : "model_type");
  summary.name = text_of(metadata, is_gguf ? "general.name" : "_name_or_path");
  summary.context_length =
      first_size(metadata, {summary.architecture + ".context_length", "max_position_embeddings",
                            "n_positions", "text_config.max_position_embeddings"});
  summary.files = static_cast<uint32_t>(file.files().size());
  for (const MappedFile& mapped : file.files()) summary.size_bytes += mapped.bytes().size();

  std::array<uint64_t, kWeightFormatCount> bytes{};
  for (const WeightTensor& tensor : file.tensors()) {
    summary.parameters += static_cast<uint64_t>(tensor.count());
    bytes[static_cast<size_t>(tensor.format)] += tensor.size_bytes;
  }
  const auto most = std::max_element(bytes.begin(), bytes.end());
  if (*most > 0) summary.format = block_layout(static_cast<WeightFormat>(most - bytes.begin())).name;
  summary.kind = kind_of(file, summary.architecture);
  return summary;
}

}  // namespace weft
