// What `weft bench kernels convolution --device` measures: the convolutions of Stable Diffusion's UNet for two images of 512 x 512,
// and of its autoencoder, by the kernel and, where it has them, by the vendor's library; two of them with each tile, for the choice in product_tiling.h.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {
namespace {

struct Layer {
  int64_t images, side, channels, skip, out, kernel, stride;
};

Result<DeviceRun> run_of(const DeviceStream& stream, ConvolutionCuda conv, ProductEngine engine) {
  conv.engine = engine;
  const int64_t in_pixels = conv.images * conv.h * conv.w, out_pixels = conv.images * conv.out_h * conv.out_w,
                depth = conv.kernel_h * conv.kernel_w * (conv.channels + conv.skip_channels);
  auto memory = DeviceOperands::allocate(
      stream, {in_pixels * conv.channels * 2, std::max<int64_t>(in_pixels * conv.skip_channels, 1) * 2,
               conv.out_channels * depth * 2, out_pixels * conv.out_channels * 2, conv.out_channels * 4});
  if (!memory.ok()) return memory.status();
  auto workspace = DeviceBuffer::allocate(
      stream, static_cast<uint64_t>(std::max<int64_t>(convolution_cuda_workspace(conv), 1) * 4), "workspace");
  if (!workspace.ok()) return workspace.status();
  return DeviceRun([=, m = share(*std::move(memory)),
                    room = std::make_shared<const DeviceBuffer>(*std::move(workspace))](int64_t i) {
    ConvolutionCuda run = conv;
    run.x = m->at(0, i), run.skip = conv.skip_channels ? m->at(1, i) : nullptr, run.weights = m->at(2, i),
    run.y = m->at(3, i);
    run.bias = m->as<float>(4, i), run.workspace = reinterpret_cast<float*>(room->data());
    return stream.device()->ops().convolution(run, stream);
  });
}

DeviceCase layer_case(const Layer& l, std::optional<ProductTiling> tiling = {}) {
  DeviceCase c;
  const int64_t out_side = (l.side + l.stride - 1) / l.stride, all = l.channels + l.skip;
  c.name = std::to_string(l.kernel) + "x" + std::to_string(l.kernel) + " " + std::to_string(l.images) + "x" +
           std::to_string(l.side) + "^2 " + std::to_string(l.channels) +
           (l.skip ? "+" + std::to_string(l.skip) : "") + ">" + std::to_string(l.out) +
           (l.stride > 1 ? " /2" : "");
  if (tiling)
    c.name += ", " + std::to_string(tile_rows(tiling->tile)) + "x" + std::to_string(tile_cols(tiling->tile));
  const int64_t in_pixels = l.images * l.side * l.side, out_pixels = l.images * out_side * out_side,
                weights = l.out * l.kernel * l.kernel * all;
  ConvolutionCuda conv{.images = l.images,
                       .h = l.side,
                       .w = l.side,
                       .channels = l.channels,
                       .skip_channels = l.skip,
                       .out_channels = l.out,
                       .kernel_h = l.kernel,
                       .kernel_w = l.kernel,
                       .stride = l.stride,
                       .pad_top = l.kernel / 2,
                       .pad_left = l.kernel / 2,
                       .out_h = out_side,
                       .out_w = out_side,
                       .tiling = tiling};
  c.bytes = 2.0 * static_cast<double>(in_pixels * all + out_pixels * l.out + weights);
  c.operations = 2.0 * static_cast<double>(out_pixels * weights);
  c.arithmetic = Arithmetic::kBF16;
  const auto by = [=](ProductEngine engine) {
    return [=](const DeviceStream& stream) { return run_of(stream, conv, engine); };
  };
  c.make = by(ProductEngine::kKernel);
  if (!tiling) c.make_by_library = by(ProductEngine::kLibrary);
  return c;
}

}  // namespace

std::vector<DeviceCase> convolution_device_cases() {
  std::vector<DeviceCase> cases;
  const Layer first{2, 64, 320, 0, 320, 3, 1}, third{2, 16, 1280, 0, 1280, 3, 1};
  for (const Layer& l :
       {first, Layer{2, 64, 640, 320, 320, 3, 1}, Layer{2, 64, 640, 320, 320, 1, 1},
        Layer{2, 64, 320, 0, 320, 1, 1}, Layer{2, 32, 640, 0, 640, 1, 1}, Layer{2, 64, 320, 0, 320, 3, 2},
        Layer{2, 64, 8, 0, 320, 3, 1}, Layer{2, 32, 640, 0, 640, 3, 1}, third,
        Layer{2, 8, 1280, 0, 1280, 3, 1}, Layer{2, 8, 1280, 1280, 1280, 3, 1},
        Layer{1, 512, 128, 0, 128, 3, 1}, Layer{1, 256, 256, 0, 256, 3, 1}})
    cases.push_back(layer_case(l));
  for (const ProductTile tile : {ProductTile::k128x128, ProductTile::k128x64, ProductTile::k64x64})
    for (const Layer& l : {first, third}) cases.push_back(layer_case(l, ProductTiling{tile, 1}));
  return cases;
}

}  // namespace weft
