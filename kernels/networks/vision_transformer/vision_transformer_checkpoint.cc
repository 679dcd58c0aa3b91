#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/layers/activation_name.h"
#include "kernels/layers/weight_names.h"
#include "kernels/networks/open_clip/open_clip_config.h"
#include "kernels/networks/open_clip/open_clip_tensors.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

constexpr std::string_view kKnown =
    "clip, clip_vision_model, siglip, siglip_vision_model, siglip2, siglip2_vision_model, vit or dinov2; or "
    "model_cfg, as OpenCLIP has it";

void read_sizes(MetadataReader& r, VisionTransformerConfig& c, const char* activation) {
  c.width = r.size_or("hidden_size", 768);
  c.n_layers = r.size_or("num_hidden_layers", 12);
  c.n_heads = r.size_or("num_attention_heads", 12);
  c.mlp_width = r.size_or("intermediate_size", 3072);
  c.image_size = r.size_or("image_size", 224);
  c.patch_size = r.size_or("patch_size", 16);
  c.activation = read_activation(r, "hidden_act", activation);
  if (r.size_or("num_channels", 3) != 3) r.unsupported("num_channels", "another number", "3");
}

void read_clip(MetadataReader& outer, MetadataReader& r, VisionTransformerConfig& c, bool whole) {
  read_sizes(r, c, "quick_gelu");  // the values that transformers leaves out are those of B/32
  if (!r.has("patch_size")) c.patch_size = 32;
  c.epsilon = static_cast<float>(r.positive_or("layer_norm_eps", 1e-5));
  c.projection_width = (whole ? outer : r).size_or("projection_dim", 512);
}

void read_siglip(MetadataReader& r, VisionTransformerConfig& c) {
  read_sizes(r, c, "gelu_pytorch_tanh");
  c.epsilon = static_cast<float>(r.positive_or("layer_norm_eps", 1e-6));
  c.has_class_token = c.norms_embeddings = false;
  c.patches_have_bias = c.norms_hidden = true;
  c.pooling = PicturePooling::kAttention;
  c.projection_width = 0;
}

// SigLIP 2 with pictures of any shape. (Its models of one size call themselves siglip.)
void read_naflex(MetadataReader& r, VisionTransformerConfig& c) {
  read_siglip(r, c);
  const int64_t patches = r.size_or("num_patches", 256);
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(patches))));
  if (side * side != patches) r.unsupported("num_patches", std::to_string(patches), "a square");
  c.image_size = side * c.patch_size;
  c.max_patches = patches;
}

void read_vit(MetadataReader& r, VisionTransformerConfig& c, bool dino) {
  read_sizes(r, c, "gelu");
  c.epsilon = static_cast<float>(r.positive_or("layer_norm_eps", dino ? 1e-6 : 1e-12));
  c.norms_embeddings = false;
  c.patches_have_bias = c.norms_hidden = true;
  c.projection_width = 0;
  if (!r.flag_or("qkv_bias", true)) r.unsupported("qkv_bias", "false", "true");
  if (!dino) return;
  constexpr double kMost = 1e9;  // more than opening lets pass
  c.mlp_width =
      static_cast<int64_t>(std::min(kMost, static_cast<double>(c.width) * r.positive_or("mlp_ratio", 4)));
  if (!r.flag_or("use_swiglu_ffn", false)) return;
  // Two thirds of it, in eights: with the gates as many weights as without.
  c.gated_mlp = true;
  c.activation = Activation::kSilu;
  c.mlp_width = (c.mlp_width * 2 / 3 + 7) / 8 * 8;
}

// A side of OpenCLIP's pictures or patches, given once, or for height and width.
int64_t read_side(MetadataReader& r, const std::string& level, const std::string& key, int64_t fallback) {
  const auto found = r.metadata().entries().find(level + key);
  if (found == r.metadata().entries().end() || !found->second.is_array) return r.size_or(key, fallback);
  const Result<std::vector<int64_t>> both = r.metadata().integers(level + key);
  if (both.ok() && both->size() == 2 && both->front() == both->back() && both->front() > 0)
    return both->front();
  r.unsupported(key, "an array of others", "one number above 0, or twice the same: a square");
  return fallback;
}

