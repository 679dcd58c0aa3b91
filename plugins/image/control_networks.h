/// The control networks (ControlNet) of a diffusion model: what the option "control" of its "models" entry names.
///
/// Ownership: the DiffusionModel's. Thread safety: as the model.
#ifndef WEFT_PLUGINS_IMAGE_CONTROL_NETWORKS_H
#define WEFT_PLUGINS_IMAGE_CONTROL_NETWORKS_H

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/control_checkpoint.h"
#include "kernels/networks/unet/control_net.h"

namespace weft::image {

/// One of them, by the name that image.control asks for.
struct NamedControl {
  std::string name;
  ControlCheckpoint checkpoint;
  ControlNet network;
};

/// json: [{"name": "edges", "path": "canny.safetensors"}]; relative paths start at `folder`. Opens headers only.
/// Errors: kInvalidArgument (the list), those of ControlCheckpoint::open() and ControlNet::open(), kCorruptData (made
/// for another UNet, or for pictures of another size than factor pixels a latent).
Result<std::vector<NamedControl>> open_control_networks(std::string_view json,
                                                        const std::filesystem::path& folder,
                                                        const UNetConfig& unet, int64_t latent_channels,
                                                        int64_t factor, DType compute);

}  // namespace weft::image
#endif
