#include "kernels/networks/vision_language/vision_language_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "kernels/layers/activation_name.h"
#include "kernels/networks/vision_transformer/vision_transformer_checkpoint.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {
namespace {

// "image_token_index", or "image_token_id" as newer files say.
int32_t read_token(MetadataReader& reader, const std::string& name, int32_t fallback) {
  const std::string old = name + "_token_index", now = name + "_token_id";
  return static_cast<int32_t>(reader.size_or(reader.has(old) ? old : now, fallback));
}

// The state after which layer is read: -1 the last one's, -2 that before.
void read_feature_layer(MetadataReader& reader, VisionLanguageConfig& c) {
  const Result<int64_t> layer = reader.metadata().integer_or("vision_feature_layer", -2);
  const int64_t n_layers = c.tower.n_layers;
  const int64_t read = layer.ok() ? (*layer < 0 ? n_layers + 1 + *layer : *layer) : 0;
  if (read < 1 || read > n_layers)
    return reader.unsupported("vision_feature_layer", layer.ok() ? std::to_string(*layer) : "no number",
                              "one of the tower's " + std::to_string(n_layers) + " layers");
  c.tower.n_layers = read;
}

void read_llava(MetadataReader& reader, VisionLanguageConfig& c) {
  if (!c.tower.has_class_token)
    reader.unsupported("vision_config.model_type", "siglip_vision_model", "clip_vision_model");
  read_feature_layer(reader, c);
  const std::string strategy = reader.text_or("vision_feature_select_strategy", "default");
  if (strategy != "default" && strategy != "full")
    reader.unsupported("vision_feature_select_strategy", strategy, "default or full");
  c.first_state = strategy == "default" ? 1 : 0;
  c.projector.kind = ProjectorKind::kTwoLayers;
  c.projector.activation = read_activation(reader, "projector_hidden_act", "gelu");
  c.projector.has_biases = reader.flag_or("multimodal_projector_bias", true);
  c.projector.n_states = c.tower.n_tokens() - c.first_state;
  c.image_token = read_token(reader, "image", 32000);
}

void read_gemma3(MetadataReader& reader, VisionLanguageConfig& c) {
  if (c.tower.has_class_token)
    reader.unsupported("vision_config.model_type", "clip_vision_model", "siglip_vision_model");
  const int64_t tokens = reader.size_or("mm_tokens_per_image", 256), patches = c.tower.patches_a_side();
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(tokens))));
  if (side * side != tokens || side > patches || patches % side != 0)
    reader.unsupported("mm_tokens_per_image", std::to_string(tokens),
                       "a square whose side divides the tower's " + std::to_string(patches) + " patches");
  c.projector.kind = ProjectorKind::kMeanNorm;
  c.projector.n_states = c.tower.n_tokens();
  c.projector.pooled_side = patches / std::max<int64_t>(side, 1);
  c.projector.epsilon = c.tower.epsilon;
  c.image_token = read_token(reader, "image", 262144);
  c.begin_token = read_token(reader, "boi", 255999);
  c.end_token = read_token(reader, "eoi", 256000);
}

}  // namespace

bool has_vision_tower(const Metadata& metadata) {
  MetadataReader reader(metadata);
  const std::string type = reader.text_or("model_type", "");
  return type == "llava" || (type == "gemma3" && reader.has("vision_config.model_type"));
}

Result<VisionLanguageConfig> read_vision_language_config(const Metadata& metadata, int64_t text_width) {
  VisionLanguageConfig c;
  const Result<VisionTransformerConfig> tower = read_vision_tower_config(metadata);
  if (!tower.ok()) return tower.status();
  c.tower = *tower;
  MetadataReader reader(metadata);
  if (reader.text_or("model_type", "") == "llava") read_llava(reader, c);
  else read_gemma3(reader, c);
  if (!reader.status().ok()) return reader.status();
  c.projector.tower_width = c.tower.width;
  c.projector.text_width = text_width;
  return c;
}

WeightSource multimodal_projector_source(const WeightFile& file) {
  constexpr std::string_view kProjector = "multi_modal_projector.",
                             kTransposed = "mm_input_projection_weight";
  WeightSource projector;
  const WeightSource all = WeightSource::all_of(file);
  for (const auto& [name, tensor] : all.tensors()) {
    const size_t at = name.find(kProjector);
    if (at != 0 && (at != 6 || !name.starts_with("model."))) continue;
    const std::string own = name.substr(at + kProjector.size());
    SourceTensor source = tensor;
    source.transposed = own == kTransposed && tensor.tensor->rank == 2;
    projector.add(own == kTransposed ? "mm_input_projection.weight" : own, source);
  }
  return projector;
}

}  // namespace weft
