/// Devices by name, as pipelines write them: "cpu", "cuda:0" ("cuda" for short), "simt:0".
#ifndef WEFT_SDK_DEVICE_H
#define WEFT_SDK_DEVICE_H

#include <weft/abi/types.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace weft::sdk {

inline constexpr weft_device kCpu = {WEFT_DEVICE_CPU, 0};
inline constexpr const char* kDeviceNames = "cpu, cuda:0, cuda:1, ...";  // for messages

inline bool same_device(weft_device a, weft_device b) { return a.kind == b.kind && a.index == b.index; }

/// Nothing if there are no devices of that name, on any machine.
inline std::optional<weft_device> device_named(std::string_view name) {
  if (name == "cpu") return kCpu;
  const size_t colon = name.find(':');
  const std::string_view kind = name.substr(0, colon);
  weft_device device{kind == "cuda" ? WEFT_DEVICE_CUDA : WEFT_DEVICE_SIMT, 0};
  if (kind != "cuda" && kind != "simt") return std::nullopt;
  if (colon == std::string_view::npos) return device;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + colon + 1, end, device.index);
  if (error != std::errc() || stop != end || device.index < 0) return std::nullopt;
  return device;
}

inline std::string device_name(weft_device device) {
  if (device.kind == WEFT_DEVICE_CPU) return "cpu";
  return (device.kind == WEFT_DEVICE_CUDA ? "cuda:" : "simt:") + std::to_string(device.index);
}

}  // namespace weft::sdk
#endif
