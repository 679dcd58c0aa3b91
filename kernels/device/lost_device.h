/// The error of a device that is lost (driver.h), in the same words whatever driver tells it.
#ifndef WEFT_KERNELS_DEVICE_LOST_DEVICE_H
#define WEFT_KERNELS_DEVICE_LOST_DEVICE_H

#include <weft/sdk/status.h>

#include <utility>

namespace weft {

/// kDeviceLost, with place and message of what it was lost by. Precondition: !cause.ok().
inline Status lost_device(const Status& cause) {
  Error error = cause.error();
  error.code = StatusCode::kDeviceLost;
  error.hint =
      "the device does nothing more for this process: run the same command again, and look into dmesg if it "
      "is lost again";
  return Status(std::move(error));
}

}  // namespace weft
#endif
