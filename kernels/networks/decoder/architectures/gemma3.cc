// Gemma 3: five layers with a window and their own rotation for each that sees everything, norms before and after
// each sub-layer, scaled embeddings. Source: Gemma Team 2025, arXiv:2503.19786.
#include <cmath>

#include "kernels/layers/activation_name.h"
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

constexpr PartName kHuggingFaceNames[] = {
    {Part::kTokenEmbedding, "embed_tokens"},
    {Part::kOutputNorm, "norm"},
    {Part::kOutput, "lm_head"},
    {Part::kAttentionNorm, "layers.{}.input_layernorm"},
    {Part::kPostAttentionNorm, "layers.{}.post_attention_layernorm"},
    {Part::kMlpNorm, "layers.{}.pre_feedforward_layernorm"},
    {Part::kPostMlpNorm, "layers.{}.post_feedforward_layernorm"},
    {Part::kQueryNorm, "layers.{}.self_attn.q_norm"},
    {Part::kKeyNorm, "layers.{}.self_attn.k_norm"},
    {Part::kQuery, "layers.{}.self_attn.q_proj"},
    {Part::kKey, "layers.{}.self_attn.k_proj"},
    {Part::kValue, "layers.{}.self_attn.v_proj"},
    {Part::kAttentionOutput, "layers.{}.self_attn.o_proj"},
    {Part::kGate, "layers.{}.mlp.gate_proj"},
    {Part::kUp, "layers.{}.mlp.up_proj"},
    {Part::kDown, "layers.{}.mlp.down_proj"},
};
constexpr int64_t kPeriod = 6;  // every sixth layer sees everything
constexpr double kLocalBase = 10000;
// Of transformers' Gemma3TextConfig.
constexpr UnsaidShapes kUnsaid = {.width = 2304,
                                  .n_layers = 26,
                                  .n_heads = 8,
                                  .mlp_width = 9216,
                                  .context_length = 131072,
                                  .n_kv_heads = 4,
                                  .head_dim = 256,
                                  .norm_epsilon = 1e-6};

void configure_gguf(MetadataReader& reader, DecoderConfig& config) {
  read_gguf_shapes(reader, config);
  if (config.n_layers ==
      62)  // the 27B model scales by its width's share of a head, which the file does not say
    config.attention_scale = 1 / std::sqrt(static_cast<float>(config.width / config.n_heads));
  config.rope.base = reader.positive_or("rope.freq_base", 1e6);
  config.local_rope.n_rotated = config.rope.n_rotated;
  config.local_rope.base = reader.positive_or("rope.freq_base_swa", kLocalBase);
  config.logit_softcap = static_cast<float>(reader.positive_or("final_logit_softcapping", 0));
  if (reader.has("attention.sliding_window")) {
    config.sliding_window = reader.size("attention.sliding_window");
    for (int64_t i = 0; i < config.n_layers; ++i) config.is_local.push_back((i + 1) % kPeriod != 0);
  }
}

void configure_hugging_face(MetadataReader& reader, DecoderConfig& config) {
  read_hugging_face_shapes(reader, config, kUnsaid);
  config.activation = read_activation(reader, "hidden_activation", "gelu_pytorch_tanh");
  config.attention_scale =
      1 / std::sqrt(static_cast<float>(reader.positive_or("query_pre_attn_scalar", 256)));
  config.attention_softcap = static_cast<float>(reader.positive_or("attn_logit_softcapping", 0));
  config.logit_softcap = static_cast<float>(reader.positive_or("final_logit_softcapping", 0));
  config.sliding_window = reader.size("sliding_window");
  read_hugging_face_rope(reader, "full_attention", config.head_dim, reader.positive_or("rope_theta", 1e6),
                         config.rope);
  config.local_rope.n_rotated = config.head_dim;
  config.local_rope.base = reader.positive_or("rope_parameters.sliding_attention.rope_theta",
                                              reader.positive_or("rope_local_base_freq", kLocalBase));
  const std::vector<std::string> kinds = reader.texts_or("layer_types");
  for (int64_t i = 0; i < config.n_layers; ++i) {
    const size_t at = static_cast<size_t>(i);
    config.is_local.push_back(at < kinds.size() ? kinds[at] == "sliding_attention" : (i + 1) % kPeriod != 0);
  }
}

Status configure(MetadataReader& reader, WeightContainer container, DecoderConfig& config) {
  config.query_key_norm = true;
  config.post_norms = true;
  config.pictures_see_themselves = true;
  config.activation = Activation::kGeluTanh;
  config.local_rope.layout = RopeLayout::kHalves;
  if (container == WeightContainer::kGguf) configure_gguf(reader, config);
  else configure_hugging_face(reader, config);
  config.embedding_scale = std::sqrt(static_cast<float>(config.width));
  return reader.status();
}

// GGUF holds the norms' weights with the 1 already added.
constexpr FileLayout kHuggingFace = {.names = kHuggingFaceNames, .norm_offset = 1};
constexpr std::string_view kNames[] = {"gemma3", "gemma3_text"};

}  // namespace

extern const Architecture kGemma3;
const Architecture kGemma3 = {
    .names = kNames, .gguf = {}, .hugging_face = kHuggingFace, .configure = configure};

}  // namespace weft
