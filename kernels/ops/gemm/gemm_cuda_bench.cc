// What `weft bench kernels gemm --device` measures: the dense layers of Stable Diffusion's UNet for two images of 512 x 512, by the
// kernel and by the vendor's library, for the choice in product_engine.h; two of them with each tile, for that in product_tiling.h.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {
namespace {

Result<DeviceRun> run_of(const DeviceStream& stream, GemmCuda g, ProductEngine engine) {
  g.engine = engine;
  const int64_t size = size_bytes(g.dtype);
  auto memory = DeviceOperands::allocate(
      stream, {g.m * g.k * size, g.n * g.k * size, g.m * g.c_stride * size, g.n * 4});
  if (!memory.ok()) return memory.status();
  auto workspace = DeviceBuffer::allocate(
      stream, static_cast<uint64_t>(std::max<int64_t>(gemm_cuda_workspace(g), 1) * 4), "workspace");
  if (!workspace.ok()) return workspace.status();
  return DeviceRun([=, operands = share(*std::move(memory)),
                    room = std::make_shared<const DeviceBuffer>(*std::move(workspace))](int64_t i) {
    GemmCuda run = g;
    run.a = operands->at(0, i), run.w = operands->at(1, i), run.c = operands->at(2, i);
    run.bias = operands->as<float>(3, i), run.workspace = reinterpret_cast<float*>(room->data());
    return stream.device()->ops().gemm(run, stream);
  });
}

DeviceCase product_case(DType dtype, int64_t m, int64_t n, int64_t k, bool paired,
                        std::optional<ProductTiling> tiling = {}) {
  DeviceCase c;
  c.name = std::string(dtype == DType::kF32 ? "f32 " : "bf16 ") + std::to_string(m) + " x " +
           std::to_string(n) + " x " + std::to_string(k) + (paired ? " GEGLU" : "");
  if (tiling)
    c.name += ", " + std::to_string(tile_rows(tiling->tile)) + "x" + std::to_string(tile_cols(tiling->tile));
  const int64_t size = size_bytes(dtype), cols = paired ? n / 2 : n;
  GemmCuda g{.dtype = dtype,
             .activation = paired ? std::optional(Activation::kGelu) : std::nullopt,
             .paired = paired,
             .c_dtype = dtype,
             .m = m,
             .n = n,
             .k = k,
             .a_stride = k,
             .residual_stride = cols,
             .c_stride = cols,
             .tiling = tiling};
  c.bytes = static_cast<double>(size * (m * k + n * k + m * cols));
  c.operations = 2.0 * static_cast<double>(m * n * k);
  c.arithmetic = dtype == DType::kF32 ? Arithmetic::kF32 : Arithmetic::kBF16;
  const auto by = [=](ProductEngine engine) {
    return [=](const DeviceStream& stream) { return run_of(stream, g, engine); };
  };
  c.make = by(ProductEngine::kKernel);
  if (!tiling) c.make_by_library = by(ProductEngine::kLibrary);
  return c;
}

}  // namespace

std::vector<DeviceCase> gemm_device_cases() {
  std::vector<DeviceCase> cases;
  for (const auto& [m, n, k] : {std::tuple{8192, 960, 320},
                                {8192, 320, 320},
                                {8192, 320, 1280},
                                {2048, 1920, 640},
                                {2048, 640, 2560},
                                {512, 3840, 1280},
                                {512, 1280, 5120},
                                {128, 1280, 1280},
                                {2, 1280, 1280},
                                {154, 2560, 768},
                                {4096, 4096, 4096},
                                {8192, 8192, 8192}})
    cases.push_back(product_case(DType::kBF16, m, n, k, false));
  cases.push_back(product_case(DType::kBF16, 8192, 2560, 320, true));
  cases.push_back(product_case(DType::kBF16, 512, 10240, 1280, true));
  for (const ProductTile tile : {ProductTile::k128x128, ProductTile::k128x64, ProductTile::k64x64})
    for (const auto& [m, n, k] : {std::tuple{4096, 4096, 4096}, {2048, 640, 2560}})
      cases.push_back(product_case(DType::kBF16, m, n, k, false, ProductTiling{tile, 1}));
  cases.push_back(product_case(DType::kF32, 2048, 640, 640, false));
  return cases;
}

}  // namespace weft
