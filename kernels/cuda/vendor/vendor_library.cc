#include "kernels/cuda/vendor/vendor_library.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;

/// What of `folder`/PATTERN... is there: nvidia/cu13/lib, nvidia/cublas/lib.
void add_wheels(const fs::path& environment, const std::string& soname, std::vector<std::string>& paths) {
  std::error_code error;
  for (const fs::directory_entry& python : fs::directory_iterator(environment / "lib", error))
    for (const fs::directory_entry& package :
         fs::directory_iterator(python.path() / "site-packages/nvidia", error)) {
      const fs::path file = package.path() / "lib" / soname;
      if (fs::exists(file, error)) paths.push_back(file);
    }
}

}  // namespace

std::vector<std::string> vendor_library_paths(const std::string& soname) {
  std::vector<std::string> paths = {soname};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* toolkit = std::getenv(variable); toolkit && *toolkit)
      paths.push_back(std::string(toolkit) + "/lib64/" + soname);
  paths.push_back("/usr/local/cuda/lib64/" + soname);
  if (const char* environment = std::getenv("VIRTUAL_ENV"); environment && *environment)
    add_wheels(environment, soname, paths);
  return paths;
}

Result<VendorLibrary> VendorLibrary::open(const std::string& soname) {
  std::string tried;
  for (const std::string& path : vendor_library_paths(soname)) {
    if (void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      link_map* map = nullptr;
      const bool known = ::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name && *map->l_name;
      return VendorLibrary(handle, known ? map->l_name : path);
    }
    const char* reason = ::dlerror();
    tried += (tried.empty() ? "" : "; ") + std::string(reason ? reason : path);
  }
  return Status(StatusCode::kNotFound, soname + " is not installed").got(tried);
}

Status VendorLibrary::find_symbol(const char* name, void*& found) const {
  found = ::dlsym(handle_, name);
  if (found) return {};
  return Status(StatusCode::kVersionMismatch, std::string("a library has no function ") + name).at(path_);
}

std::string vendor_version(size_t number) {
  return std::to_string(number / 10000) + "." + std::to_string(number % 10000 / 100) + "." +
         std::to_string(number % 100);
}

}  // namespace weft
