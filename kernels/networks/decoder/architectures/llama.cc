// Llama and what shares its shape: SmolLM2, Mistral. Source: Touvron et al. 2023, arXiv:2302.13971.
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

/// Mistral 7B v0.1: the window holds for every layer.
void read_window(MetadataReader& reader, std::string_view key, DecoderConfig& config) {
  if (!reader.has(key)) return;
  config.sliding_window = reader.size(key);
  config.is_local.assign(static_cast<size_t>(config.n_layers), 1);
  config.local_rope = config.rope;
}

// Of transformers' LlamaConfig; Vicuna's in LLaVA is written by what differs from it.
constexpr UnsaidShapes kUnsaid = {.width = 4096,
                                  .n_layers = 32,
                                  .n_heads = 32,
                                  .mlp_width = 11008,
                                  .context_length = 2048,
                                  .norm_epsilon = 1e-6};

Status configure(MetadataReader& reader, WeightContainer container, DecoderConfig& config) {
  if (container == WeightContainer::kGguf) {
    read_gguf_shapes(reader, config);
    read_window(reader, "attention.sliding_window", config);
    return reader.status();
  }
  read_hugging_face_shapes(reader, config, config.architecture == "llama" ? kUnsaid : UnsaidShapes());
  read_window(reader, "sliding_window", config);
  return reader.status();
}

// Conversion to GGUF reorders query and key rows, so that pairs are adjacent.
constexpr FileLayout kGguf = {.rope = RopeLayout::kInterleaved};
constexpr std::string_view kNames[] = {"llama", "mistral"};

}  // namespace

extern const Architecture kLlama;
const Architecture kLlama = {.names = kNames, .gguf = kGguf, .hugging_face = {}, .configure = configure};

}  // namespace weft
