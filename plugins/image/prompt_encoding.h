/// Prompts to what a UNet is conditioned on: the hidden states of all text encoders side by side, and SDXL's pooled text.
///
/// Thread safety: as ModelCompute.
#ifndef WEFT_PLUGINS_IMAGE_PROMPT_ENCODING_H
#define WEFT_PLUGINS_IMAGE_PROMPT_ENCODING_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/layers/stop_request.h"
#include "plugins/image/model_compute.h"

namespace weft::image {

/// The port type of an encoded prompt, as latent_nodes.h says.
inline constexpr const char* kConditioning = "image.conditioning";

struct PromptOptions {
  PromptNotation notation = PromptNotation::kPlain;
  int64_t clip_skip = 0;   // layers left out at the end
  int64_t min_chunks = 1;  // of the text encoder's length: empty ones are appended
  int64_t max_chunks = 4;
};

/// What n prompts are at most, and where their states lie.
struct EncodedPrompts {
  int64_t n_tokens = 0;     // of each prompt; the same for all
  std::span<float> hidden;  // [prompts, n_tokens, context width]
  std::span<float> pooled;  // [prompts, pooled width]
};

/// A prompt, or none: an SDXL checkpoint may want zeros for a negative prompt that was not given.
struct PromptText {
  std::string_view text;
  bool is_given = true;
};

/// Places the result for up to max_chunks chunks. Its n_tokens is the bound until encode_prompts() sets it.
EncodedPrompts place_prompts(Scratch& scratch, const DiffusionModel& model, int64_t prompts,
                             int64_t max_chunks);
/// Bytes of scratch that encode_prompts() takes beside the result.
void measure_encoding(Scratch& scratch, const DiffusionModel& model, int64_t prompts, int64_t max_chunks,
                      uint32_t n_threads);
/// Prompts with fewer chunks than the longest one get empty ones. Errors: those of chunk_prompt and ClipText::forward.
Status encode_prompts(ModelCompute& compute, std::span<const PromptText> prompts,
                      const PromptOptions& options, EncodedPrompts& result, const StopRequest& stop);

/// Most chunks that a text of max_bytes (or WEFT_UNBOUNDED) can take, at most `limit`.
int64_t chunk_bound(const DiffusionModel& model, int64_t max_bytes, int64_t limit);

}  // namespace weft::image
#endif
