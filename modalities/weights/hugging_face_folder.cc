#include "modalities/weights/hugging_face_folder.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>

#include "modalities/weights/json_file.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

// transformers' name, diffusers', and both with diffusers' mark of 16-bit weights; the first that is there counts.
constexpr std::string_view kWholeModels[] = {"model", "diffusion_pytorch_model", "model.fp16",
                                             "diffusion_pytorch_model.fp16"};

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// OpenCLIP's names, in the order in which it looks for them.
constexpr std::string_view kOpenClipModels[] = {
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"};
constexpr std::string_view kOpenClipConfig = "open_clip_config.json";

// A shard's name must stay within the folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

Status read_index(const fs::path& index, ModelFolder& folder) {
  const Result<rapidjson::Document> document = read_json_file(index, kMaxConfigBytes);
  if (!document.ok()) return document.status();
  const auto corrupt = [&](std::string message) {
    return Status(StatusCode::kCorruptData, std::move(message)).at(index.string());
  };
  if (!document->IsObject() || !document->HasMember("weight_map") || !(*document)["weight_map"].IsObject())
    return corrupt("the index has no 'weight_map' object");
  std::set<std::string> shards;
  for (const auto& member : (*document)["weight_map"].GetObject()) {
    std::string name(member.name.GetString(), member.name.GetStringLength());
    if (!member.value.IsString()) return corrupt("the shard of '" + name + "' is not a string");
    std::string shard(member.value.GetString(), member.value.GetStringLength());
    if (!is_plain_name(shard))
      return corrupt("the shard of '" + name + "' is not a file of this folder").got("'" + shard + "'");
    shards.insert(shard);
    if (!folder.weight_map.try_emplace(name, std::move(shard)).second)
      return corrupt("the key '" + name + "' appears twice");
  }
  if (shards.empty()) return corrupt("the 'weight_map' is empty");
  for (const std::string& shard : shards) folder.weights.push_back(index.parent_path() / shard);
  return {};
}

// Whether a config.json is transformers' own: timm writes one, too, beside OpenCLIP's files.
bool is_of_transformers(const fs::path& config) {
  if (!is_file(config)) return false;
  const Result<rapidjson::Document> json = read_json_file(config, kMaxConfigBytes);
  return json.ok() && json->IsObject() && json->HasMember("model_type");
}

// False if there are none, or not their configuration.
bool take_open_clip(const fs::path& path, ModelFolder& folder) {
  if (!is_file(path / kOpenClipConfig)) return false;
  for (const std::string_view name : kOpenClipModels) {
    if (!is_file(path / name)) continue;
    if (name.ends_with(".bin")) folder.container = WeightContainer::kTorch;
    folder.weights = {path / name};
    folder.config = path / kOpenClipConfig;
    return true;
  }
  return false;
}

// The GGUF models of a folder: a split one counts once, by its first part.
std::vector<fs::path> gguf_models(const fs::path& folder) {
  std::vector<fs::path> models;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (at->path().extension() != ".gguf") continue;
    if (name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos) continue;
    models.push_back(at->path());
  }
  std::sort(models.begin(), models.end());
  return models;
}

}  // namespace

Result<ModelFolder> examine_model_folder(const fs::path& path) {
  ModelFolder folder;
  if (!is_of_transformers(path / "config.json") && take_open_clip(path, folder)) return folder;
  if (is_file(path / "config.json")) folder.config = path / "config.json";
  for (std::string_view name : kWholeModels) {
    const fs::path whole = path / (std::string(name) + ".safetensors");
    if (is_file(whole)) {
      folder.weights = {whole};
      return folder;
    }
    const fs::path index = path / (std::string(name) + ".safetensors.index.json");
    if (is_file(index)) {
      if (Status status = read_index(index, folder); !status.ok()) return status;
      return folder;
    }
  }
  if (is_file(path / "adapter_model.safetensors")) {
    folder.weights = {path / "adapter_model.safetensors"};
    folder.config = config_beside(folder.weights[0]);
    return folder;
  }
  if (is_file(path / "pytorch_model.bin")) {
    folder.container = WeightContainer::kTorch;
    folder.weights = {path / "pytorch_model.bin"};
    return folder;
  }
  if (take_open_clip(path, folder)) return folder;
  std::vector<fs::path> models = gguf_models(path);
  if (models.size() > 1)
    return Status(StatusCode::kInvalidArgument, "the folder holds several GGUF models")
        .at(path.string())
        .hint("name one of them, for example '" + models[0].filename().string() + "'");
  if (models.empty())
    return Status(StatusCode::kNotFound, "the folder holds no weights that Weft reads")
        .at(path.string())
        .expected(
            "model.safetensors or diffusion_pytorch_model.safetensors (or their .index.json, or .fp16 "
            "variants), "
            "adapter_model.safetensors, pytorch_model.bin, open_clip_model.safetensors or "
            "open_clip_pytorch_model.bin with open_clip_config.json, or a .gguf file");
  folder.container = WeightContainer::kGguf;
  folder.weights = std::move(models);
  return folder;
}

fs::path config_beside(const fs::path& weights) {
  const std::string name = weights.filename().string();
  const fs::path config = weights.parent_path() / (name.starts_with("adapter_model") ? "adapter_config.json"
                                                   : name.starts_with("open_clip_")  ? kOpenClipConfig
                                                                                     : "config.json");
  return is_file(config) ? config : fs::path();
}

Status check_weight_map(const std::map<std::string, std::string>& weight_map, const WeightFile& file) {
  for (const auto& [name, shard] : weight_map) {
    const WeightTensor* tensor = file.find(name);
    const auto unread = file.unreadable().find(name);
    uint32_t index = 0;
    if (tensor) {
      index = tensor->file;
    } else if (unread != file.unreadable().end()) {
      index = unread->second.file;
    } else {
      return Status(StatusCode::kCorruptData, "the tensor '" + name + "' of the index is in no shard")
          .at((file.folder() / shard).string());
    }
    if (file.files()[index].path().filename() != shard)
      return Status(StatusCode::kCorruptData,
                    "the tensor '" + name + "' is not in the shard that the index names")
          .at((file.folder() / shard).string())
          .got(file.files()[index].path().filename().string());
  }
  return {};
}

}  // namespace weft