Result<VisionTransformerConfig> read_open_clip(const Metadata& metadata) {
  constexpr std::string_view kTower = "vision_cfg.";
  constexpr std::string_view kKeys[] = {"head_width",        "image_size",          "patch_size",
                                        "no_ln_pre",         "pos_embed_type",      "attn_pooler_queries",
                                        "attn_pooler_heads", "final_ln_after_pool", "patch_dropout"};
  const Result<OpenClipTower> tower = read_open_clip_tower(metadata, kTower, 768, kKeys);
  if (!tower.ok()) return tower.status();
  const std::string level = std::string(kOpenClipModel) + std::string(kTower);
  MetadataReader r(metadata, level);
  VisionTransformerConfig c;
  c.width = tower->width;
  c.n_layers = tower->n_layers;
  c.mlp_width = tower->mlp_width;
  c.activation = tower->activation;
  c.epsilon = tower->epsilon;
  c.projection_width = tower->embedding_width;
  const int64_t head_width = r.size_or("head_width", 64);
  c.n_heads = c.width / head_width;
  if (c.n_heads < 1 || c.width % c.n_heads != 0)
    r.unsupported("head_width", std::to_string(head_width),
                  "a number of heads that divides the width, " + std::to_string(c.width));
  c.image_size = read_side(r, level, "image_size", 224);
  c.patch_size = read_side(r, level, "patch_size", 16);
  c.norms_embeddings = !r.flag_or("no_ln_pre", false);
  if (const std::string pool = r.text_or("pool_type", "tok"); pool != "tok")
    r.unsupported("pool_type", "'" + pool + "'", "'tok', the class token");
  // Both are a table in the file.
  if (const std::string kind = r.text_or("pos_embed_type", "learnable");
      kind != "learnable" && kind != "sin_cos_2d")
    r.unsupported("pos_embed_type", "'" + kind + "'", "'learnable' or 'sin_cos_2d'");
  if (!r.status().ok()) return r.status();
  c.trained_patches_a_side = c.image_size / c.patch_size;
  return c;
}

// Transformers' names of ViT and DINOv2 and those of CLIP's towers.
constexpr Rename kRenamed[] = {{"embeddings.cls_token", "embeddings.class_embedding"},
                               {"embeddings.patch_embeddings.projection", "embeddings.patch_embedding"},
                               {"embeddings.position_embeddings", "embeddings.position_embedding.weight"},
                               {"layernorm", "post_layernorm"}};
constexpr Rename kRenamedInLayer[] = {{"attention.attention.query", "self_attn.q_proj"},
                                      {"attention.attention.key", "self_attn.k_proj"},
                                      {"attention.attention.value", "self_attn.v_proj"},
                                      {"attention.output.dense", "self_attn.out_proj"},
                                      {"intermediate.dense", "mlp.fc1"},
                                      {"output.dense", "mlp.fc2"},
                                      {"mlp.weights_out", "mlp.fc2"},
                                      {"layernorm_before", "layer_norm1"},
                                      {"layernorm_after", "layer_norm2"},
                                      {"norm1", "layer_norm1"},
                                      {"norm2", "layer_norm2"}};

// "encoder.layer.3.norm1.bias" as "encoder.layers.3.layer_norm1.bias".
std::string vit_name(std::string_view name) {
  constexpr std::string_view kLayer = "encoder.layer.";
  if (!name.starts_with(kLayer)) return renamed(name, kRenamed);
  const size_t dot = name.find('.', kLayer.size());
  if (dot == std::string_view::npos) return std::string(name);
  return "encoder.layers." + std::string(name.substr(kLayer.size(), dot + 1 - kLayer.size())) +
         renamed(name.substr(dot + 1), kRenamedInLayer);
}

