/// Classifier-free guidance: the network's answers with and without the prompt, combined.
///
/// One picture a call: a rescaled guidance depends on the picture's own deviation and on no other one's. Sums run in
/// double in element order. Thread safety: pure functions.
///
///   guide(7.5, 0, with_prompt, without_prompt, output);
#ifndef WEFT_KERNELS_DIFFUSION_GUIDANCE_H
#define WEFT_KERNELS_DIFFUSION_GUIDANCE_H

#include <span>

namespace weft::diffusion {

/// output = without + scale * (with - without), then, if rescale > 0, moved by that part (0 to 1) towards the same values
/// scaled to the deviation of `with`. All spans have the same length; output may be either of the others.
/// Source: Ho & Salimans 2022, arXiv:2207.12598; rescaling: Lin et al. 2023, arXiv:2305.08891, section 3.4.
void guide(double scale, double rescale, std::span<const float> with, std::span<const float> without,
           std::span<float> output);

}  // namespace weft::diffusion
#endif
