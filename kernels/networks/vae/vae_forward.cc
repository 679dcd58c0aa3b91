// Both passes over whole images: one team of threads walks all blocks together; see kernels/layers/layer_pass.h.
#include "kernels/networks/vae/vae_pass.h"
#include "kernels/networks/vae/vae_walk.h"

namespace weft {
namespace {

void encode_whole(const Vae::State& state, LayerPass& pass, const TensorView& pictures,
                  const TensorView& moments) {
  VaeWalk walk(state, pass);
  const TensorView x = walk.encode_pixels(pictures);
  if (x.rank > 0) walk.encode_latents(x, moments);
}

void decode_whole(const Vae::State& state, LayerPass& pass, const TensorView& latents,
                  const TensorView& pictures) {
  VaeWalk walk(state, pass);
  const TensorView x = walk.decode_latents(latents);
  if (x.rank > 0) walk.decode_pixels(x, pictures);
}

}  // namespace

int64_t Vae::encode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const {
  const VaeExtent e = {images, height, width};
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    encode_whole(*state_, pass, pictures_of(e, state_->config),
                 latents_of(e, 2 * state_->config.latent_channels));
  });
}

int64_t Vae::decode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const {
  const VaeExtent e = {images, height, width};
  return LayerPass::measure(n_threads, [&](LayerPass& pass) {
    decode_whole(*state_, pass, latents_of(e, state_->config.latent_channels),
                 pictures_of(e, state_->config));
  });
}

Status Vae::encode(const TensorView& pictures, const TensorView& moments, std::span<std::byte> workspace,
                   Executor executor, const StopRequest& stop, LayerTimes* times) const {
  const VaeConfig& c = state_->config;
  if (Status ready = check_half(state_->loaded, c.has_encoder, "encoder"); !ready.ok()) return ready;
  const VaeExtent e = {moments.shape[0], moments.shape[1], moments.shape[2]};
  if (Status s = check_view(moments, "moments", latents_of(e, 2 * c.latent_channels)); !s.ok()) return s;
  if (Status s = check_view(pictures, "pictures", pictures_of(e, c)); !s.ok()) return s;
  const int64_t needed = encode_workspace_bytes(e.images, e.height, e.width, executor.max_threads());
  if (Status s = LayerPass::check_workspace(workspace, needed, "the VAE's"); !s.ok()) return s;
  return run_pass(workspace.data(), executor, stop, times, nullptr,
                  [&](LayerPass& pass) { encode_whole(*state_, pass, pictures, moments); });
}

Status Vae::decode(const TensorView& latents, const TensorView& pictures, std::span<std::byte> workspace,
                   Executor executor, const StopRequest& stop, LayerTimes* times) const {
  const VaeConfig& c = state_->config;
  if (Status ready = check_half(state_->loaded, c.has_decoder, "decoder"); !ready.ok()) return ready;
  const VaeExtent e = {latents.shape[0], latents.shape[1], latents.shape[2]};
  if (Status s = check_view(latents, "latents", latents_of(e, c.latent_channels)); !s.ok()) return s;
  if (Status s = check_view(pictures, "pictures", pictures_of(e, c)); !s.ok()) return s;
  const int64_t needed = decode_workspace_bytes(e.images, e.height, e.width, executor.max_threads());
  if (Status s = LayerPass::check_workspace(workspace, needed, "the VAE's"); !s.ok()) return s;
  return run_pass(workspace.data(), executor, stop, times, nullptr,
                  [&](LayerPass& pass) { decode_whole(*state_, pass, latents, pictures); });
}

}  // namespace weft
