#include "plugins/image/diffusion_model.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kernels/layers/model_weights.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_lora.h"
#include "modalities/diffusion/scheduler_config.h"
#include "plugins/image/textual_inversion.h"

namespace weft::image {
namespace fs = std::filesystem;
namespace {

constexpr const char* kResidencies[] = {"auto", "whole", "staged", nullptr};

constexpr weft_parameter kParameters[] = {
    kDeviceParameter,
    sdk::parameter(
        {.name = "precision",
         .type = "choice",
         .default_json = "\"auto\"",
         .choices = kPrecisions,
         .help = "What the networks compute in. auto: bf16 on devices and where the processor multiplies it "
                 "faster than f32."}),
    sdk::parameter(
        {.name = "residency",
         .type = "choice",
         .default_json = "\"auto\"",
         .choices = kResidencies,
         .help =
             "What stays in memory: all networks (whole), or those of a picture's stage, text encoders, then "
             "UNet, then autoencoder (staged). auto: staged if all of them take more than half of "
             "--max-memory."}),
    sdk::parameter(
        {.name = "tokenizer",
         .type = "text",
         .default_json = "\"\"",
         .help = "A folder with vocab.json and merges.txt, for checkpoints without a tokenizer; relative "
                 "paths start at the model's folder."}),
    sdk::parameter(
        {.name = "embeddings",
         .type = "json",
         .default_json = "[]",
         .help = "Textual inversion: [{\"name\": \"<cat-toy>\", \"path\": \"cat.safetensors\"}]; the name "
                 "in a prompt stands for the learned vectors."}),
    sdk::parameter({.name = "lora",
                    .type = "json",
                    .default_json = "[]",
                    .help = "Adapters to merge, of kohya or diffusers: [{\"path\": \"style.safetensors\", "
                            "\"scale\": 0.8, \"text_scale\": 0.5}]; text_scale: scale unless given."}),
    sdk::parameter({.name = "control",
                    .type = "json",
                    .default_json = "[]",
                    .help =
                        "Control networks (ControlNet) for image.control: [{\"name\": \"edges\", \"path\": "
                        "\"control_v11p_sd15_canny.safetensors\"}]."}),
    sdk::parameter({.name = "preview",
                    .type = "text",
                    .default_json = "\"\"",
                    .help = "A tiny autoencoder (TAESD), a folder or file, that paints previews; without it "
                            "they are a linear guess. Relative paths start at the model's folder."})};

struct AdapterEntry {
  std::string path;
  float scale = 1, text_scale = 1;
};

Result<std::vector<AdapterEntry>> read_adapters(std::string_view json) {
  const auto refuse = [](std::string got) {
    return Status(StatusCode::kInvalidArgument, "the adapters cannot be read")
        .at("model parameter 'lora'")
        .expected("a list of objects with \"path\" and, if wanted, \"scale\" and \"text_scale\"")
        .got(std::move(got));
  };
  const nlohmann::json list = nlohmann::json::parse(json, nullptr, false);
  if (!list.is_array()) return refuse(std::string(json));
  std::vector<AdapterEntry> entries;
  for (const nlohmann::json& item : list) {
    if (!item.is_object() || !item.contains("path") || !item["path"].is_string()) return refuse(item.dump());
    AdapterEntry entry{item["path"].get<std::string>(), 1, 1};
    for (const auto& [key, value] : item.items()) {
      if (key == "path") continue;
      if ((key != "scale" && key != "text_scale") || !value.is_number()) return refuse(item.dump());
    }
    if (item.contains("scale")) entry.scale = entry.text_scale = item["scale"].get<float>();
    if (item.contains("text_scale")) entry.text_scale = item["text_scale"].get<float>();
    entries.push_back(std::move(entry));
  }
  return entries;
}

Status file_missing(const std::string& model) {
  return Status(StatusCode::kNotFound, "the checkpoint has no tokenizer")
      .at(model)
      .expected("a folder with vocab.json and merges.txt")
      .got("none")
      .hint("name one: \"models\": {\"painter\": {\"path\": \"...\", \"tokenizer\": \"FOLDER\"}}");
}

}  // namespace

std::span<const weft_parameter> DiffusionModel::parameters() { return kParameters; }

DiffusionModel::~DiffusionModel() = default;

Result<std::unique_ptr<DiffusionModel>> DiffusionModel::open(const sdk::ModelSource& source) {
  std::unique_ptr<DiffusionModel> model(new DiffusionModel(source.host(), std::string(source.path())));
  Result<DiffusionCheckpoint> checkpoint = DiffusionCheckpoint::open(model->path_);
  if (!checkpoint.ok()) return checkpoint.status();
  model->checkpoint_.emplace(*std::move(checkpoint));
  const sdk::Parameters parameters = source.parameters();
  Result<std::optional<ModelDevice>> device = ModelDevice::open(parameters);
  if (!device.ok()) return device.status();
  model->device_ = *std::move(device);
  const std::string_view precision = parameters.get_text("precision");
  model->compute_ = compute_type(precision, model->device_ ? ComputePlace::kDevice : ComputePlace::kHost);
  if (Status status = model->merge_adapters(parameters.get_text("lora")); !status.ok()) return status;
  if (Status status = model->open_networks(model->compute_); !status.ok()) return status;
  if (Status status = model->open_tokenizers(std::string(parameters.get_text("tokenizer"))); !status.ok()) {
    return status;
  }
  if (Status status = model->open_embeddings(parameters.get_text("embeddings")); !status.ok()) return status;
  if (Status status = model->open_controls(parameters.get_text("control")); !status.ok()) return status;
  if (Status status = model->open_preview(parameters.get_text("preview")); !status.ok()) return status;
  if (Status status = model->read_default_side(); !status.ok()) return status;
  if (Status status = model->note_files(source); !status.ok()) return status;
  model->choose_residency(parameters.get_text("residency"));
  return model;
}

Status DiffusionModel::merge_adapters(std::string_view json) {
  unet_source_ = checkpoint_->unet().source;
  for (const auto& part : checkpoint_->text_encoders()) text_sources_.push_back(part.source);
  const fs::path base = fs::is_directory(path_) ? fs::path(path_) : fs::path(path_).parent_path();
  Result<std::vector<AdapterEntry>> entries = read_adapters(json);
  if (!entries.ok()) return entries.status();
  adapters_.reserve(entries->size());  // the sources point into the files
  for (const AdapterEntry& entry : *entries) {
    Result<WeightFile> file = WeightFile::open(base / entry.path);
    if (!file.ok()) return file.status();
    adapters_.push_back({*std::move(file), entry.scale, entry.text_scale});
    const LoraTargets targets{.unet = &unet_source_,
                              .text_encoder = &text_sources_[0],
                              .text_encoder_2 = text_sources_.size() > 1 ? &text_sources_[1] : nullptr};
    Result<int64_t> merged =
        merge_diffusion_lora(adapters_.back().file, targets, entry.scale, entry.text_scale);
    if (!merged.ok()) return merged.status();
  }
  return {};
}

Status DiffusionModel::open_networks(DType compute) {
  Result<UNet> unet = UNet::open(unet_source_, checkpoint_->unet().config, compute);
  if (!unet.ok()) return unet.status();
  unet_.emplace(*std::move(unet));
  Result<Vae> vae = Vae::open(checkpoint_->vae().source, checkpoint_->vae().config, compute);
  if (!vae.ok()) return vae.status();
  vae_.emplace(*std::move(vae));
  if (unet_->config().out_channels != latent_channels()) {
    return Status(StatusCode::kCorruptData, "UNet and autoencoder do not belong together")
        .at(path_)
        .expected("a UNet that predicts the autoencoder's " + std::to_string(latent_channels()) + " channels")
        .got(std::to_string(unet_->config().out_channels));
  }
  return {};
}

Status DiffusionModel::open_tokenizers(const std::string& given) {
  const fs::path base = fs::is_directory(path_) ? fs::path(path_) : fs::path(path_).parent_path();
  text_encoders_.clear();
  int64_t width = 0;
  for (size_t i = 0; i < checkpoint_->text_encoders().size(); ++i) {
    const CheckpointPart<ClipTextConfig>& part = checkpoint_->text_encoders()[i];
    Result<ClipText> network = ClipText::open(text_sources_[i], part.config, compute_);
    if (!network.ok()) return network.status();
    const auto& own = checkpoint_->tokenizers();
    const fs::path folder = !given.empty() ? base / given : i < own.size() ? own[i] : fs::path();
    if (folder.empty()) return file_missing(path_);
    Result<Tokenizer> tokenizer = Tokenizer::from_folder(folder);
    if (!tokenizer.ok()) return tokenizer.status();
    if (tokenizer->vocabulary_size() > part.config.vocabulary) {
      return Status(StatusCode::kCorruptData, "the tokenizer has more tokens than the text encoder")
          .at(folder.string())
          .expected("at most " + std::to_string(part.config.vocabulary))
          .got(std::to_string(tokenizer->vocabulary_size()));
    }
    width += part.config.width;
    text_encoders_.push_back({*std::move(network), *std::move(tokenizer), {}, {}});
  }
  if (width != unet_->config().context_width) {
    return Status(StatusCode::kCorruptData, "UNet and text encoders do not belong together")
        .at(path_)
        .expected("text states of width " + std::to_string(unet_->config().context_width))
        .got(std::to_string(width));
  }
  return {};
}

Status DiffusionModel::open_embeddings(std::string_view json) {
  const fs::path base = fs::is_directory(path_) ? fs::path(path_) : fs::path(path_).parent_path();
  for (TextEncoder& encoder : text_encoders_) {
    Result<LearnedEmbeddings> learned =
        read_learned_embeddings(json, base, encoder.network.config().width,
                                static_cast<TokenId>(encoder.network.config().vocabulary));
    if (!learned.ok()) return learned.status();
    encoder.learned = std::move(learned->tokens);
    encoder.learned_embeddings = std::move(learned->values);
  }
  return {};
}

Status DiffusionModel::open_controls(std::string_view json) {
  const fs::path base = fs::is_directory(path_) ? fs::path(path_) : fs::path(path_).parent_path();
  Result<std::vector<NamedControl>> controls = open_control_networks(
      json, base, unet_->config(), latent_channels(), vae_->config().factor(), compute_);
  if (!controls.ok()) return controls.status();
  controls_ = *std::move(controls);
  return {};
}

Status DiffusionModel::open_preview(std::string_view path) {
  if (path.empty()) return {};
  const fs::path base = fs::is_directory(path_) ? fs::path(path_) : fs::path(path_).parent_path();
  Result<TaesdCheckpoint> checkpoint = TaesdCheckpoint::open(base / path);
  if (!checkpoint.ok()) return checkpoint.status();
  preview_checkpoint_.emplace(*std::move(checkpoint));
  const TaesdConfig& config = preview_checkpoint_->config();
  if (config.latent_channels != latent_channels() || config.image_channels != 3) {
    return Status(StatusCode::kCorruptData, "tiny autoencoder and model do not belong together")
        .at((base / path).string())
        .expected(std::to_string(latent_channels()) + " latent channels, 3 of the picture")
        .got(std::to_string(config.latent_channels) + " and " + std::to_string(config.image_channels));
  }
  Result<Taesd> network = Taesd::open(preview_checkpoint_->source(), config, compute_);
  if (!network.ok()) return network.status();
  preview_.emplace(*std::move(network));
  return {};
}

Status DiffusionModel::read_default_side() {
  const bool is_xl = kind() == DiffusionKind::kSdxl || kind() == DiffusionKind::kSdxlRefiner;
  default_side_ = is_xl ? 1024 : 512;
  const fs::path config = fs::path(path_) / "unet" / "config.json";
  if (!fs::is_regular_file(config)) return {};
  Result<std::optional<int64_t>> sample_size = read_sample_size(config);
  if (!sample_size.ok()) return sample_size.status();
  if (*sample_size) default_side_ = **sample_size * vae_->config().factor();
  return {};
}

Status DiffusionModel::note_files(const sdk::ModelSource& source) {
  std::set<std::string> paths;
  const auto add_all = [&](const auto& part) {
    for (const fs::path& file : part.files) paths.insert(file.string());
  };
  add_all(checkpoint_->unet());
  add_all(checkpoint_->vae());
  for (const auto& part : checkpoint_->text_encoders()) add_all(part);
  std::string weights(source.sha256());
  for (const std::string& path : paths) {
    if (path == source.path()) continue;
    Result<std::string> hash = source.add_file(path);
    if (!hash.ok()) return hash.status();
    weights += *hash;
  }
  for (const DiffusionAdapter& adapter : adapters_) {
    for (const MappedFile& part : adapter.file.files()) {
      Result<std::string> hash = source.add_file(part.path().string());
      if (!hash.ok()) return hash.status();
      if (!hash->empty())
        weights += *hash + std::to_string(adapter.unet_scale) + "," + std::to_string(adapter.text_scale);
    }
  }
  for (const NamedControl& control : controls_) {
    std::string content;
    for (const fs::path& file : control.checkpoint.files()) {
      Result<std::string> hash = source.add_file(file.string());
      if (!hash.ok()) return hash.status();
      content += *hash;
    }
    control_keys_.push_back(content.empty() ? "" : digest_of(content) + ".control");
  }
  if (preview_checkpoint_) {  // no result depends on it, but its packed weights do
    std::string content;
    for (const fs::path& file : preview_checkpoint_->files()) {
      Result<std::string> hash = source.add_file(file.string());
      if (!hash.ok()) return hash.status();
      content += *hash;
    }
    preview_key_ = content.empty() ? "" : digest_of(content) + ".preview";
  }
  // Small files that results depend on, but packed weights do not.
  std::vector<fs::path> small = checkpoint_->tokenizers();
  if (!checkpoint_->scheduler_config().empty()) small.push_back(checkpoint_->scheduler_config());
  for (const fs::path& path : small) {
    if (path.empty() || !fs::exists(path)) continue;
    if (Result<std::string> hash = source.add_file(path.string()); !hash.ok()) return hash.status();
  }
  if (!weights.empty()) weights_key_ = digest_of(weights);
  return {};
}

Result<diffusion::SamplerConfig> DiffusionModel::sampler_config(
    std::optional<diffusion::Sampler> sampler) const {
  const fs::path& path = checkpoint_->scheduler_config();
  if (!path.empty() && fs::is_regular_file(path)) return read_scheduler_config(path, sampler);
  // A single file has no scheduler: what Stable Diffusion was published with.
  diffusion::SamplerConfig config;
  const bool is_xl = kind() == DiffusionKind::kSdxl || kind() == DiffusionKind::kSdxlRefiner;
  config.sampler = sampler.value_or(is_xl ? diffusion::Sampler::kEuler : diffusion::Sampler::kPndm);
  config.beta_start = 0.00085;
  config.beta_end = 0.012;
  config.beta_schedule = diffusion::BetaSchedule::kScaledLinear;
  config.steps_offset = 1;
  config.set_alpha_to_one = diffusion::Switch::kOff;
  config.clip_sample = 0;
  config.skip_prk_steps = diffusion::Switch::kOn;
  if (is_xl) config.timestep_spacing = diffusion::TimestepSpacing::kLeading;
  if (checkpoint_->marked_v_prediction()) config.prediction = diffusion::Prediction::kVelocity;
  return config;
}

int64_t DiffusionModel::chunk_length() const {
  int64_t length = text_encoders_.front().network.config().n_positions;
  for (const TextEncoder& encoder : text_encoders_) {
    length = std::min(length, encoder.network.config().n_positions);
  }
  return length;
}

int64_t DiffusionModel::pooled_width() const {
  if (unet_->config().added_time_width == 0) return 0;
  const ClipTextConfig& last = text_encoders_.back().network.config();
  return last.projection_width > 0 ? last.projection_width : last.width;
}

}  // namespace weft::image
