#include <memory>

#include "kernels/cuda/vendor/cudnn_convolution.h"
#include "kernels/cuda/vendor/vendor_convolution.h"

namespace weft {

std::function<Status(const ConvolutionCuda&, NativeStream)> vendor_convolution(DeviceOps kernels) {
  return [by_cudnn = std::make_shared<CudnnConvolution>(load_cudnn, std::move(kernels))](
             const ConvolutionCuda& c, NativeStream stream) { return by_cudnn->run(c, stream); };
}

VendorLibraryFacts convolution_library_facts() {
  const auto dnn = load_cudnn();
  if (!dnn.ok()) return {"cuDNN", "", "own kernels in its place: " + to_string(dnn.error())};
  return {"cuDNN", dnn->version, dnn->path + ": large convolutions"};
}

}  // namespace weft
