// Llama and what shares its shape: SmolLM2, Mistral. Source: Touvron et al. 2023, arXiv:2302.13971.
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

Status configure(const Metadata& metadata, WeightContainer container, DecoderConfig& config) {
  if (container == WeightContainer::kGguf) {
    MetadataReader reader(metadata, config.architecture + ".");
    read_gguf_shapes(reader, config);
    return reader.status();
  }
  MetadataReader reader(metadata);
  read_hugging_face_shapes(reader, config);
  if (reader.has("sliding_window")) {  // Mistral 7B v0.1: every layer
    config.sliding_window = reader.size("sliding_window");
    config.is_local.assign(static_cast<size_t>(config.n_layers), 1);
    config.local_rope = config.rope;
  }
  return reader.status();
}

// Conversion to GGUF reorders query and key rows, so that pairs are adjacent.
constexpr FileLayout kGguf = {.rope = RopeLayout::kInterleaved};
constexpr std::string_view kNames[] = {"llama", "mistral"};

}  // namespace

extern const Architecture kLlama;
const Architecture kLlama = {.names = kNames, .gguf = kGguf, .hugging_face = {}, .configure = configure};

}  // namespace weft
