// What `weft bench kernels group_norm --device` measures: the norms of Stable Diffusion's UNet for two images of 512 x 512, and of its
// autoencoder, each step by itself.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {
namespace {

DeviceCase norm_case(int64_t images, int64_t side, int64_t channels, bool applies) {
  DeviceCase c;
  c.name = std::string(applies ? "apply" : "statistics") + " bf16 " + std::to_string(images) + "x" +
           std::to_string(side) + "^2 " + std::to_string(channels);
  const int64_t bytes = images * side * side * channels * 2;
  c.bytes = static_cast<double>(applies ? 2 * bytes : bytes);
  c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
    const JoinedImages shape{
        .dtype = DType::kBF16, .images = images, .pixels = side * side, .channels = channels};
    auto memory = DeviceOperands::allocate(
        stream,
        {bytes, bytes, images * channels * 4, images * channels * 4, group_norm_cuda_workspace(shape) * 4});
    if (!memory.ok()) return memory.status();
    return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
      JoinedImages in = shape;
      in.x = m->at(0, i);
      float *scale = m->as<float>(2, i), *shift = m->as<float>(3, i);
      const DeviceOps& ops = stream.device()->ops();
      if (applies)
        return ops.scale_shift({.in = in,
                                .scale = scale,
                                .shift = shift,
                                .activation = ScaleShiftActivation::kSilu,
                                .y = m->at(1, i),
                                .y_dtype = DType::kBF16,
                                .y_channels = channels},
                               stream);
      return ops.group_norm({.in = in, .workspace = m->as<float>(4, i), .scale = scale, .shift = shift},
                            stream);
    });
  };
  return c;
}

}  // namespace

std::vector<DeviceCase> group_norm_device_cases() {
  std::vector<DeviceCase> cases;
  for (const bool applies : {false, true})
    for (const auto& [images, side, channels] :
         {std::tuple{2, 64, 320}, {2, 32, 640}, {2, 16, 1280}, {2, 8, 1280}, {1, 512, 128}})
      cases.push_back(norm_case(images, side, channels, applies));
  return cases;
}

}  // namespace weft
