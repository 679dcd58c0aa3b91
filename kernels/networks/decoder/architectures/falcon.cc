// Falcon: attention and MLP side by side. The first generation (7B) has one norm for both and one KV head, the new
// decoder architecture (11B, 40B) KV groups and one norm or two. Source: Almazrouei et al. 2023, arXiv:2311.16867.
#include <cmath>

#include "kernels/layers/activation_name.h"
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

// With two norms the file calls the MLP's attn_norm and attention's attn_norm_2.
constexpr PartName kGgufNames[] = {
    {Part::kTokenEmbedding, "token_embd"},
    {Part::kOutputNorm, "output_norm"},
    {Part::kOutput, "output"},
    {Part::kAttentionNorm, "blk.{}.attn_norm_2"},
    {Part::kAttentionNorm, "blk.{}.attn_norm"},
    {Part::kMlpNorm, "blk.{}.attn_norm"},
    {Part::kQkv, "blk.{}.attn_qkv"},
    {Part::kAttentionOutput, "blk.{}.attn_output"},
    {Part::kUp, "blk.{}.ffn_up"},
    {Part::kDown, "blk.{}.ffn_down"},
};
constexpr PartName kHuggingFaceNames[] = {
    {Part::kTokenEmbedding, "word_embeddings"},
    {Part::kOutputNorm, "ln_f"},
    {Part::kOutput, "lm_head"},
    {Part::kAttentionNorm, "h.{}.ln_attn"},
    {Part::kAttentionNorm, "h.{}.input_layernorm"},
    {Part::kMlpNorm, "h.{}.ln_mlp"},
    {Part::kMlpNorm, "h.{}.post_attention_layernorm"},
    {Part::kMlpNorm, "h.{}.input_layernorm"},
    {Part::kQkv, "h.{}.self_attention.query_key_value"},
    {Part::kAttentionOutput, "h.{}.self_attention.dense"},
    {Part::kUp, "h.{}.mlp.dense_h_to_4h"},
    {Part::kDown, "h.{}.mlp.dense_4h_to_h"},
};

Status configure(MetadataReader& reader, WeightContainer container, DecoderConfig& config) {
  config.norm = NormKind::kLayer;
  config.block = BlockKind::kParallel;
  config.mlp = MlpKind::kPlain;
  config.activation = Activation::kGelu;
  if (container == WeightContainer::kGguf) {
    read_gguf_shapes(reader, config);
    return reader.status();
  }
  config.width = reader.size("hidden_size");
  config.n_layers = reader.size("num_hidden_layers", kMaxLayers);
  config.n_heads = reader.size("num_attention_heads");
  const bool new_architecture = reader.flag_or("new_decoder_architecture", false);
  if (new_architecture) config.n_kv_heads = reader.size_or("num_kv_heads", config.n_heads);
  else config.n_kv_heads = reader.flag_or("multi_query", true) ? 1 : config.n_heads;
  config.head_dim = config.width / config.n_heads;
  config.mlp_width = reader.size_or("ffn_hidden_size", 4 * config.width);
  config.context_length = reader.size_or("max_position_embeddings", 2048);
  config.norm_epsilon = static_cast<float>(reader.positive_or("layer_norm_epsilon", 1e-5));
  config.activation = read_activation(reader, "activation", "gelu");
  config.attention_scale = 1 / std::sqrt(static_cast<float>(config.head_dim));
  config.rope.original_context = static_cast<double>(config.context_length);
  read_hugging_face_rope(reader, "", config.head_dim, reader.positive_or("rope_theta", 10000), config.rope);
  if (reader.flag_or("alibi", false)) reader.unsupported("alibi", "true", "false");
  if (!new_architecture && !reader.flag_or("parallel_attn", true)) config.block = BlockKind::kSequential;
  return reader.status();
}

constexpr uint32_t kBiases = bit(Part::kOutputNorm) | bit(Part::kAttentionNorm) | bit(Part::kMlpNorm);
constexpr FileLayout kGguf = {.names = kGgufNames, .biases = kBiases};
constexpr FileLayout kHuggingFace = {
    .names = kHuggingFaceNames, .qkv = QkvOrder::kGrouped, .biases = kBiases};
constexpr std::string_view kNames[] = {"falcon", "refinedweb", "refinedwebmodel"};

}  // namespace

extern const Architecture kFalcon;
const Architecture kFalcon = {
    .names = kNames, .gguf = kGguf, .hugging_face = kHuggingFace, .configure = configure};

}  // namespace weft
