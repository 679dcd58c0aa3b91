#include "kernels/device/loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace weft {
namespace {

/// The folder of the file that holds this function.
std::string own_folder() {
  Dl_info info{};
  if (!::dladdr(reinterpret_cast<const void*>(&own_folder), &info) || !info.dli_fname) return "";
  const std::string file = info.dli_fname;
  return file.substr(0, file.rfind('/') + 1);
}

/// Where the library may lie: beside this code, or in the folder of libraries as programs and plugins see it.
std::vector<std::string> library_paths(std::string_view kind) {
  const std::string file = "libweft_" + std::string(kind) + ".so";
  const char* folder = std::getenv("WEFT_DEVICE_LIBRARIES");
  if (folder && *folder) return {std::string(folder) + "/" + file};
  const std::string own = own_folder();
  return {own + file, own + "../lib/" + file, own + "../../" + file};
}

}  // namespace

Result<const DeviceLibrary*> load_device_library(std::string_view kind) {
  if (std::ranges::find(kDeviceKinds, kind) == std::end(kDeviceKinds))
    return Status(StatusCode::kInvalidArgument, "there is no such kind of device")
        .expected("cuda or simt")
        .got(std::string(kind));
  void* library = nullptr;
  std::string path, why;
  for (const std::string& candidate : library_paths(kind)) {
    path = candidate;
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) break;
    const char* reason = ::dlerror();
    // One that is there and does not load says more than one that is not there.
    if (why.empty() || ::access(path.c_str(), F_OK) == 0) why = reason ? reason : path;
  }
  if (!library)
    return Status(StatusCode::kNotFound, "the library of " + std::string(kind) + " devices does not load")
        .got(why)
        .hint(kind == "cuda" ? "preset cuda builds it" : "it is built with the tests, by g++");
  const auto describe = reinterpret_cast<DeviceLibraryFunction>(::dlsym(library, kDeviceLibrarySymbol));
  const DeviceLibrary* found = describe ? describe() : nullptr;
  if (!found || found->version != kDeviceLibraryVersion)
    return Status(StatusCode::kVersionMismatch, "a library of devices belongs to another build")
        .at(path)
        .expected("version " + std::to_string(kDeviceLibraryVersion))
        .got(found ? "version " + std::to_string(found->version) : "no version");
  return found;
}

Result<DeviceName> parse_device_name(std::string_view name) {
  const size_t colon = name.find(':');
  DeviceName parsed{std::string(name.substr(0, colon)), 0};
  const auto refuse = [&] {
    return Status(StatusCode::kInvalidArgument, "this is not the name of a device")
        .expected("cpu, cuda:0, cuda:1, ...")
        .got(std::string(name));
  };
  if (std::ranges::find(kDeviceKinds, parsed.kind) == std::end(kDeviceKinds)) return refuse();
  if (colon == std::string_view::npos) return parsed;
  const std::string_view digits = name.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.index);
  if (error != std::errc() || end != digits.data() + digits.size() || parsed.index < 0) return refuse();
  return parsed;
}

}  // namespace weft
