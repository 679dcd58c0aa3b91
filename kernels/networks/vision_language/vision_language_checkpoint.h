/// What a Hugging Face folder says of the pictures among a language model's tokens: LLaVA's and Gemma 3's config.json, and the tensors of
/// tower and projector. The decoder's part is Decoder::open()'s.
#ifndef WEFT_KERNELS_NETWORKS_VISION_LANGUAGE_VISION_LANGUAGE_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_VISION_LANGUAGE_VISION_LANGUAGE_CHECKPOINT_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/layers/weight_source.h"
#include "kernels/networks/vision_language/multimodal_projector.h"
#include "kernels/networks/vision_transformer/vision_transformer.h"
#include "modalities/weights/metadata.h"
#include "modalities/weights/weight_file.h"

namespace weft {

struct VisionLanguageConfig {
  VisionTransformerConfig tower;
  MultimodalProjectorConfig projector;
  int64_t first_state = 0;  // of a picture, that the projector reads: 1 leaves the class token out
  int32_t image_token = 0;  // in the places of a picture's rows
  /// Tokens before and behind a picture's rows (Gemma 3); -1: none. The chat template writes begin_token where a picture is, or
  /// image_token where there is none.
  int32_t begin_token = -1, end_token = -1;
};

/// Whether the model has a vision tower: model_type llava, or gemma3 with a vision_config.
bool has_vision_tower(const Metadata& metadata);

/// text_width: of the decoder's embeddings. Precondition: has_vision_tower(). Errors: kUnsupported (a switch that is not there),
/// kNotFound, kCorruptData: naming file and key.
Result<VisionLanguageConfig> read_vision_language_config(const Metadata& metadata, int64_t text_width);

/// The projector's tensors, matrices as [out, in].
WeightSource multimodal_projector_source(const WeightFile& file);

}  // namespace weft
#endif
