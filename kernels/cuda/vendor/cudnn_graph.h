/// cuDNN's graph of a convolution, and the plan by which a device runs it.
///
/// The graph has one operation, for which cuDNN brings compiled kernels: sums in f32, rounded to 16 bits. (One with the bias and all
/// that follows would wait for a compiler when its shape first comes.)
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUDNN_GRAPH_H
#define WEFT_KERNELS_CUDA_VENDOR_CUDNN_GRAPH_H

#include <optional>
#include <vector>

#include "kernels/cuda/vendor/cudnn_descriptor.h"
#include "kernels/ops/convolution/convolution_cuda.h"

namespace weft {

/// What the operands of an execution are called.
enum CudnnOperand : int64_t { kCudnnX = 1, kCudnnWeights = 2, kCudnnSums = 3 };

/// The graph last, after its parts, which are kept with it: cuDNN does not say what it copies.
using CudnnParts = std::vector<CudnnDescriptor>;

/// Precondition: library_serves(c). handle: may be null from cuDNN 9.8 on, for a graph that no device runs.
/// Nothing where the extents do not belong together: zeros would be missing or too many. Else see describe.status().
std::optional<CudnnParts> convolution_graph(CudnnDescriber& describe, cudnnHandle_t handle,
                                            const ConvolutionCuda& c);

/// Appends a configuration and the plan of the first engine of cuDNN's heuristics that gives the same bits each time, keeps sums in
/// f32, multiplies numbers as they are (no Winograd, no Fourier transform), is not compiled at run time and takes at most
/// kLibraryWorkspaceBytes. Where there is none: CUDNN_STATUS_NOT_SUPPORTED, or the fault for which one was passed over.
cudnnStatus_t add_plan(const Cudnn& dnn, cudnnHandle_t handle, CudnnParts& graph);

/// Whether a status tells of the library's or the device's state and not of what was asked.
inline bool is_fault(cudnnStatus_t status) {
  const int category = CUDNN_STATUS_CATEGORY(static_cast<int>(status));
  return category == CUDNN_STATUS_INTERNAL_ERROR || category == CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace weft
#endif
