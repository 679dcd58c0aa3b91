#include "kernels/networks/open_clip/open_clip_tensors.h"

#include <span>
#include <string>

#include "kernels/layers/weight_names.h"

namespace weft {
namespace {

constexpr std::string_view kVisual = "visual.", kLayer = "transformer.resblocks.", kFused = "attn.in_proj_";

constexpr Rename kLayerNames[] = {{"ln_1", "layer_norm1"},
                                  {"ln_2", "layer_norm2"},
                                  {"mlp.c_fc", "mlp.fc1"},
                                  {"mlp.c_proj", "mlp.fc2"},
                                  {"attn.out_proj", "self_attn.out_proj"}};
constexpr Rename kTextNames[] = {{"ln_final", "text_model.final_layer_norm"},
                                 {"token_embedding", "text_model.embeddings.token_embedding"},
                                 {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
                                 {"text_projection", "text_projection.weight"}};
constexpr Rename kVisionNames[] = {{"class_embedding", "embeddings.class_embedding"},
                                   {"positional_embedding", "embeddings.position_embedding.weight"},
                                   {"conv1", "embeddings.patch_embedding"},
                                   {"ln_pre", "pre_layrnorm"},  // sic
                                   {"ln_post", "post_layernorm"},
                                   {"proj", "visual_projection.weight"}};

// How a tower is called in the file and here.
struct Tower {
  std::string_view layers;  // "text_model.encoder.layers."
  std::span<const Rename> names;
  std::string_view projection;
};
constexpr Tower kText = {"text_model.encoder.layers.", kTextNames, "text_projection"};
constexpr Tower kVision = {"encoder.layers.", kVisionNames, "proj"};

// name: the tensor's, without what precedes the tower's.
void add(WeightSource& source, const Tower& tower, std::string_view name, const WeightFile& file,
         const WeightTensor& tensor) {
  const size_t dot = name.starts_with(kLayer) ? name.find('.', kLayer.size()) : std::string_view::npos;
  if (dot == std::string_view::npos) {
    const bool projects = name == tower.projection;
    // One that cannot be transposed is reported under its own name.
    if (projects && tensor.rank != 2) source.add(std::string(name), {&file, &tensor});
    else source.add(renamed(name, tower.names), {&file, &tensor, 0, -1, projects});
    return;
  }
  const std::string layer =
      std::string(tower.layers) + std::string(name.substr(kLayer.size(), dot + 1 - kLayer.size()));
  const std::string_view part = name.substr(dot + 1);
  // One that does not divide into three stays whole, and is reported under this name.
  if (!part.starts_with(kFused) || tensor.rank < 1 || tensor.extents[0] % 3 != 0) {
    source.add(layer + renamed(part, kLayerNames), {&file, &tensor});
    return;
  }
  const int64_t rows = tensor.extents[0] / 3;
  const std::string kind(part.substr(kFused.size()));
  for (int64_t i = 0; i < 3; ++i)
    source.add(layer + "self_attn." + "qkv"[i] + "_proj." + kind, {&file, &tensor, i * rows, rows});
}

}  // namespace

WeightSource open_clip_text_source(const WeightFile& file, std::string_view prefix, int64_t used_layers) {
  const std::string unused = std::string(kLayer) + std::to_string(used_layers) + ".";
  WeightSource source;
  for (const WeightTensor& tensor : file.tensors()) {
    if (!tensor.name.starts_with(prefix) || is_unread_of_clip(tensor.name)) continue;
    const std::string_view name = std::string_view(tensor.name).substr(prefix.size());
    if (name.starts_with(kVisual)) continue;
    if (used_layers >= 0 && (name == kText.projection || name.starts_with(unused))) continue;
    add(source, kText, name, file, tensor);
  }
  return source;
}

WeightSource open_clip_vision_source(const WeightFile& file) {
  WeightSource source;
  for (const WeightTensor& tensor : file.tensors())
    if (tensor.name.starts_with(kVisual))
      add(source, kVision, std::string_view(tensor.name).substr(kVisual.size()), file, tensor);
  return source;
}

}  // namespace weft
