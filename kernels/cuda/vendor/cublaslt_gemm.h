/// Dense products of a CUDA device: by cuBLASLt where ops/gemm/product_engine.h gives them to it and it is installed, by the kernel
/// of ops/gemm otherwise.
///
/// cuBLASLt's matrices are in columns: C [m, n] in rows is its D [n, m], W [n, k] its A [k, n] that it turns, A its B [k, m]. It adds
/// in f32. Its bias has its output's type: ours is rounded to that in the workspace first, if that is not f32. The first algorithm
/// of its heuristics that keeps partial sums in f32 is taken, and kept for the shape: the same bits in every run, with the same
/// version on the same kind of device. Calls can be captured. No allocation on the device, no synchronization.
///
/// Ownership: the handle, which belongs to the device that is current at the first product. Thread safety: any thread.
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUBLASLT_GEMM_H
#define WEFT_KERNELS_CUDA_VENDOR_CUBLASLT_GEMM_H

#include <array>
#include <functional>
#include <mutex>
#include <optional>

#include "kernels/cuda/vendor/cublaslt.h"
#include "kernels/device/ops.h"
#include "kernels/device/recent_passes.h"

namespace weft {

class CublasLtGemm {
 public:
  /// load: called once, by the first product that goes to the library. kernels: gemm, and unpack, which rounds a bias.
  CublasLtGemm(std::function<Result<CublasLt>()> load, DeviceOps kernels)
      : load_(std::move(load)), kernels_(std::move(kernels)) {}
  ~CublasLtGemm();
  CublasLtGemm(const CublasLtGemm&) = delete;
  CublasLtGemm& operator=(const CublasLtGemm&) = delete;

  /// Errors: those of gemm_cuda(), kInternal (cuBLASLt's own); where the library is asked for by name and does not serve the
  /// product, or is not there: kUnsupported, kNotFound, kVersionMismatch. Precondition: g.workspace is gemm_cuda_workspace(g).
  Status run(const GemmCuda& g, NativeStream stream);

 private:
  /// What decides an algorithm: extents, strides, types, what follows the sums.
  using Shape = std::array<int64_t, 9>;
  struct Product;
  Status open();
  Status multiply(const GemmCuda& g, NativeStream stream);
  cublasStatus_t describe(const GemmCuda& g, const void* bias, Product& product) const;
  /// The algorithm for the shape, or none that serves.
  std::optional<cublasLtMatmulAlgo_t> algorithm(const Shape& shape, const Product& product);
  std::optional<cublasLtMatmulAlgo_t> ask(const Product& product) const;

  const std::function<Result<CublasLt>()> load_;
  const DeviceOps kernels_;
  std::once_flag opened_;
  Status open_status_;
  CublasLt lt_;
  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  RecentPasses<Shape, std::optional<cublasLtMatmulAlgo_t>> algorithms_{256};
};

}  // namespace weft
#endif
