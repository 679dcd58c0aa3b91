#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"

namespace weft::testing {

UNetInputs unet_inputs(const GoldenTensors& e) {
  UNetInputs in;
  in.sample = e.view("sample");
  in.timesteps = e.span<float>("timesteps");
  in.context = e.view("context");
  in.pooled = e.view_or_none("pooled");
  in.sizes = e.view_or_none("sizes");
  in.guidance = e.view_or_none("guidance");
  if (e.has("classes")) in.classes = e.span<int32_t>("classes");
  return in;
}

std::vector<float> predict(Loaded<UNet>& u, const UNetInputs& in, const TensorView& like) {
  std::vector<float> noise;
  const TensorView out = view_of(noise, like);
  Workspace workspace(u.network.workspace_bytes(
      {in.sample.shape[0], in.sample.shape[1], in.sample.shape[2], in.context.shape[1]},
      u.threads.executor().max_threads()));
  demand(u.network.forward(in, out, workspace.span(), u.threads.executor()));
  return noise;
}

std::vector<float> decode(Loaded<Vae>& v, const TensorView& latents, const TensorView& like) {
  std::vector<float> pictures;
  const TensorView out = view_of(pictures, like);
  Workspace workspace(v.network.decode_workspace_bytes(latents.shape[0], latents.shape[1], latents.shape[2],
                                                       v.threads.executor().max_threads()));
  demand(v.network.decode(latents, out, workspace.span(), v.threads.executor()));
  return pictures;
}

std::vector<float> encode(Loaded<Vae>& v, const TensorView& pictures, const TensorView& like) {
  std::vector<float> moments;
  const TensorView out = view_of(moments, like);
  Workspace workspace(v.network.encode_workspace_bytes(like.shape[0], like.shape[1], like.shape[2],
                                                       v.threads.executor().max_threads()));
  demand(v.network.encode(pictures, out, workspace.span(), v.threads.executor()));
  return moments;
}

TextOutputs encode_text(Loaded<ClipText>& t, const GoldenTensors& e, int64_t skipped_layers,
                        bool final_norm) {
  ClipTextInputs in;
  in.tokens = e.span<int32_t>("tokens");
  in.n_sequences = e.view("tokens").shape[0];
  in.skipped_layers = skipped_layers;
  in.final_norm = final_norm;
  TextOutputs out;
  view_of(out.hidden, e.view("hidden"));
  view_of(out.pooled, e.view("pooled"));
  Workspace workspace(t.network.workspace_bytes(in.n_sequences, e.view("tokens").shape[1],
                                                t.threads.executor().max_threads()));
  demand(
      t.network.forward(in, {out.hidden.data(), out.pooled.data()}, workspace.span(), t.threads.executor()));
  return out;
}

const char* text_folder(const std::string& model, size_t i, size_t n) {
  return n == 2 && i == 1 ? "/text_encoder_2" : model == "refiner" ? "/text_encoder_2" : "/text_encoder";
}

}  // namespace weft::testing
