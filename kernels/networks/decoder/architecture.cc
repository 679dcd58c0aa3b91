#include "kernels/networks/decoder/architecture.h"

#include <algorithm>
#include <cmath>

#include "kernels/layers/activation_name.h"

namespace weft {

extern const Architecture kFalcon, kGemma3, kGpt2, kLlama, kQwen2, kQwen3;

namespace {

constexpr const Architecture* kArchitectures[] = {&kLlama, &kQwen2, &kQwen3, &kGemma3, &kGpt2, &kFalcon};

constexpr PartName kGgufNames[] = {
    {Part::kTokenEmbedding, "token_embd"},
    {Part::kPositionEmbedding, "position_embd"},
    {Part::kRopeDivisors, "rope_freqs"},
    {Part::kOutputNorm, "output_norm"},
    {Part::kOutput, "output"},
    {Part::kAttentionNorm, "blk.{}.attn_norm"},
    {Part::kMlpNorm, "blk.{}.ffn_norm"},
    {Part::kPostAttentionNorm, "blk.{}.post_attention_norm"},
    {Part::kPostMlpNorm, "blk.{}.post_ffw_norm"},
    {Part::kQueryNorm, "blk.{}.attn_q_norm"},
    {Part::kKeyNorm, "blk.{}.attn_k_norm"},
    {Part::kQkv, "blk.{}.attn_qkv"},
    {Part::kQuery, "blk.{}.attn_q"},
    {Part::kKey, "blk.{}.attn_k"},
    {Part::kValue, "blk.{}.attn_v"},
    {Part::kAttentionOutput, "blk.{}.attn_output"},
    {Part::kGate, "blk.{}.ffn_gate"},
    {Part::kUp, "blk.{}.ffn_up"},
    {Part::kDown, "blk.{}.ffn_down"},
};

constexpr PartName kHuggingFaceNames[] = {
    {Part::kTokenEmbedding, "embed_tokens"},
    {Part::kOutputNorm, "norm"},
    {Part::kOutput, "lm_head"},
    {Part::kAttentionNorm, "layers.{}.input_layernorm"},
    {Part::kMlpNorm, "layers.{}.post_attention_layernorm"},
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

}  // namespace

Result<const Architecture*> find_architecture(std::string_view name) {
  std::string known;
  for (const Architecture* architecture : kArchitectures) {
    for (std::string_view candidate : architecture->names) {
      if (candidate == name) return architecture;
      known += (known.empty() ? "" : ", ") + std::string(candidate);
    }
  }
  return Status(StatusCode::kUnsupported, "unknown model architecture")
      .expected("one of " + known)
      .got(std::string(name));
}

FileLayout Architecture::layout(WeightContainer container) const {
  const bool is_gguf = container == WeightContainer::kGguf;
  FileLayout result = is_gguf ? gguf : hugging_face;
  if (result.names.empty() && is_gguf) result.names = kGgufNames;
  if (result.names.empty() && !is_gguf) result.names = kHuggingFaceNames;
  return result;
}

void read_gguf_shapes(MetadataReader& reader, DecoderConfig& config) {
  config.width = reader.size("embedding_length");
  config.n_layers = reader.size("block_count", kMaxLayers);
  config.n_heads = reader.size("attention.head_count");
  config.n_kv_heads = reader.size_or("attention.head_count_kv", config.n_heads);
  config.head_dim = reader.size_or("attention.key_length", config.width / config.n_heads);
  const int64_t value_length = reader.size_or("attention.value_length", config.head_dim);
  if (value_length != config.head_dim)
    reader.unsupported("attention.value_length", std::to_string(value_length), "the length of keys");
  config.mlp_width = reader.size("feed_forward_length");
  config.context_length = reader.size("context_length");
  const std::string_view epsilon =
      config.norm == NormKind::kRms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
  config.norm_epsilon = static_cast<float>(reader.positive(epsilon));
  config.attention_scale = 1 / std::sqrt(static_cast<float>(config.head_dim));

  RopeConfig& rope = config.rope;
  if (rope.layout == RopeLayout::kNone) return;
  rope.n_rotated = reader.size_or("rope.dimension_count", config.head_dim);
  rope.base = reader.positive_or("rope.freq_base", 10000);
  const std::string scaling = reader.text_or("rope.scaling.type", "none");
  rope.factor = reader.positive_or("rope.scaling.factor", reader.positive_or("rope.scale_linear", 1));
  rope.original_context =
      reader.positive_or("rope.scaling.original_context_length", static_cast<double>(config.context_length));
  if (scaling == "linear" || (scaling == "none" && reader.has("rope.scale_linear"))) {
    rope.scaling = RopeScaling::kLinear;
  } else if (scaling == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.beta_fast = reader.positive_or("rope.scaling.yarn_beta_fast", 32);
    rope.beta_slow = reader.positive_or("rope.scaling.yarn_beta_slow", 1);
    if (reader.has("rope.scaling.attn_factor"))
      rope.attention_factor = reader.positive("rope.scaling.attn_factor") * (0.1 * std::log(rope.factor) + 1);
  } else if (scaling != "none") {
    reader.unsupported("rope.scaling.type", scaling, "none, linear or yarn");
  }
}

void read_hugging_face_shapes(MetadataReader& reader, DecoderConfig& config, const UnsaidShapes& unsaid) {
  const bool nested = reader.metadata().contains(kTextModelType);
  const auto size = [&](std::string_view key, int64_t value, int64_t most = INT32_MAX) {
    return nested && value > 0 && !reader.has(key) ? value : reader.size(key, most);
  };
  const auto or_else = [nested](int64_t value, int64_t derived) {
    return nested && value > 0 ? value : derived;
  };
  config.width = size("hidden_size", unsaid.width);
  config.n_layers = size("num_hidden_layers", unsaid.n_layers, kMaxLayers);
  config.n_heads = size("num_attention_heads", unsaid.n_heads);
  config.n_kv_heads = reader.size_or("num_key_value_heads", or_else(unsaid.n_kv_heads, config.n_heads));
  config.head_dim = reader.size_or("head_dim", or_else(unsaid.head_dim, config.width / config.n_heads));
  config.mlp_width = size("intermediate_size", unsaid.mlp_width);
  config.context_length = size("max_position_embeddings", unsaid.context_length);
  config.norm_epsilon = static_cast<float>(nested && unsaid.norm_epsilon > 0
                                               ? reader.positive_or("rms_norm_eps", unsaid.norm_epsilon)
                                               : reader.positive("rms_norm_eps"));
  config.activation = read_activation(reader, "hidden_act", "silu");
  config.attention_scale = 1 / std::sqrt(static_cast<float>(config.head_dim));
  config.rope.original_context = static_cast<double>(config.context_length);
  read_hugging_face_rope(reader, "", config.head_dim, reader.positive_or("rope_theta", 10000), config.rope);
}

void read_hugging_face_rope(MetadataReader& reader, std::string_view kind, int64_t n_rotated, double base,
                            RopeConfig& rope) {
  rope.n_rotated = n_rotated;
  const bool newer = reader.has("rope_parameters.rope_theta") || reader.has("rope_parameters.rope_type") ||
                     reader.has("rope_parameters." + std::string(kind) + ".rope_type");
  std::string at = newer ? "rope_parameters." : "rope_scaling.";
  if (newer && !kind.empty()) at += std::string(kind) + ".";
  rope.base = reader.positive_or(at + "rope_theta", base);
  const double part = std::min(reader.positive_or(at + "partial_rotary_factor", 1), 1.0);
  rope.n_rotated = static_cast<int64_t>(static_cast<double>(n_rotated) * part);
  const std::string type = reader.text_or(at + "rope_type", reader.text_or(at + "type", "default"));
  if (type == "default") return;
  rope.factor = reader.positive(at + "factor");
  rope.original_context = reader.positive_or(at + "original_max_position_embeddings", rope.original_context);
  if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    rope.low_frequency_factor = reader.positive(at + "low_freq_factor");
    rope.high_frequency_factor = reader.positive(at + "high_freq_factor");
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.beta_fast = reader.positive_or(at + "beta_fast", 32);
    rope.beta_slow = reader.positive_or(at + "beta_slow", 1);
    rope.attention_factor = reader.positive_or(at + "attention_factor", 0);
  } else {
    reader.unsupported(at + "rope_type", type, "default, linear, llama3 or yarn");
  }
}

}  // namespace weft
