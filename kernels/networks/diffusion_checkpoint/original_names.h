/// The names of the original implementation's tensors (CompVis' latent-diffusion and its successors), as the networks here
/// call them. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_ORIGINAL_NAMES_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_ORIGINAL_NAMES_H

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// name: without "model.diffusion_model.". resnets: residual blocks of a level on the way down. added: whether label_emb is
/// SDXL's added embedding; else it is a class embedding. A name that is not known comes back as it is.
std::string unet_name(std::string_view name, int64_t resnets, bool added);

/// name: a control network's, without "control_model.". hints: convolutions that embed its picture.
std::string control_name(std::string_view name, int64_t resnets, int64_t hints, bool added);

/// name: without "first_stage_model.".
std::string vae_name(std::string_view name, int64_t levels);

}  // namespace weft
#endif
