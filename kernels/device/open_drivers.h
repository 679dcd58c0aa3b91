/// What a library of devices keeps so that all who open a device share it, and its memory, until the last of them lets go.
///
/// Thread safety: any thread.
#ifndef WEFT_KERNELS_DEVICE_OPEN_DRIVERS_H
#define WEFT_KERNELS_DEVICE_OPEN_DRIVERS_H

#include <map>
#include <memory>
#include <mutex>

#include "kernels/device/driver.h"

namespace weft {

class OpenDrivers {
 public:
  /// The open driver of the device, or what `make(index)` makes.
  template <typename Make>
  Result<std::shared_ptr<DeviceDriver>> get(int index, const Make& make) {
    const std::lock_guard lock(mutex_);
    if (auto driver = open_[index].lock()) return driver;
    Result<std::shared_ptr<DeviceDriver>> made = make(index);
    if (made.ok()) open_[index] = *made;
    return made;
  }

 private:
  std::mutex mutex_;
  std::map<int, std::weak_ptr<DeviceDriver>> open_;
};

}  // namespace weft
#endif
