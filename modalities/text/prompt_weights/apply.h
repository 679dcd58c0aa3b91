/// Weights of a prompt's tokens, applied to the text encoder's hidden states.
///
/// kMeanKept (stable-diffusion-webui): states are multiplied, then all scaled so that their mean stays; a chunk a call.
/// kFromEmpty (ComfyUI): states move away from, or towards, those of an empty prompt at the same position.
/// Sums run in double in order. Thread safety: pure function.
#ifndef WEFT_MODALITIES_TEXT_PROMPT_WEIGHTS_APPLY_H
#define WEFT_MODALITIES_TEXT_PROMPT_WEIGHTS_APPLY_H

#include <cstdint>
#include <span>

namespace weft {

enum class WeightInterpretation : uint8_t { kMeanKept, kFromEmpty };

/// hidden: [n_chunks * length, width], changed in place. weights: [n_chunks * length]. empty: [length, width], the states of
/// an empty prompt; read with kFromEmpty only.
void apply_weights(WeightInterpretation interpretation, std::span<float> hidden,
                   std::span<const float> weights, std::span<const float> empty, int64_t width);

}  // namespace weft
#endif
