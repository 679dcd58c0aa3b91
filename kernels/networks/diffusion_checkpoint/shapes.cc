#include "kernels/networks/diffusion_checkpoint/shapes.h"

namespace weft {

int64_t tensor_extent(const WeightSource& source, const std::string& name, size_t i) {
  const SourceTensor* tensor = source.find(name);
  if (!tensor || tensor->shape().size() <= i) return 0;
  return tensor->shape()[i];
}

// How many of name0, name1, ... with `back` behind are there.
int64_t count_numbered(const WeightSource& source, const std::string& front, const std::string& back) {
  int64_t n = 0;
  while (n < 1024 && source.contains(front + std::to_string(n) + back)) ++n;
  return n;
}

namespace {

int64_t transformer_layers(const WeightSource& source, const std::string& attention) {
  return count_numbered(source, attention + ".transformer_blocks.", ".norm1.weight");
}

}  // namespace

UNetConfig unet_shape(const WeightSource& s, const UntoldShapes& untold, bool added) {
  UNetConfig c;
  c.in_channels = tensor_extent(s, "conv_in.weight", 1);
  c.out_channels = tensor_extent(s, "conv_out.weight", 0);
  c.groups = untold.groups;
  c.context_width = 0;
  int64_t conv_rank = 0;
  const int64_t n = count_numbered(s, "down_blocks.", ".resnets.0.conv1.weight");
  const auto heads = [&](int64_t channels) {
    return conv_rank == 4 ? untold.heads : channels / untold.head_dim;
  };
  for (const auto& [name, tensor] : s.tensors()) {
    if (name.ends_with("attn2.to_k.weight") && tensor.shape().size() == 2)
      c.context_width = tensor.shape()[1];
    if (name.ends_with("proj_in.weight")) conv_rank = static_cast<int64_t>(tensor.shape().size());
  }
  for (int64_t i = 0; i < n; ++i) {
    const std::string down = "down_blocks." + std::to_string(i),
                      up = "up_blocks." + std::to_string(n - 1 - i);
    UNetLevel level;
    level.channels = tensor_extent(s, down + ".resnets.0.conv1.weight", 0);
    level.n_resnets = count_numbered(s, down + ".resnets.", ".conv1.weight");
    level.down_transformer_layers = transformer_layers(s, down + ".attentions.0");
    level.up_transformer_layers = transformer_layers(s, up + ".attentions.0");
    level.n_heads = heads(level.channels);
    c.levels.push_back(level);
  }
  c.mid_transformer_layers = transformer_layers(s, "mid_block.attentions.0");
  if (!c.levels.empty()) c.mid_heads = heads(c.levels.back().channels);
  if (added) {
    c.added_width = tensor_extent(s, "add_embedding.linear_1.weight", 1);
    c.added_time_width = untold.added_time_width;
  } else if (s.contains("class_embedding.linear_1.weight")) {
    c.class_embedding = ClassEmbedding::kProjection;
    c.class_width = tensor_extent(s, "class_embedding.linear_1.weight", 1);
  }
  return c;
}

}  // namespace weft
