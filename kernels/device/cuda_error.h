/// CUDA's errors as ours, for its driver and for launches. Only for what is built with CUDA's headers.
#ifndef WEFT_KERNELS_DEVICE_CUDA_ERROR_H
#define WEFT_KERNELS_DEVICE_CUDA_ERROR_H

#include <cuda_runtime_api.h>
#include <weft/sdk/status.h>

#include <string>

#include "kernels/device/lost_device.h"

namespace weft {

/// Whether the device does nothing more for this process: the errors that CUDA's documentation (driver_types.h) says so of, those
/// of hardware that failed, and of a device that gives this process no context.
inline bool loses_device(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorContained:
    case cudaErrorExternalDevice:
    case cudaErrorMpsClientTerminated:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorDevicesUnavailable: return true;
    default: return false;
  }
}

/// what: "a copy to the device". Errors: kOutOfMemory, kDeviceLost, kInternal, with CUDA's text and number.
inline Status cuda_status(cudaError_t error, const std::string& what) {
  if (error == cudaSuccess) return {};
  Status status(
      error == cudaErrorMemoryAllocation ? StatusCode::kOutOfMemory : StatusCode::kInternal,
      what + " failed: " + cudaGetErrorString(error) + " (CUDA error " + std::to_string(error) + ")");
  return loses_device(error) ? lost_device(status) : status;
}

}  // namespace weft
#endif
