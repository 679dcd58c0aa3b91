/// The libraries of devices: how they are found, and what each says of itself.
///
/// A device's library lies where libweft_kernels.so does ("libweft_cuda.so"; in a build tree of tests "libweft_simt.so"), or in the
/// folder that WEFT_DEVICE_LIBRARIES names. It is opened when a device of its kind is asked for and stays open. It exports one
/// symbol, weft_device_library, and belongs to the same build: its table is C++.
#ifndef WEFT_KERNELS_DEVICE_LOADER_H
#define WEFT_KERNELS_DEVICE_LOADER_H

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/device/driver.h"

namespace weft {

/// Changes with driver.h and ops.h.
inline constexpr uint32_t kDeviceLibraryVersion = 4;

/// A library of the device's vendor that its ops may use: loaded when the first of them wants it, or asked for here.
struct VendorLibraryFacts {
  std::string name;     // "cuBLASLt"
  std::string version;  // "13.1.0"; empty: it cannot be used
  std::string state;    // its file and what it is used for, or why not and what is done without it
};

struct DeviceLibrary {
  uint32_t version = kDeviceLibraryVersion;
  const char* kind = "";  // "cuda"
  /// Facts of every device that can be opened. Errors: kNotFound (no driver, no device), with the reason.
  Result<std::vector<DeviceFacts>> (*devices)() = nullptr;
  Result<std::shared_ptr<DeviceDriver>> (*open)(int index) = nullptr;
  /// Null: there are none. Works without a driver.
  std::vector<VendorLibraryFacts> (*vendor_libraries)() = nullptr;
};
inline constexpr const char* kDeviceLibrarySymbol = "weft_device_library";
using DeviceLibraryFunction = const DeviceLibrary* (*)();

/// The kinds that there are libraries for, installed or not.
inline constexpr const char* kDeviceKinds[] = {"cuda", "simt"};

/// kind: "cuda" or "simt". Errors: kNotFound (naming the file, and why it does not load), kVersionMismatch.
Result<const DeviceLibrary*> load_device_library(std::string_view kind);

struct DeviceName {
  std::string kind;
  int index = 0;
};
/// "cuda:1", or "cuda" for "cuda:0". Errors: kInvalidArgument.
Result<DeviceName> parse_device_name(std::string_view name);

}  // namespace weft
#endif
