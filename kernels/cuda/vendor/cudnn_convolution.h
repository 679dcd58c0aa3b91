/// Convolutions of a CUDA device: by cuDNN where ops/convolution/convolution_cuda.h gives them to it and it is installed, by the kernel
/// of ops/convolution otherwise.
///
/// cuDNN leaves the sums in the workspace, in 16 bits (cudnn_graph.h); bias, image bias, activation and residual follow by
/// finish_convolution. A shape's plan is made when it first comes, and kept: the same bits in every run, with the same version on the
/// same kind of device, but for a fault while it is made, which leaves that call to the kernel. Calls can be captured once their shape
/// came. No allocation of ours on the device, no synchronization.
///
/// Ownership: the handle, which belongs to the device that is current at the first convolution. Thread safety: any thread.
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUDNN_CONVOLUTION_H
#define WEFT_KERNELS_CUDA_VENDOR_CUDNN_CONVOLUTION_H

#include <array>
#include <functional>
#include <map>
#include <mutex>

#include "kernels/cuda/vendor/cudnn_graph.h"
#include "kernels/device/ops.h"

namespace weft {

class CudnnConvolution {
 public:
  /// load: called once, by the first convolution that goes to the library. kernels: convolution and finish_convolution.
  CudnnConvolution(std::function<Result<Cudnn>()> load, DeviceOps kernels)
      : load_(std::move(load)), kernels_(std::move(kernels)) {}
  ~CudnnConvolution();
  CudnnConvolution(const CudnnConvolution&) = delete;
  CudnnConvolution& operator=(const CudnnConvolution&) = delete;

  /// Errors: those of convolution_cuda(), kInternal (cuDNN's own); where the library is asked for by name and does not serve the
  /// convolution, or is not there: kUnsupported, kNotFound, kVersionMismatch. Precondition: c.workspace is
  /// convolution_cuda_workspace(c).
  Status run(const ConvolutionCuda& c, NativeStream stream);

 private:
  /// What decides a plan: the type, extents, the stride, zeros before.
  using Shape = std::array<int64_t, 13>;
  Status open();
  Status convolve(const ConvolutionCuda& c, NativeStream stream);
  /// The parts of the plan, it last; none where no engine serves. After a fault of cuDNN's the next call asks again.
  const CudnnParts& plan(const ConvolutionCuda& c);
  Status execute(const CudnnDescriptor& plan, const ConvolutionCuda& c, std::byte* workspace, std::byte* sums,
                 NativeStream stream);

  const std::function<Result<Cudnn>()> load_;
  const DeviceOps kernels_;
  std::once_flag opened_;
  Status open_status_;
  Cudnn dnn_;
  cudnnHandle_t handle_ = nullptr;
  std::mutex mutex_;                   // of the handle's stream, and of the plans
  std::map<Shape, CudnnParts> plans_;  // all that came: a pass that is captured finds them
};

}  // namespace weft
#endif
