// libweft_simt.so: what kernels/device/loader.h asks a library of devices for. WEFT_SIMT sets up simt:0, for tests of faults.
#include <cstdlib>

#include "kernels/device/loader.h"
#include "kernels/device/open_drivers.h"
#include "kernels/simt/driver/simt_driver.h"

namespace weft {
namespace {

Result<SimtDriverOptions> options() {
  const char* text = std::getenv("WEFT_SIMT");
  return parse_simt_options(text ? text : "");
}

Result<std::vector<DeviceFacts>> devices() {
  auto asked = options();
  if (!asked.ok()) return asked.status();
  DeviceFacts facts;
  facts.name = asked->host.name;
  facts.description = "the CUDA kernels on the CPU, for tests";
  facts.memory_bytes = asked->host.memory_bytes;
  return std::vector<DeviceFacts>{facts};
}

Result<std::shared_ptr<DeviceDriver>> make(int index) {
  if (index != 0)
    return Status(StatusCode::kNotFound, "there is no such device")
        .expected("simt:0")
        .got("simt:" + std::to_string(index));
  auto asked = options();
  if (!asked.ok()) return asked.status();
  auto made = SimtDriver::create(*std::move(asked));
  if (!made.ok()) return made.status();
  return std::shared_ptr<DeviceDriver>(*std::move(made));
}

Result<std::shared_ptr<DeviceDriver>> open(int index) {
  static OpenDrivers drivers;
  return drivers.get(index, make);
}

}  // namespace
}  // namespace weft

extern "C" __attribute__((visibility("default"))) const weft::DeviceLibrary* weft_device_library() {
  static const weft::DeviceLibrary library{weft::kDeviceLibraryVersion, "simt", weft::devices, weft::open,
                                           nullptr};
  return &library;
}
