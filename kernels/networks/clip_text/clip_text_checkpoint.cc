#include "kernels/networks/clip_text/clip_text_checkpoint.h"

#include <string>
#include <string_view>
#include <vector>

#include "kernels/layers/activation_name.h"
#include "kernels/networks/open_clip/open_clip_config.h"
#include "kernels/networks/open_clip/open_clip_tensors.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

Result<ClipTextConfig> read_siglip(const Metadata& metadata, bool whole) {
  MetadataReader r(metadata, whole ? "text_config." : "");
  ClipTextConfig c;
  c.vocabulary = r.size_or("vocab_size", 32000);
  c.width = r.size_or("hidden_size", 768);
  c.n_layers = r.size_or("num_hidden_layers", 12);
  c.n_heads = r.size_or("num_attention_heads", 12);
  c.mlp_width = r.size_or("intermediate_size", 3072);
  c.n_positions = r.size_or("max_position_embeddings", 64);
  c.epsilon = static_cast<float>(r.positive_or("layer_norm_eps", 1e-6));
  c.activation = read_activation(r, "hidden_act", "gelu_pytorch_tanh");
  c.mask = AttentionMask::kNone;
  c.pooling = TextPooling::kLastToken;
  c.projection_width = r.size_or("projection_size", c.width);
  c.projection_has_bias = true;
  if (!r.status().ok()) return r.status();
  return c;
}

Result<ClipTextConfig> read_open_clip(const Metadata& metadata) {
  constexpr std::string_view kTower = "text_cfg.";
  constexpr std::string_view kKeys[] = {"context_length",      "vocab_size", "heads",  "proj_type",
                                        "final_ln_after_pool", "pad_id",     "eos_id", "hf_tokenizer_name"};
  const Result<OpenClipTower> tower = read_open_clip_tower(metadata, kTower, 512, kKeys);
  if (!tower.ok()) return tower.status();
  MetadataReader r(metadata, std::string(kOpenClipModel) + std::string(kTower));
  ClipTextConfig c;
  c.vocabulary = r.size_or("vocab_size", 49408);
  c.width = tower->width;
  c.n_layers = tower->n_layers;
  c.n_heads = r.size_or("heads", 8);
  c.mlp_width = tower->mlp_width;
  c.n_positions = r.size_or("context_length", 77);
  c.activation = tower->activation;
  c.epsilon = tower->epsilon;
  c.projection_width = tower->embedding_width;
  c.end_token = 2;  // pooled at the largest id
  if (const std::string pool = r.text_or("pool_type", "argmax"); pool != "argmax")
    r.unsupported("pool_type", "'" + pool + "'", "'argmax'");
  if (const std::string kind = r.text_or("proj_type", "linear"); kind != "linear")
    r.unsupported("proj_type", "'" + kind + "'", "'linear'");
  if (!r.status().ok()) return r.status();
  return c;
}

}  // namespace

Result<ClipTextConfig> read_clip_text_config(const Metadata& metadata) {
  if (is_open_clip(metadata)) return read_open_clip(metadata);
  MetadataReader outer(metadata);
  const std::string type = outer.text_or("model_type", "");
  const bool siglip = type == "siglip" || type == "siglip2";
  if (siglip || type == "siglip_text_model" || type == "siglip2_text_model")
    return read_siglip(metadata, siglip);
  const bool whole = type == "clip";
  MetadataReader r(metadata, whole ? "text_config." : "");
  ClipTextConfig c;
  c.vocabulary = r.size_or("vocab_size", 49408);
  c.width = r.size_or("hidden_size", 512);
  c.n_layers = r.size_or("num_hidden_layers", 12);
  c.n_heads = r.size_or("num_attention_heads", 8);
  c.mlp_width = r.size_or("intermediate_size", 2048);
  c.n_positions = r.size_or("max_position_embeddings", 77);
  c.epsilon = static_cast<float>(r.positive_or("layer_norm_eps", 1e-5));
  c.end_token = static_cast<int32_t>(r.size_or("eos_token_id", 49407));
  c.activation = read_activation(r, "hidden_act", "quick_gelu");
  // CLIPTextModel ignores projection_dim; only the kind with a projection has the tensor.
  const std::vector<std::string> with_projection = {"CLIPTextModelWithProjection"};
  if (whole) c.projection_width = outer.size_or("projection_dim", 512);
  else if (outer.texts_or("architectures") == with_projection) c.projection_width = r.size("projection_dim");
  for (const MetadataReader* reader : {&outer, &r})
    if (!reader->status().ok()) return reader->status();
  return c;
}

WeightSource clip_text_source(const WeightFile& file) {
  if (is_open_clip(file.metadata())) {
    constexpr std::string_view kCustomText = "text.";
    const bool custom = file.find("text.positional_embedding") != nullptr;
    return open_clip_text_source(file, custom ? kCustomText : std::string_view());
  }
  const WeightSource all = WeightSource::all_of(file);
  WeightSource tower;
  constexpr std::string_view kHead = "text_model.head.";
  for (const auto& [name, tensor] : all.tensors()) {
    if (name.starts_with(kHead)) tower.add("text_projection." + name.substr(kHead.size()), tensor);
    else if (name.starts_with("text_model.") || name == "text_projection.weight") tower.add(name, tensor);
  }
  return tower;
}

}  // namespace weft
