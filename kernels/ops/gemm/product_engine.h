/// Which dense products of a CUDA device go to its vendor's library, where that is installed, and which to the kernel of this
/// folder: by their extents, so that a plan knows their workspace. Where the library wins is a table, to be changed by what
/// `weft bench kernels gemm --device cuda:0` says of both.
#ifndef WEFT_KERNELS_OPS_GEMM_PRODUCT_ENGINE_H
#define WEFT_KERNELS_OPS_GEMM_PRODUCT_ENGINE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>

#include "kernels/tensor.h"

namespace weft {

enum class ProductEngine : uint8_t { kByShape, kKernel, kLibrary };

struct LibraryRule {
  DType dtype;
  int64_t least_rows;        // m
  int64_t least_operations;  // m n k
};
/// On an H200 the library took 0.45 to 0.84 of the kernel's time for all of the bench's shapes, 0.75 for the smallest of many rows
/// (128 x 1280 x 1280 in bf16). What is smaller is left to the kernel: a bias in 16 bits costs the library a second launch.
inline constexpr LibraryRule kLibraryRules[] = {
    {DType::kBF16, 64, 100'000'000}, {DType::kF16, 64, 100'000'000}, {DType::kF32, 64, 100'000'000}};

/// Of [m, k] times [n, k].
constexpr bool library_wins(DType dtype, int64_t m, int64_t n, int64_t k) {
  for (const LibraryRule& rule : kLibraryRules)
    if (rule.dtype == dtype) return m >= rule.least_rows && m * n * k >= rule.least_operations;
  return false;
}

/// What the library is given to work with: as much as NVIDIA recommends on an H100.
inline constexpr int64_t kLibraryWorkspaceBytes = 32 << 20;
inline constexpr int64_t kLibraryWorkspaceAlignment = 256;

/// Floats of workspace: the library's, what aligns it, and a bias in the output's type.
constexpr int64_t library_workspace(DType dtype, int64_t n) {
  const int64_t bias_bytes = dtype == DType::kF32 ? 0 : (n + 7) / 8 * 16;
  return (kLibraryWorkspaceBytes + kLibraryWorkspaceAlignment + bias_bytes) / 4;
}

/// Where the library's part of a workspace begins.
inline std::byte* aligned_workspace(float* workspace) {
  const auto address = reinterpret_cast<uintptr_t>(workspace);
  constexpr auto kTo = static_cast<uintptr_t>(kLibraryWorkspaceAlignment);
  return reinterpret_cast<std::byte*>(workspace) + ((address + kTo - 1) / kTo * kTo - address);
}

/// Whether an engine's status says that it is not there or does not do such work, so that the kernel has it.
constexpr bool no_library_serves(StatusCode code) {
  return code == StatusCode::kUnsupported || code == StatusCode::kNotFound ||
         code == StatusCode::kVersionMismatch;
}

}  // namespace weft
#endif
