// Dense products: tiles whose rows are those of a matrix.

#include "kernels/ops/gemm/gemm_cuda.h"
#include "kernels/ops/gemm/product_tiles_device.h"

namespace weft {
namespace {

bool in_quads(const GemmCuda& g) {
  const auto quad = static_cast<size_t>((g.paired ? 2 : 4) * size_bytes(g.c_dtype));
  return g.n % 4 == 0 && g.c_stride % 4 == 0 && g.residual_stride % 4 == 0 && device::aligned_to(g.c, quad) &&
         device::aligned_to(g.residual, quad) && device::aligned_to(g.bias, 16);
}

int splits_of(const GemmCuda& g) { return in_quads(g) ? tiling_of(g).splits : 1; }

template <typename T>
Status start(const GemmCuda& g, cudaStream_t stream) {
  const int m = static_cast<int>(g.m), n = static_cast<int>(g.n), k = static_cast<int>(g.k);
  const device::ProductOutput out = {.bias = g.bias,
                                     .activation = g.activation ? static_cast<int>(*g.activation) : -1,
                                     .paired = g.paired,
                                     .f32 = g.c_dtype == DType::kF32,
                                     .residual = g.residual,
                                     .c = g.c,
                                     .residual_stride = g.residual_stride,
                                     .c_stride = g.c_stride,
                                     .m = m,
                                     .n = n,
                                     .splits = splits_of(g),
                                     .partial = g.workspace};
  const device::Matrix<T> a = {static_cast<const T*>(g.a), g.a_stride, m, k},
                          w = {static_cast<const T*>(g.w), g.k, n, k};
  return device::start_products(tiling_of(g).tile, a, w, out, in_quads(g), stream);
}

}  // namespace

Status check_gemm_cuda(const GemmCuda& g) {
  if (g.dtype != DType::kF32 && g.dtype != DType::kF16 && g.dtype != DType::kBF16)
    return Status(StatusCode::kUnsupported, "a dense product on a device takes f32, f16 and bf16");
  constexpr int64_t kMost = 1 << 30, kMostRows = 65535 * 64;
  const int64_t piece = 16 / size_bytes(g.dtype);
  if (g.m < 0 || g.m > kMostRows || g.n < 0 || g.n > kMost || g.k < 1 || g.k > kMost || g.k % piece != 0 ||
      g.a_stride % piece != 0 || (g.paired && g.n % 2 != 0))
    return Status(StatusCode::kInvalidShape, "a dense product on a device: an impossible shape")
        .expected("m to 4194240, n and k to 2^30, k and the stride of a multiples of " +
                  std::to_string(piece))
        .got("m " + std::to_string(g.m) + ", n " + std::to_string(g.n) + ", k " + std::to_string(g.k) +
             ", stride " + std::to_string(g.a_stride));
  const int64_t out = g.paired ? g.n / 2 : g.n;
  if (g.m > 1 && (g.a_stride < g.k || g.c_stride < out || (g.residual && g.residual_stride < out)))
    return Status(StatusCode::kInvalidShape,
                  "a dense product on a device: a row stride is shorter than a row");
  if (g.c_dtype != DType::kF32 && g.c_dtype != g.dtype)
    return Status(StatusCode::kUnsupported, "a dense product on a device gives its inputs' type, or f32");
  if (g.m == 0 || g.n == 0) return {};
  if (!g.a || !g.w || !g.c || (g.paired && !g.activation) || (g.paired && g.residual))
    return Status(
        StatusCode::kInvalidArgument,
        "a dense product on a device: a null pointer, or pairs without activation or with a residual");
  if (!device::aligned_to(g.a, 16) || !device::aligned_to(g.w, 16) ||
      (splits_of(g) > 1 && (!g.workspace || !device::aligned_to(g.workspace, 16))))
    return Status(StatusCode::kInvalidArgument,
                  "a dense product on a device: expected pointers aligned to 16 bytes, and a workspace");
  return {};
}

Status gemm_cuda(const GemmCuda& g, cudaStream_t stream) {
  if (Status status = check_gemm_cuda(g); !status.ok() || g.m == 0 || g.n == 0) return status;
  if (g.engine == ProductEngine::kLibrary)
    return Status(StatusCode::kUnsupported, "a dense product was to go to a library; this device has none");
  if (g.dtype == DType::kF32) return start<float>(g, stream);
  return g.dtype == DType::kF16 ? start<device::F16>(g, stream) : start<device::BF16>(g, stream);
}

}  // namespace weft
