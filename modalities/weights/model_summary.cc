#include "modalities/weights/model_summary.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>

#include "modalities/weights/json_file.h"
#include "modalities/weights/mapped_file.h"
#include "modalities/weights/onnx_model.h"

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
  if (metadata.contains("num_edges") && file.find("model_state_dict.W_s.weight") != nullptr)
    return "designer of proteins";
  if (file.container() != WeightContainer::kGguf) {
    if (architecture == "clip" || architecture == "siglip") return "image and text encoder";
    for (const char* images : {"clip_vision_model", "siglip_vision_model", "vit", "dinov2"})
      if (architecture == images) return "image encoder";
    if (architecture == "bert" || architecture == "roberta") return "text encoder";
    return generates_text(metadata) ? "language model" : "weights";
  }
  if (type == "mmproj" || architecture == "clip") return "projector";
  if (!metadata.contains("tokenizer.ggml.tokens")) return "weights";
  if (file.tensors().empty()) return "vocabulary";
  return architecture.find("bert") == std::string::npos ? "language model" : "text encoder";
}

// Data outside of the file is counted where its place is allowed.
Result<ModelSummary> summarize_onnx(const std::filesystem::path& path) {
  const Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok()) return file.status();
  const Result<OnnxModel> model = read_onnx_model(file->bytes(), path.string());
  if (!model.ok()) return model.status();
  const Result<std::vector<std::filesystem::path>> beside = check_external_data(*model, path);
  if (!beside.ok()) return beside.status();
  ModelSummary summary;
  summary.kind = "network";
  summary.container = "ONNX";
  summary.name = model->name;
  summary.parameters = model->parameters;
  summary.files = static_cast<uint32_t>(1 + beside->size());
  summary.size_bytes = file->bytes().size();
  std::error_code error;
  for (const std::filesystem::path& data : *beside)
    if (const auto size = std::filesystem::file_size(data, error); !error) summary.size_bytes += size;
  if (model->weight_type == 0) return summary;
  summary.format = onnx_type_name(model->weight_type);
  for (char& c : summary.format) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return summary;
}

}  // namespace

ModelSummary summarize_model(const WeightFile& file) {
  const Metadata& metadata = file.metadata();
  ModelSummary summary;
  const bool is_gguf = file.container() == WeightContainer::kGguf;
  summary.container = is_gguf                                       ? "GGUF"
                      : file.container() == WeightContainer::kTorch ? "torch"
                                                                    : "safetensors";
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

std::vector<std::string> model_parts(const std::filesystem::path& folder) {
  std::vector<std::string> named;
  if (const auto index = read_json_file(folder / "model_index.json", kMaxConfigBytes);
      index.ok() && index->IsObject()) {
    for (const auto& member : index->GetObject())  // [library, class]; null where a part is left out
      if (member.value.IsArray()) named.emplace_back(member.name.GetString());
  }
  if (const auto modules = read_json_file(folder / "modules.json", kMaxConfigBytes);
      modules.ok() && modules->IsArray()) {
    for (const auto& module : modules->GetArray())
      if (module.IsObject() && module.HasMember("path") && module["path"].IsString())
        named.emplace_back(module["path"].GetString());
  }
  std::error_code error;
  std::erase_if(named, [&](const std::string& name) {
    return name.empty() || name.find('/') != std::string::npos || name.starts_with(".") ||
           !std::filesystem::is_directory(folder / name, error);
  });
  std::sort(named.begin(), named.end());
  return named;
}

Result<ModelSummary> summarize_model(const std::filesystem::path& path) {
  std::error_code error;
  if (path.extension() == ".onnx") return summarize_onnx(path);
  if (!std::filesystem::exists(path / "model_index.json", error)) {
    const Result<WeightFile> file = WeightFile::open(path);
    return file.ok() ? Result<ModelSummary>(summarize_model(*file)) : file.status();
  }
  const Result<rapidjson::Document> index = read_json_file(path / "model_index.json", kMaxConfigBytes);
  if (!index.ok()) return index.status();
  ModelSummary summary;
  summary.kind = "diffusion model";
  summary.container = "diffusers";
  if (index->IsObject() && index->HasMember("_class_name") && (*index)["_class_name"].IsString()) {
    summary.architecture = (*index)["_class_name"].GetString();
  }
  std::map<std::string, uint64_t> bytes;  // by format
  for (const std::string& part : model_parts(path)) {
    const Result<WeightFile> file = WeightFile::open(path / part);
    if (!file.ok() && file.code() == StatusCode::kNotFound) continue;  // a tokenizer or a scheduler
    if (!file.ok()) return file.status();
    const ModelSummary one = summarize_model(*file);
    summary.parameters += one.parameters;
    summary.size_bytes += one.size_bytes;
    summary.files += one.files;
    bytes[one.format] += one.size_bytes;
  }
  for (const auto& [format, size] : bytes) {
    if (summary.format.empty() || size > bytes[summary.format]) summary.format = format;
  }
  return summary;
}

}  // namespace weft
