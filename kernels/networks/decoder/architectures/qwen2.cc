// Qwen2: llama with biases on query, key and value. Source: Yang et al. 2024, arXiv:2407.10671.
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

Status configure(MetadataReader& reader, WeightContainer container, DecoderConfig& config) {
  if (container == WeightContainer::kGguf) {
    read_gguf_shapes(reader, config);
    return reader.status();
  }
  read_hugging_face_shapes(reader, config);
  if (reader.flag_or("use_sliding_window", false)) {
    config.sliding_window = reader.size("sliding_window");
    const int64_t first = reader.size_or("max_window_layers", config.n_layers);
    for (int64_t i = 0; i < config.n_layers; ++i) config.is_local.push_back(i >= first);
    config.local_rope = config.rope;
  }
  return reader.status();
}

constexpr FileLayout kLayout = {.biases = bit(Part::kQuery) | bit(Part::kKey) | bit(Part::kValue)};
constexpr std::string_view kNames[] = {"qwen2"};

}  // namespace

extern const Architecture kQwen2;
const Architecture kQwen2 = {
    .names = kNames, .gguf = kLayout, .hugging_face = kLayout, .configure = configure};

}  // namespace weft
