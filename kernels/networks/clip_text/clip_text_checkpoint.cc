#include "kernels/networks/clip_text/clip_text_checkpoint.h"

#include <string>
#include <string_view>
#include <vector>

#include "kernels/layers/activation_name.h"
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

}  // namespace

Result<ClipTextConfig> read_clip_text_config(const Metadata& metadata) {
  MetadataReader outer(metadata);
  const std::string type = outer.text_or("model_type", "");
  if (type == "siglip" || type == "siglip_text_model") return read_siglip(metadata, type == "siglip");
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
