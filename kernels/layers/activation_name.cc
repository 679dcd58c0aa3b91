#include "kernels/layers/activation_name.h"

#include <string>

namespace weft {

Activation read_activation(MetadataReader& reader, std::string_view key, std::string_view fallback) {
  const std::string name = reader.text_or(key, fallback);
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return Activation::kGeluTanh;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "relu") return Activation::kRelu;
  if (name == "relu2") return Activation::kReluSquared;
  reader.unsupported(key, name, "silu, gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu or relu2");
  return Activation::kSilu;
}

}  // namespace weft
