/// Convolutions of a CUDA device with a library of its vendor's, in a build with cuDNN's headers (cudnn_convolution.h), or without one.
#ifndef WEFT_KERNELS_CUDA_VENDOR_VENDOR_CONVOLUTION_H
#define WEFT_KERNELS_CUDA_VENDOR_VENDOR_CONVOLUTION_H

#include <functional>

#include "kernels/device/loader.h"
#include "kernels/device/ops.h"

namespace weft {

/// kernels: convolution and finish_convolution. The library is opened by the first convolution that goes to it, for the device that is
/// current then.
std::function<Status(const ConvolutionCuda&, NativeStream)> vendor_convolution(DeviceOps kernels);

/// Works without a driver.
VendorLibraryFacts convolution_library_facts();

}  // namespace weft
#endif
