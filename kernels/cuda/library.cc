// libweft_cuda.so: what kernels/device/loader.h asks a library of devices for. CUDA's runtime is linked statically and finds the
// driver by itself, so that the library loads on machines that have none, and says so.
#include "kernels/cuda/cuda_driver.h"
#include "kernels/cuda/vendor/cublaslt.h"
#include "kernels/cuda/vendor/vendor_convolution.h"
#include "kernels/cuda/vendor/vendor_library.h"
#include "kernels/device/loader.h"
#include "kernels/device/open_drivers.h"

namespace {

weft::Result<std::shared_ptr<weft::DeviceDriver>> open(int index) {
  static weft::OpenDrivers drivers;
  return drivers.get(index, weft::CudaDriver::open);
}

std::vector<weft::VendorLibraryFacts> vendor_libraries() {
  return {weft::vendor_facts("cuBLASLt", weft::load_cublaslt(), "large dense products"),
          weft::convolution_library_facts()};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const weft::DeviceLibrary* weft_device_library() {
  static const weft::DeviceLibrary library{weft::kDeviceLibraryVersion, "cuda", weft::cuda_devices, open,
                                           vendor_libraries};
  return &library;
}
