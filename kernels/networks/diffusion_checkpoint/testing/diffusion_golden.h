/// The golden models of the Stable Diffusion family, and their networks as calls that give vectors.
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_TESTING_DIFFUSION_GOLDEN_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_TESTING_DIFFUSION_GOLDEN_H

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/networks/clip_text/clip_text.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/testing/golden.h"
#include "kernels/networks/unet/unet.h"
#include "kernels/networks/vae/vae.h"
#include "kernels/testing/workspace.h"

namespace weft::testing {

/// The published models' shapes, reduced as the golden models are.
inline constexpr UntoldShapes kReduced = {
    .groups = 4, .heads = 4, .head_dim = 4, .text_head_dim = 8, .added_time_width = 8};

inline std::string folder(const std::string& name) { return "assets/golden/diffusion/" + name; }

UNetInputs unet_inputs(const GoldenTensors& e);
std::vector<float> predict(Loaded<UNet>& u, const UNetInputs& in, const TensorView& like);
std::vector<float> decode(Loaded<Vae>& v, const TensorView& latents, const TensorView& like);
std::vector<float> encode(Loaded<Vae>& v, const TensorView& pictures, const TensorView& like);
struct TextOutputs {
  std::vector<float> hidden, pooled;
};
TextOutputs encode_text(Loaded<ClipText>& t, const GoldenTensors& e, int64_t skipped_layers, bool final_norm);
const char* text_folder(const std::string& model, size_t i, size_t n);

}  // namespace weft::testing
#endif
