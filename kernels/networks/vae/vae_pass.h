/// What the whole passes and the tiled ones share: shapes, what is refused, one team's run. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_VAE_VAE_PASS_H
#define WEFT_KERNELS_NETWORKS_VAE_VAE_PASS_H

#include <cstdint>
#include <span>
#include <string>

#include "kernels/networks/vae/vae_state.h"

namespace weft {

struct VaeExtent {
  int64_t images, height, width;  // of the latents
};

/// Shapes without data.
TensorView latents_of(const VaeExtent& e, int64_t channels);
TensorView pictures_of(const VaeExtent& e, const VaeConfig& c);

/// Checked in the public calls. Errors: kInvalidArgument, kUnsupported; kInvalidShape.
Status check_half(bool loaded, bool present, const char* half);
Status check_view(const TensorView& view, const char* what, const TensorView& wanted);

/// One pass by a team. Errors: kCancelled.
template <typename Walk>
Status run_pass(std::byte* workspace, Executor executor, const StopRequest& stop, LayerTimes* times,
                Walk&& walk) {
  LayerPass::Shared shared;
  shared.workspace = workspace;
  shared.stop = stop;
  shared.times = times;
  return LayerPass::run(shared, executor, walk);
}

}  // namespace weft
#endif
