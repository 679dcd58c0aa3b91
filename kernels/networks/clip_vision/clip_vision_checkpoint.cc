#include "kernels/networks/clip_vision/clip_vision_checkpoint.h"

#include <string>
#include <string_view>

#include "kernels/layers/activation_name.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {

Result<ClipVisionConfig> read_clip_vision_config(const Metadata& metadata) {
  MetadataReader outer(metadata);
  const std::string type = outer.text_or("model_type", "");
  const bool whole = type == "clip";
  if (!whole && type != "clip_vision_model")
    outer.unsupported("model_type", type, "clip or clip_vision_model");
  MetadataReader r(metadata, whole ? "vision_config." : "");
  ClipVisionConfig c;  // the values that transformers leaves out are those of B/32
  c.width = r.size_or("hidden_size", 768);
  c.n_layers = r.size_or("num_hidden_layers", 12);
  c.n_heads = r.size_or("num_attention_heads", 12);
  c.mlp_width = r.size_or("intermediate_size", 3072);
  c.image_size = r.size_or("image_size", 224);
  c.patch_size = r.size_or("patch_size", 32);
  c.activation = read_activation(r, "hidden_act", "quick_gelu");
  c.epsilon = static_cast<float>(r.positive_or("layer_norm_eps", 1e-5));
  c.projection_width = (whole ? outer : r).size_or("projection_dim", 512);
  if (r.size_or("num_channels", 3) != 3) r.unsupported("num_channels", "another number", "3");
  for (const MetadataReader* reader : {&outer, &r})
    if (!reader->status().ok()) return reader->status();
  return c;
}

WeightSource clip_vision_source(const WeightFile& file) {
  constexpr std::string_view kPrefix = "vision_model.";
  const WeightSource all = WeightSource::all_of(file);
  WeightSource tower;
  for (const auto& [name, tensor] : all.tensors()) {
    if (name.starts_with(kPrefix)) tower.add(name.substr(kPrefix.size()), tensor);
    if (name == "visual_projection.weight") tower.add(name, tensor);
  }
  return tower;
}

}  // namespace weft
