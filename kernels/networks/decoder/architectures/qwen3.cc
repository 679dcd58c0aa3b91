// Qwen3: llama with an RMS norm on each head's query and key. Source: Yang et al. 2025, arXiv:2505.09388.
#include "kernels/networks/decoder/architecture.h"

namespace weft {
namespace {

Status configure(MetadataReader& reader, WeightContainer container, DecoderConfig& config) {
  config.query_key_norm = true;
  if (container == WeightContainer::kGguf) read_gguf_shapes(reader, config);
  else read_hugging_face_shapes(reader, config);
  if (reader.flag_or("use_sliding_window", false)) reader.unsupported("use_sliding_window", "true", "false");
  return reader.status();
}

constexpr std::string_view kNames[] = {"qwen3"};

}  // namespace

extern const Architecture kQwen3;
const Architecture kQwen3 = {.names = kNames, .gguf = {}, .hugging_face = {}, .configure = configure};

}  // namespace weft
