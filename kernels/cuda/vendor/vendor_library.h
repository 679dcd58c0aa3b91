/// A library of NVIDIA's that is opened when something first wants it and never linked, so that libweft_cuda.so loads without it.
///
///   auto library = VendorLibrary::open("libcublasLt.so.13");
///   decltype(&cublasLtCreate) create = nullptr;
///   Status found = library->find("cublasLtCreate", create);
///
/// Ownership: what is open stays open until the process ends. Thread safety: any thread.
#ifndef WEFT_KERNELS_CUDA_VENDOR_VENDOR_LIBRARY_H
#define WEFT_KERNELS_CUDA_VENDOR_VENDOR_LIBRARY_H

#include <weft/sdk/status.h>

#include <string>
#include <vector>

#include "kernels/device/loader.h"

namespace weft {

/// Where a library may lie, in the order of search: as the system finds it (LD_LIBRARY_PATH, its cache), in the toolkit that CUDA_HOME
/// or CUDA_PATH names, in /usr/local/cuda, in the wheels of the Python environment that VIRTUAL_ENV names.
std::vector<std::string> vendor_library_paths(const std::string& soname);

class VendorLibrary {
 public:
  /// soname: with its major version. Errors: kNotFound, with what was tried.
  static Result<VendorLibrary> open(const std::string& soname);

  /// Of the file.
  const std::string& path() const { return path_; }
  /// Errors: kVersionMismatch (there is no such function).
  template <typename Function>
  Status find(const char* name, Function*& function) const {
    void* found = nullptr;
    Status status = find_symbol(name, found);
    function = reinterpret_cast<Function*>(found);
    return status;
  }

 private:
  VendorLibrary(void* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  Status find_symbol(const char* name, void*& found) const;
  void* handle_;
  std::string path_;
};

/// "13.1.0" of 130100, as cuBLAS 13 and cuDNN 9 count.
std::string vendor_version(size_t number);

/// Takes what was loaded, or refuses it: kVersionMismatch (another major version than that of the headers). Library: has a version,
/// which is written, and a path.
template <typename Library>
Result<Library> checked_version(Library library, const char* name, size_t number, int major) {
  library.version = vendor_version(number);
  if (number / 10000 == static_cast<size_t>(major)) return library;
  return Status(StatusCode::kVersionMismatch, std::string("this build is for another version of ") + name)
      .at(library.path)
      .expected(std::to_string(major) + ".x")
      .got(library.version);
}

/// What a device's library tells of one that it may open. use: "large convolutions".
template <typename Library>
VendorLibraryFacts vendor_facts(const char* name, const Result<Library>& loaded, const char* use) {
  if (!loaded.ok()) return {name, "", "own kernels in its place: " + to_string(loaded.error())};
  return {name, loaded->version, loaded->path + ": " + use};
}

}  // namespace weft
#endif
