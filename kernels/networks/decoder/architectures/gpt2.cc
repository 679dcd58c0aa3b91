// GPT-2: layer norms, learned positions, a plain MLP, biases everywhere. Source: Radford et al. 2019.
#include <cmath>

#include "kernels/layers/activation_name.h"
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

constexpr PartName kHuggingFaceNames[] = {
    {Part::kTokenEmbedding, "wte"},      {Part::kPositionEmbedding, "wpe"},
    {Part::kOutputNorm, "ln_f"},         {Part::kOutput, "lm_head"},
    {Part::kAttentionNorm, "h.{}.ln_1"}, {Part::kMlpNorm, "h.{}.ln_2"},
    {Part::kQkv, "h.{}.attn.c_attn"},    {Part::kAttentionOutput, "h.{}.attn.c_proj"},
    {Part::kUp, "h.{}.mlp.c_fc"},        {Part::kDown, "h.{}.mlp.c_proj"},
};

Status configure(MetadataReader& reader, WeightContainer container, DecoderConfig& config) {
  config.norm = NormKind::kLayer;
  config.mlp = MlpKind::kPlain;
  config.activation = Activation::kGeluTanh;
  config.learned_positions = true;
  if (container == WeightContainer::kGguf) {
    read_gguf_shapes(reader, config);
    return reader.status();
  }
  config.width = reader.size("n_embd");
  config.n_layers = reader.size("n_layer", kMaxLayers);
  config.n_heads = config.n_kv_heads = reader.size("n_head");
  config.head_dim = config.width / config.n_heads;
  config.mlp_width = reader.size_or("n_inner", 4 * config.width);
  config.context_length = reader.size("n_positions");
  config.norm_epsilon = static_cast<float>(reader.positive("layer_norm_epsilon"));
  config.activation = read_activation(reader, "activation_function", "gelu_new");
  config.attention_scale =
      reader.flag_or("scale_attn_weights", true) ? 1 / std::sqrt(static_cast<float>(config.head_dim)) : 1;
  if (reader.flag_or("scale_attn_by_inverse_layer_idx", false))
    reader.unsupported("scale_attn_by_inverse_layer_idx", "true", "false");
  return reader.status();
}

constexpr uint32_t kBiases = bit(Part::kOutputNorm) | bit(Part::kAttentionNorm) | bit(Part::kMlpNorm) |
                             bit(Part::kQkv) | bit(Part::kAttentionOutput) | bit(Part::kUp) |
                             bit(Part::kDown);
constexpr FileLayout kGguf = {.rope = RopeLayout::kNone, .biases = kBiases};
// Its linear layers are Conv1D modules, which keep their weights transposed; GGUF does not.
constexpr FileLayout kHuggingFace = {
    .names = kHuggingFaceNames, .rope = RopeLayout::kNone, .order = MatrixOrder::kInOut, .biases = kBiases};
constexpr std::string_view kNames[] = {"gpt2"};

}  // namespace

extern const Architecture kGpt2;
const Architecture kGpt2 = {
    .names = kNames, .gguf = kGguf, .hugging_face = kHuggingFace, .configure = configure};

}  // namespace weft