constexpr std::string_view kGated = "mlp.weights_in";

// What a model has beside its encoder, and what is needed in training alone.
bool is_unread(std::string_view name) {
  return name.starts_with("pooler.") || name == "embeddings.mask_token";
}

// Adds rows [i / n, (i + 1) / n) of a tensor.
void add_part(WeightSource& tower, std::string name, SourceTensor tensor, int64_t i, int64_t n) {
  tensor.n_rows = tensor.tensor->rank > 0 ? tensor.tensor->extents[0] / n : 0;
  tensor.first_row = i * tensor.n_rows;
  tower.add(std::move(name), tensor);
}

// DINOv2's gates and what they gate, which published files have in one tensor.
void add_gated(WeightSource& encoder, const std::string& name, const SourceTensor& tensor) {
  const size_t at = name.rfind(kGated);
  const std::string layer = name.substr(0, at), rest = name.substr(at + kGated.size());
  add_part(encoder, layer + "mlp.gate" + rest, tensor, 0, 2);
  add_part(encoder, layer + "mlp.fc1" + rest, tensor, 1, 2);
}

WeightSource vit_source(const WeightFile& file, const std::string& prefix) {
  WeightSource encoder;
  const WeightSource all = WeightSource::all_of(file);
  const bool bare = !all.contains(prefix + "embeddings.cls_token");
  for (const auto& [name, tensor] : all.tensors()) {
    const bool inner = bare || name.starts_with(prefix);
    const std::string own = inner && !bare ? name.substr(prefix.size()) : name;
    if (is_unread(own)) continue;
    const std::string known = inner ? vit_name(own) : own;
    if (known.find(kGated) != std::string::npos) add_gated(encoder, known, tensor);
    else encoder.add(known, tensor);
  }
  return encoder;
}

// Layer scales into the rows of the products that they follow.
WeightSource with_layer_scales(const WeightSource& source) {
  WeightSource scaled;
  constexpr std::pair<std::string_view, std::string_view> kScales[] = {
      {"layer_scale1.lambda1", "self_attn.out_proj"}, {"layer_scale2.lambda1", "mlp.fc2"}};
  for (const auto& [name, tensor] : source.tensors()) {
    const auto* scale = std::begin(kScales);
    while (scale != std::end(kScales) && !name.ends_with(scale->first)) ++scale;
    if (scale == std::end(kScales)) {
      scaled.add(name, tensor);
      continue;
    }
    const std::string product =
        name.substr(0, name.size() - scale->first.size()) + std::string(scale->second);
    scaled.add_row_scale(product + ".weight", tensor);
    scaled.add_row_scale(product + ".bias", tensor);
  }
  return scaled;
}

// SigLIP's head has queries, keys and values in one tensor.
void add_head_attention(WeightSource& tower, const std::string& name, const SourceTensor& tensor) {
  constexpr std::string_view kFused = "in_proj_";
  const size_t at = name.find(kFused);
  for (int64_t i = 0; i < 3; ++i)
    add_part(tower, name.substr(0, at) + "qkv"[i] + "_proj." + name.substr(at + kFused.size()), tensor, i, 3);
}

}  // namespace

