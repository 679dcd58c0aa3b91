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

/// Checked in the public calls. Errors: kInvalidArgument, kUnsupported; kInvalidShape; kOutOfMemory.
Status check_half(bool loaded, bool present, const char* half);
Status check_view(const TensorView& view, const char* what, const TensorView& wanted);
Status check_workspace(std::span<const std::byte> workspace, int64_t needed);

/// One pass by a team. Errors: kCancelled.
template <typename Walk>
Status run_pass(std::byte* workspace, Executor executor, const StopRequest& stop, LayerTimes* times,
                TiledNorms* norms, Walk&& walk) {
  LayerPass::Shared shared;
  shared.workspace = workspace;
  shared.max_threads = executor.max_threads();
  shared.stop = stop;
  shared.times = times;
  shared.tiled_norms = norms;
  executor.run([&](Team team) {
    LayerPass pass(team, shared);
    walk(pass);
  });
  if (shared.stopped.load(std::memory_order_relaxed))
    return Status(StatusCode::kCancelled, "stopped on request");
  return Status();
}

}  // namespace weft
#endif
