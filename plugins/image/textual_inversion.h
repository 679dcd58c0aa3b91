/// Learned embeddings (textual inversion): names in prompts that stand for vectors of a text encoder.
///
/// A file is safetensors with the vectors as [n, width] or [width]: one tensor, or one for each encoder of SDXL ("clip_l",
/// "clip_g"), of which the one of the encoder's width is taken. Thread safety: pure functions.
#ifndef WEFT_PLUGINS_IMAGE_TEXTUAL_INVERSION_H
#define WEFT_PLUGINS_IMAGE_TEXTUAL_INVERSION_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "modalities/text/prompt_weights/prompt_weights.h"

namespace weft::image {

struct LearnedEmbeddings {
  std::vector<LearnedToken> tokens;  // ids from first_id on, in the order of `values`
  std::vector<float> values;         // [n, width]
};

/// json: [{"name": "<cat>", "path": "cat.safetensors"}]; relative paths start at `folder`. Errors: kInvalidArgument (the
/// list), those of WeightFile::open(), kInvalidShape (no vectors of this width, naming the file and what it has).
Result<LearnedEmbeddings> read_learned_embeddings(std::string_view json, const std::filesystem::path& folder,
                                                  int64_t width, TokenId first_id);

/// "sample_size" of a UNet's config.json: the side of the latents it was trained on; nothing if the key is absent or has
/// no number. Errors: kIoError, kCorruptData.
Result<std::optional<int64_t>> read_sample_size(const std::filesystem::path& config);

}  // namespace weft::image
#endif
