/// The shape of a network from its tensors, for files without a configuration. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_SHAPES_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_SHAPES_H

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"

namespace weft {

/// The i-th extent of a tensor; 0 if it is not there or has fewer.
int64_t tensor_extent(const WeightSource& source, const std::string& name, size_t i);
/// How many of name0, name1, ... with `back` behind are there.
int64_t count_numbered(const WeightSource& source, const std::string& front, const std::string& back);

/// A UNet's under diffusers' names; of a control network the way up has no transformers and out_channels is 0. added: has
/// SDXL's added embedding.
UNetConfig unet_shape(const WeightSource& source, const UntoldShapes& untold, bool added);

}  // namespace weft
#endif