Result<VisionTransformerConfig> read_vision_transformer_config(const Metadata& metadata,
                                                               std::optional<int64_t> image_size) {
  if (is_open_clip(metadata)) return read_open_clip(metadata);
  MetadataReader outer(metadata);
  const std::string type = outer.text_or("model_type", "");
  const bool whole = type == "clip" || type == "siglip" || type == "siglip2",
             naflex = type == "siglip2" || type == "siglip2_vision_model",
             resizes = type == "vit" || type == "dinov2";
  MetadataReader r(metadata, whole ? "vision_config." : "");
  VisionTransformerConfig c;
  if (type == "clip" || type == "clip_vision_model") read_clip(outer, r, c, whole);
  else if (naflex || type == "siglip" || type == "siglip_vision_model") {
    if (naflex) read_naflex(r, c);
    else read_siglip(r, c);
    if (!r.flag_or("vision_use_head", true)) r.unsupported("vision_use_head", "false", "true");
  } else if (resizes) read_vit(r, c, type == "dinov2");
  else outer.unsupported("model_type", type, kKnown);
  if (resizes) {
    while (outer.has("id2label." + std::to_string(c.n_classes))) ++c.n_classes;
    bool classifies = false;
    for (const std::string& name : outer.texts_or("architectures"))
      classifies = classifies || name.ends_with("ForImageClassification");
    if (!classifies) c.n_classes = 0;
    else c.classifier = type == "dinov2" ? ClassifierInput::kClassTokenAndMean : ClassifierInput::kClassToken;
    // transformers leaves out the names of two classes: it is their default.
    if (classifies && c.n_classes == 0) c.n_classes = 2;
  }
  c.trained_patches_a_side = c.image_size / std::max<int64_t>(c.patch_size, 1);
  if (resizes && image_size) c.image_size = *image_size;
  for (const MetadataReader* reader : {&outer, &r})
    if (!reader->status().ok()) return reader->status();
  return c;
}

Result<VisionTransformerConfig> read_vision_tower_config(const Metadata& metadata) {
  MetadataReader r(metadata, "vision_config.");
  const std::string type = r.text_or("model_type", "");
  VisionTransformerConfig c;
  if (type == "clip_vision_model") read_clip(r, r, c, false);
  else if (type == "siglip_vision_model") read_siglip(r, c);
  else r.unsupported("model_type", type, "clip_vision_model or siglip_vision_model");
  c.pooling = PicturePooling::kNone;
  c.projection_width = 0;
  c.trained_patches_a_side = c.image_size / std::max<int64_t>(c.patch_size, 1);
  if (!r.status().ok()) return r.status();
  return c;
}

WeightSource vision_tower_source(const WeightFile& file, const VisionTransformerConfig& config) {
  constexpr std::string_view kTower = "vision_tower.", kLayer = "encoder.layers.";
  WeightSource tower;
  const WeightSource all = WeightSource::all_of(file);
  for (const auto& [name, tensor] : all.tensors()) {
    std::string_view own = name;
    for (const std::string_view outer :
         {std::string_view("model."), kTower, std::string_view("vision_model.")})
      if (own.starts_with(outer)) own.remove_prefix(outer.size());
    const bool is_layer = own.starts_with(kLayer);
    const bool is_read =
        name.find(kTower) != std::string::npos && !own.starts_with("head.") &&
        (config.norms_hidden || !own.starts_with("post_layernorm.")) &&
        (!is_layer || std::atoll(std::string(own.substr(kLayer.size())).c_str()) < config.n_layers);
    if (is_read) tower.add(std::string(own), tensor);
  }
  return tower;
}

WeightSource vision_transformer_source(const WeightFile& file) {
  if (is_open_clip(file.metadata())) return open_clip_vision_source(file);
  const Result<std::string_view> type = file.metadata().string_or("model_type", "");
  if (type.ok() && *type == "vit") return vit_source(file, "vit.");
  if (type.ok() && *type == "dinov2") return with_layer_scales(vit_source(file, "dinov2."));
  constexpr std::string_view kPrefix = "vision_model.";
  const WeightSource all = WeightSource::all_of(file);
  WeightSource tower;
  for (const auto& [name, tensor] : all.tensors()) {
    if (name == "visual_projection.weight") tower.add(name, tensor);
    if (!name.starts_with(kPrefix)) continue;
    const std::string own = name.substr(kPrefix.size());
    if (own.starts_with("head.attention.in_proj_")) add_head_attention(tower, own, tensor);
    else tower.add(own, tensor);
  }
  return tower;
}

}  // namespace weft
