// Both passes over whole images: one team of threads walks all blocks together; see kernels/layers/layer_pass.h.
#include "kernels/networks/vae/vae_pass.h"
#include "kernels/networks/vae/vae_walk.h"

namespace weft {
namespace {

void encode_whole(const Vae::State& state, LayerPass& pass, const TensorView& pictures,
                  const TensorView& moments) {
  VaeWalk walk(state, pass);
  const TensorView in = pass.input(pictures), out = pass.result(moments);
  const TensorView x = walk.encode_pixels(in);
  if (x.rank == 0) return;
  walk.encode_latents(x, out);
  pass.give_result(out, moments);
  pass.give_input(in);
}

void decode_whole(const Vae::State& state, LayerPass& pass, const TensorView& latents,
                  const TensorView& pictures) {
  VaeWalk walk(state, pass);
  const TensorView in = pass.input(latents), out = pass.result(pictures);
  const TensorView x = walk.decode_latents(in);
  if (x.rank == 0) return;
  walk.decode_pixels(x, out);
  pass.give_result(out, pictures);
  pass.give_input(in);
}

/// What encode() and decode() are called with. loaded: on the host or the device, as they want it.
Status check_encode(const Vae::State& s, bool loaded, const TensorView& pictures, const TensorView& moments,
                    VaeExtent* e) {
  if (Status ready = check_half(loaded, s.config.has_encoder, "encoder"); !ready.ok()) return ready;
  *e = {moments.shape[0], moments.shape[1], moments.shape[2]};
  if (Status fits = check_view(moments, "moments", latents_of(*e, 2 * s.config.latent_channels)); !fits.ok())
    return fits;
  return check_view(pictures, "pictures", pictures_of(*e, s.config));
}
Status check_decode(const Vae::State& s, bool loaded, const TensorView& latents, const TensorView& pictures,
                    VaeExtent* e) {
  if (Status ready = check_half(loaded, s.config.has_decoder, "decoder"); !ready.ok()) return ready;
  *e = {latents.shape[0], latents.shape[1], latents.shape[2]};
  if (Status fits = check_view(latents, "latents", latents_of(*e, s.config.latent_channels)); !fits.ok())
    return fits;
  return check_view(pictures, "pictures", pictures_of(*e, s.config));
}

// Passes that measure.
auto encode_measure(const Vae::State& state, const VaeExtent& e) {
  return [&state, e](LayerPass& pass) {
    encode_whole(state, pass, pictures_of(e, state.config), latents_of(e, 2 * state.config.latent_channels));
  };
}
auto decode_measure(const Vae::State& state, const VaeExtent& e) {
  return [&state, e](LayerPass& pass) {
    decode_whole(state, pass, latents_of(e, state.config.latent_channels), pictures_of(e, state.config));
  };
}

}  // namespace

int64_t Vae::encode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, encode_measure(*state_, {images, height, width}));
}
int64_t Vae::decode_workspace_bytes(int64_t images, int64_t height, int64_t width, uint32_t n_threads) const {
  return LayerPass::measure(n_threads, decode_measure(*state_, {images, height, width}));
}
int64_t Vae::device_encode_workspace_bytes(int64_t images, int64_t height, int64_t width) const {
  return LayerPass::measure_on_device(encode_measure(*state_, {images, height, width})).workspace_bytes;
}
int64_t Vae::device_decode_workspace_bytes(int64_t images, int64_t height, int64_t width) const {
  return LayerPass::measure_on_device(decode_measure(*state_, {images, height, width})).workspace_bytes;
}

Status Vae::encode(const TensorView& pictures, const TensorView& moments, std::span<std::byte> workspace,
                   Executor executor, const StopRequest& stop, LayerTimes* times) const {
  VaeExtent e;
  if (Status valid = check_encode(*state_, state_->weights.on_host(), pictures, moments, &e); !valid.ok())
    return valid;
  const int64_t needed = encode_workspace_bytes(e.images, e.height, e.width, executor.max_threads());
  if (Status s = LayerPass::check_workspace(workspace, needed, "the VAE's"); !s.ok()) return s;
  return run_pass(workspace.data(), executor, stop, times,
                  [&](LayerPass& pass) { encode_whole(*state_, pass, pictures, moments); });
}

Status Vae::decode(const TensorView& latents, const TensorView& pictures, std::span<std::byte> workspace,
                   Executor executor, const StopRequest& stop, LayerTimes* times) const {
  VaeExtent e;
  if (Status valid = check_decode(*state_, state_->weights.on_host(), latents, pictures, &e); !valid.ok())
    return valid;
  const int64_t needed = decode_workspace_bytes(e.images, e.height, e.width, executor.max_threads());
  if (Status s = LayerPass::check_workspace(workspace, needed, "the VAE's"); !s.ok()) return s;
  return run_pass(workspace.data(), executor, stop, times,
                  [&](LayerPass& pass) { decode_whole(*state_, pass, latents, pictures); });
}

Status Vae::encode_on(DevicePasses& passes, const TensorView& pictures, const TensorView& moments,
                      std::span<std::byte> workspace, const StopRequest& stop) const {
  VaeExtent e;
  if (Status valid = check_encode(*state_, state_->weights.on_device(), pictures, moments, &e); !valid.ok())
    return valid;
  return passes.run(state_->weights.pass_shape("the VAE encoder's", {e.images, e.height, e.width}), workspace,
                    stop, [&](LayerPass& pass) { encode_whole(*state_, pass, pictures, moments); });
}

Status Vae::decode_on(DevicePasses& passes, const TensorView& latents, const TensorView& pictures,
                      std::span<std::byte> workspace, const StopRequest& stop) const {
  VaeExtent e;
  if (Status valid = check_decode(*state_, state_->weights.on_device(), latents, pictures, &e); !valid.ok())
    return valid;
  return passes.run(state_->weights.pass_shape("the VAE decoder's", {e.images, e.height, e.width}), workspace,
                    stop, [&](LayerPass& pass) { decode_whole(*state_, pass, latents, pictures); });
}

}  // namespace weft
