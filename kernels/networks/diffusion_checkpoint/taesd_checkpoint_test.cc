// Tiny autoencoders: their numbers against diffusers, and the files they come in.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/taesd_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"

namespace weft::testing {
namespace {

TEST(Taesd, AgreesWithDiffusers) {
  const WeightFile file = take(WeightFile::open(folder("taesd")));
  const CheckpointPart<TaesdConfig> part = {
      take(read_taesd_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("taesd"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    for (uint32_t n_threads : {1, 3}) {
      Loaded<Taesd> tiny(part, compute, n_threads);
      std::vector<float> got;
      TensorView out = view_of(got, e.view("decoded"));
      Workspace decoding(tiny.network.decode_workspace_bytes(2, 5, 3, n_threads));
      demand(tiny.network.decode(e.view("latents"), out, decoding.span(), tiny.threads.executor()));
      EXPECT_LT(error(got, e.span<float>("decoded")), allowed(compute));
      out = view_of(got, e.view("encoded"));
      Workspace encoding(tiny.network.encode_workspace_bytes(2, 5, 3, n_threads));
      demand(tiny.network.encode(e.view("pictures"), out, encoding.span(), tiny.threads.executor()));
      EXPECT_LT(error(got, e.span<float>("encoded")), allowed(compute));
    }
  }
}

TEST(TaesdCheckpoint, ReadsFoldersAndOriginalDecoders) {
  const GoldenTensors e(folder("taesd"));
  for (const char* path : {"taesd", "taesd/taesd_decoder.safetensors"}) {
    const TaesdCheckpoint checkpoint = take(TaesdCheckpoint::open(folder(path)));
    Loaded<Taesd> tiny(CheckpointPart<TaesdConfig>{checkpoint.config(), checkpoint.source(), {}},
                       DType::kF32);
    std::vector<float> got;
    TensorView out = view_of(got, e.view("decoded"));
    Workspace workspace(tiny.network.decode_workspace_bytes(2, 5, 3, 2));
    demand(tiny.network.decode(e.view("latents"), out, workspace.span(), tiny.threads.executor()));
    EXPECT_LT(error(got, e.span<float>("decoded")), allowed(DType::kF32)) << path;
    if (path == std::string("taesd")) continue;
    out = view_of(got, e.view("encoded"));
    EXPECT_EQ(tiny.network.encode(e.view("pictures"), out, workspace.span(), tiny.threads.executor()).code(),
              StatusCode::kInvalidArgument)
        << "there is no encoder";
  }
  EXPECT_EQ(TaesdCheckpoint::open(folder("sd15/vae")).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft::testing
