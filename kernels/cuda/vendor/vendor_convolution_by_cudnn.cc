#include <memory>

#include "kernels/cuda/vendor/cudnn_convolution.h"
#include "kernels/cuda/vendor/vendor_convolution.h"
#include "kernels/cuda/vendor/vendor_library.h"

namespace weft {

std::function<Status(const ConvolutionCuda&, NativeStream)> vendor_convolution(DeviceOps kernels) {
  return [by_cudnn = std::make_shared<CudnnConvolution>(load_cudnn, std::move(kernels))](
             const ConvolutionCuda& c, NativeStream stream) { return by_cudnn->run(c, stream); };
}

VendorLibraryFacts convolution_library_facts() {
  return vendor_facts("cuDNN", load_cudnn(), "large convolutions");
}

}  // namespace weft
