// diffusers folders: model_index.json names the parts, each a folder with config.json and weights.
#include <optional>
#include <system_error>

#include "kernels/networks/clip_text/clip_text_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "modalities/weights/json_file.h"

namespace weft {
namespace fs = std::filesystem;
namespace {

Result<Metadata> read_keys(const fs::path& path) {
  const Result<rapidjson::Document> json = read_json_file(path, kMaxConfigBytes);
  if (!json.ok()) return json.status();
  Metadata keys(path.string());
  if (Status flat = flatten_json(*json, keys); !flat.ok()) return std::move(flat).at(keys.source());
  return keys;
}

// Whether its weights are safetensors or GGUF, a part's configuration is the config.json beside them.
template <typename Config>
Status read_part(const fs::path& folder, Result<Config> (*read_config)(const Metadata&),
                 std::vector<std::unique_ptr<WeightFile>>* files, CheckpointPart<Config>* part) {
  Result<WeightFile> opened = WeightFile::open(folder);
  if (!opened.ok()) return opened.status();
  files->push_back(std::make_unique<WeightFile>(std::move(*opened)));
  const WeightFile& file = *files->back();
  std::optional<Metadata> beside;
  if (file.container() == WeightContainer::kGguf) {
    Result<Metadata> keys = read_keys(folder / "config.json");
    if (!keys.ok()) return keys.status();
    beside.emplace(*std::move(keys));
  }
  Result<Config> config = read_config(beside ? *beside : file.metadata());
  if (!config.ok()) return config.status();
  part->config = std::move(*config);
  part->source = WeightSource::all_of(file);
  for (const MappedFile& mapped : file.files()) part->files.push_back(mapped.path());
  return Status();
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

}  // namespace

Status DiffusionCheckpoint::read_folder(const fs::path& folder) {
  const Result<Metadata> parts = read_keys(folder / "model_index.json");
  if (!parts.ok()) return parts.status();
  Result<bool> zeros = parts->boolean_or("force_zeros_for_empty_prompt", false);
  if (!zeros.ok()) return zeros.status();
  zeros_for_empty_prompt_ = *zeros;

  if (Status s = read_part(folder / "unet", &read_unet_config, &files_, &unet_); !s.ok()) return s;
  const Result<Metadata> unet_keys = read_keys(folder / "unet" / "config.json");
  if (!unet_keys.ok()) return unet_keys.status();
  const Result<bool> linear = unet_keys->boolean_or("use_linear_projection", false);
  if (!linear.ok()) return linear.status();
  if (Status s = read_part(folder / "vae", &read_vae_config, &files_, &vae_); !s.ok()) return s;
  const bool first = is_folder(folder / "text_encoder"), second = is_folder(folder / "text_encoder_2");
  for (const char* name : {"text_encoder", "text_encoder_2"}) {
    if (!is_folder(folder / name)) continue;
    CheckpointPart<ClipTextConfig> part;
    if (Status s = read_part(folder / name, &read_clip_text_config, &files_, &part); !s.ok()) return s;
    text_encoders_.push_back(std::move(part));
    tokenizers_.push_back(folder / (name == std::string_view("text_encoder") ? "tokenizer" : "tokenizer_2"));
  }
  if (text_encoders_.empty())
    return Status(StatusCode::kNotFound, "the checkpoint has no text encoder")
        .at(folder.string())
        .expected("a folder text_encoder or text_encoder_2");
  kind_ = first && second ? DiffusionKind::kSdxl
          : second        ? DiffusionKind::kSdxlRefiner
          : *linear       ? DiffusionKind::kSd2
                          : DiffusionKind::kSd1;
  const fs::path scheduler = folder / "scheduler" / "scheduler_config.json";
  std::error_code error;
  if (fs::is_regular_file(scheduler, error)) scheduler_config_ = scheduler;
  return Status();
}

}  // namespace weft
