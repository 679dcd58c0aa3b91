#include "kernels/networks/open_clip/open_clip_config.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

constexpr std::string_view kModelKeys[] = {"embed_dim", "quick_gelu", "custom_text", "init_logit_scale",
                                           "nonscalar_logit_scale"};
constexpr std::string_view kTowerKeys[] = {"width",        "layers",          "mlp_ratio",
                                           "pool_type",    "norm_kwargs.eps", "act_kwargs.approximate",
                                           "output_tokens"};
// Towers that are not OpenCLIP's own blocks, by the key that says so, and what then describes them.
constexpr std::string_view kForeign[] = {"timm_model_name", "hf_model_name"};
constexpr std::string_view kOfForeign[] = {"timm_", "hf_"};

bool is_among(std::string_view key, std::span<const std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

std::string text_of(const Metadata& metadata, std::string_view key) {
  if (const Result<std::string_view> text = metadata.string(key); text.ok())
    return "'" + std::string(text->substr(0, 100)) + "'";
  if (const Result<bool> flag = metadata.boolean(key); flag.ok()) return *flag ? "true" : "false";
  if (const Result<double> number = metadata.number(key); number.ok()) return std::to_string(*number);
  return "several values";
}

bool is_off(const Metadata& metadata, std::string_view key) {
  const Result<bool> flag = metadata.boolean(key);
  return flag.ok() && !*flag;
}

bool is_of_foreign(std::string_view key) {
  return std::any_of(std::begin(kOfForeign), std::end(kOfForeign),
                     [&](std::string_view front) { return key.starts_with(front); });
}

// Calls `each` with the keys below `level` that are not off, without it.
template <typename Each>
void for_keys(const Metadata& metadata, const std::string& level, Each each) {
  const Metadata::Entries& entries = metadata.entries();
  for (auto at = entries.lower_bound(level); at != entries.end() && at->first.starts_with(level); ++at)
    if (!is_off(metadata, at->first)) each(std::string_view(at->first).substr(level.size()));
}

bool is_array(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.entries().find(key);
  return found != metadata.entries().end() && found->second.is_array;
}

// The entries of a tower, read through those of its model, so that the first error of both is kept.
class TowerReader {
 public:
  TowerReader(const Metadata& metadata, std::string_view tower)
      : metadata_(metadata), tower_(tower), model_(kOpenClipModel), reader_(metadata, model_) {}

  Result<OpenClipTower> read(int64_t width, std::span<const std::string_view> own_keys) {
    check_kind();
    for_keys(metadata_, model_ + tower_, [&](std::string_view key) {
      if (!is_among(key, kTowerKeys) && !is_among(key, own_keys) && !is_of_foreign(key)) refuse(key);
    });
    OpenClipTower t;
    t.embedding_width = reader_.size("embed_dim");
    t.width = reader_.size_or(tower_ + "width", width);
    t.n_layers = reader_.size_or(tower_ + "layers", 12);
    t.activation = activation();
    t.epsilon = static_cast<float>(reader_.positive_or(tower_ + "norm_kwargs.eps", 1e-5));
    const double mlp_width = static_cast<double>(t.width) * reader_.positive_or(tower_ + "mlp_ratio", 4);
    if (mlp_width >= 1 && mlp_width <= INT32_MAX) t.mlp_width = static_cast<int64_t>(mlp_width);
    else refuse("mlp_ratio", "a ratio that gives an MLP of 1 to 2147483647 values");
    if (!reader_.status().ok()) return reader_.status();
    return t;
  }

 private:
  void refuse(std::string_view key, std::string_view known = "no such key, null or false") {
    const std::string full = tower_ + std::string(key);
    reader_.unsupported(full, text_of(metadata_, model_ + full), known);
  }

  // What it is comes before what it lacks.
  void check_kind() {
    for (const std::string_view key : kForeign)
      if (reader_.has(tower_ + std::string(key))) refuse(key, "a tower of OpenCLIP's own");
    for_keys(metadata_, model_, [&](std::string_view key) {
      // CoCa's decoder is an object: its name says more than its first key.
      if (key.starts_with("multimodal_cfg."))
        reader_.unsupported("multimodal_cfg", "a CoCa model", "no such key: a CLIP model");
      else if (!key.starts_with("vision_cfg.") && !key.starts_with("text_cfg.") && !is_among(key, kModelKeys))
        reader_.unsupported(key, text_of(metadata_, model_ + std::string(key)), "no such key, null or false");
    });
    if (is_array(metadata_, model_ + tower_ + "layers"))
      reader_.unsupported(tower_ + "layers", "several numbers: a ModifiedResNet",
                          "one number: a transformer");
  }

  // As nn.GELU takes it; QuickGELU has no form of its own.
  Activation activation() {
    const bool quick = reader_.flag_or("quick_gelu", false);
    const std::string form = reader_.text_or(tower_ + "act_kwargs.approximate", "none");
    if (form != "none" && (quick || form != "tanh"))
      refuse("act_kwargs.approximate", quick ? "no such key, with quick_gelu" : "'none' or 'tanh'");
    if (quick) return Activation::kQuickGelu;
    return form == "tanh" ? Activation::kGeluTanh : Activation::kGelu;
  }

  const Metadata& metadata_;
  std::string tower_, model_;
  MetadataReader reader_;
};

}  // namespace

bool is_open_clip(const Metadata& metadata) {
  const auto first = metadata.entries().lower_bound(kOpenClipModel);
  return first != metadata.entries().end() && first->first.starts_with(kOpenClipModel);
}

Result<OpenClipTower> read_open_clip_tower(const Metadata& metadata, std::string_view tower, int64_t width,
                                           std::span<const std::string_view> own_keys) {
  return TowerReader(metadata, tower).read(width, own_keys);
}

}  // namespace weft
