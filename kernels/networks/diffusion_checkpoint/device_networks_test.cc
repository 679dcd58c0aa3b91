// Networks of the Stable Diffusion family on a device, against diffusers' numbers on the reduced random models of
// scripts/make_golden/diffusion.py.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/networks/diffusion_checkpoint/testing/diffusion_golden.h"
#include "kernels/testing/device_name.h"

namespace weft::testing {
namespace {

/// A network whose weights are on the device.
template <typename Network>
struct OnDevice {
  template <typename Part>
  OnDevice(const Part& part, DType compute)
      : threads(2),
        stream(take(DeviceStream::create(take(ComputeDevice::open(device_name()))))),
        network(take(Network::open(part.source, part.config, compute))) {
    demand(network.load_on(stream, threads.executor()));
  }
  DeviceBuffer workspace(int64_t bytes) const {
    return take(DeviceBuffer::allocate(stream, static_cast<uint64_t>(bytes), "workspace"));
  }
  Threads threads;
  DeviceStream stream;
  Network network;
};

std::span<std::byte> all_of(const DeviceBuffer& buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size_bytes())};
}

std::vector<float> predict(OnDevice<UNet>& u, const UNetInputs& in, const TensorView& like) {
  std::vector<float> noise;
  const TensorView out = view_of(noise, like);
  const DeviceBuffer workspace = u.workspace(u.network.device_workspace_bytes(
      {in.sample.shape[0], in.sample.shape[1], in.sample.shape[2], in.context.shape[1]}));
  demand(u.network.forward_on(u.stream, in, out, all_of(workspace)));
  return noise;
}

class DeviceDiffusionGolden : public ::testing::TestWithParam<const char*> {
 protected:
  DeviceDiffusionGolden() : path_(folder(GetParam())), checkpoint_(take(DiffusionCheckpoint::open(path_))) {}
  std::string path_;
  DiffusionCheckpoint checkpoint_;
};

TEST_P(DeviceDiffusionGolden, UNetAgreesWithDiffusers) {
  const GoldenTensors e(path_ + "/unet");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<UNet> unet(checkpoint_.unet(), compute);
    EXPECT_LT(error(predict(unet, unet_inputs(e), e.view("noise")), e.span<float>("noise")),
              allowed(compute));
  }
}

TEST_P(DeviceDiffusionGolden, VaeAgreesWithDiffusers) {
  const GoldenTensors e(path_ + "/vae");
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<Vae> vae(checkpoint_.vae(), compute);
    const TensorView latents = e.view("latents"), moments = e.view("moments");
    std::vector<float> decoded, encoded;
    const TensorView pictures = view_of(decoded, e.view("decoded")), made = view_of(encoded, moments);
    const DeviceBuffer to_decode = vae.workspace(vae.network.device_decode_workspace_bytes(
                           latents.shape[0], latents.shape[1], latents.shape[2])),
                       to_encode = vae.workspace(vae.network.device_encode_workspace_bytes(
                           moments.shape[0], moments.shape[1], moments.shape[2]));
    demand(vae.network.decode_on(vae.stream, latents, pictures, all_of(to_decode)));
    EXPECT_LT(error(decoded, e.span<float>("decoded")), allowed(compute));
    demand(vae.network.encode_on(vae.stream, e.view("pictures"), made, all_of(to_encode)));
    EXPECT_LT(error(encoded, e.span<float>("moments")), allowed(compute));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceDiffusionGolden, ::testing::Values("sd15", "sd21", "sdxl", "refiner"),
                         [](const auto& model) { return std::string(model.param); });

// Nine input channels in two parts, a class table, an embedding of guidance, cross attention only, extents that do not halve.
TEST(DeviceUNet, TakesTheSwitchesOfPublishedModels) {
  const WeightFile file = take(WeightFile::open(folder("switches/unet")));
  const CheckpointPart<UNetConfig> part{
      take(read_unet_config(file.metadata())), WeightSource::all_of(file), {}};
  const GoldenTensors e(folder("switches/unet"));
  for (DType compute : {DType::kF32, DType::kBF16}) {
    OnDevice<UNet> unet(part, compute);
    EXPECT_LT(error(predict(unet, unet_inputs(e), e.view("noise")), e.span<float>("noise")),
              allowed(compute));
  }
}

TEST(DeviceUNet, RefusesWhatItCannotDo) {
  const DiffusionCheckpoint checkpoint = take(DiffusionCheckpoint::open(folder("sd21")));
  const GoldenTensors e(folder("sd21/unet"));
  OnDevice<UNet> unet(checkpoint.unet(), DType::kF32);
  std::vector<float> noise;
  const TensorView out = view_of(noise, e.view("noise"));
  UNetInputs in = unet_inputs(e);
  const DeviceBuffer workspace = unet.workspace(unet.network.device_workspace_bytes(
      {in.sample.shape[0], in.sample.shape[1], in.sample.shape[2], in.context.shape[1]}));
  const std::span<std::byte> all = all_of(workspace);
  EXPECT_EQ(unet.network.forward_on(unet.stream, in, out, all.first(all.size() - 64)).code(),
            StatusCode::kOutOfMemory);
  const StopRequest stop{[](void*) { return true; }, nullptr};
  EXPECT_EQ(unet.network.forward_on(unet.stream, in, out, all, stop).code(), StatusCode::kCancelled);
  // On the host its weights are not.
  EXPECT_EQ(unet.network.forward(in, out, {}, unet.threads.executor()).code(), StatusCode::kInvalidArgument);
  in.mid_residual = out;
  EXPECT_EQ(unet.network.forward_on(unet.stream, in, out, all).code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft::testing
