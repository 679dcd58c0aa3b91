/// Activations by the names that config.json files give them.
#ifndef WEFT_KERNELS_LAYERS_ACTIVATION_NAME_H
#define WEFT_KERNELS_LAYERS_ACTIVATION_NAME_H

#include <string_view>

#include "kernels/ops/activation/activation.h"
#include "modalities/weights/metadata_reader.h"

namespace weft {

/// "silu", "gelu", "gelu_new", ... Another name is recorded as unsupported.
Activation read_activation(MetadataReader& reader, std::string_view key, std::string_view fallback);

}  // namespace weft
#endif
