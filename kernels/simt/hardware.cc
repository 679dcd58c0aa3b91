#include "kernels/simt/hardware.h"

#if __has_include(<cuda.h>)

#include <cuda.h>
#include <dlfcn.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "kernels/simt/findings.h"

namespace weft::simt {
namespace {

/// The driver's calls, and its first device with a current context; `failed` says why there is none.
struct Driver {
  std::string failed = "there is no libcuda.so.1";
  std::string name;
  int capability = 0;
  CUcontext context = nullptr;

  decltype(&cuGetErrorString) error_string = nullptr;
  decltype(&cuCtxSetCurrent) set_current = nullptr;
  decltype(&cuCtxSynchronize) synchronize = nullptr;
  decltype(&cuModuleLoadDataEx) load_module = nullptr;
  decltype(&cuModuleUnload) unload_module = nullptr;
  decltype(&cuModuleGetFunction) find_function = nullptr;
  decltype(&cuFuncSetAttribute) set_attribute = nullptr;
  decltype(&cuLaunchKernel) launch = nullptr;
  decltype(&cuMemAlloc) allocate = nullptr;
  decltype(&cuMemFree) release = nullptr;
  decltype(&cuMemcpyHtoD) copy_in = nullptr;
  decltype(&cuMemcpyDtoH) copy_out = nullptr;

  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    bool complete = true;
    const auto find = [&](auto& call, const char* symbol) {
      call = reinterpret_cast<std::remove_reference_t<decltype(call)>>(dlsym(library, symbol));
      complete = complete && call != nullptr;
    };
    decltype(&cuInit) init = nullptr;
    decltype(&cuDeviceGet) device_of = nullptr;
    decltype(&cuDeviceGetName) name_of = nullptr;
    decltype(&cuDeviceGetAttribute) attribute_of = nullptr;
    decltype(&cuDevicePrimaryCtxRetain) context_of = nullptr;
    // Some are versioned: the names that cuda.h gives them.
    find(init, "cuInit"), find(device_of, "cuDeviceGet"), find(name_of, "cuDeviceGetName");
    find(attribute_of, "cuDeviceGetAttribute"), find(context_of, "cuDevicePrimaryCtxRetain");
    find(error_string, "cuGetErrorString"), find(set_current, "cuCtxSetCurrent");
    find(synchronize, "cuCtxSynchronize"), find(load_module, "cuModuleLoadDataEx");
    find(unload_module, "cuModuleUnload"), find(find_function, "cuModuleGetFunction");
    find(set_attribute, "cuFuncSetAttribute"), find(launch, "cuLaunchKernel");
    find(allocate, "cuMemAlloc_v2"), find(release, "cuMemFree_v2");
    find(copy_in, "cuMemcpyHtoD_v2"), find(copy_out, "cuMemcpyDtoH_v2");
    if (!complete) {
      failed = "libcuda.so.1 lacks a call";
      return;
    }
    CUdevice device = 0;
    char text[256] = "";
    int major = 0, minor = 0;
    CUresult result = init(0);
    if (result == CUDA_SUCCESS) result = device_of(&device, 0);
    if (result == CUDA_SUCCESS) result = name_of(text, sizeof text, device);
    if (result == CUDA_SUCCESS)
      result = attribute_of(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
    if (result == CUDA_SUCCESS)
      result = attribute_of(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
    if (result == CUDA_SUCCESS) result = context_of(&context, device);
    if (result == CUDA_SUCCESS) result = set_current(context);
    failed = result == CUDA_SUCCESS ? "" : text_of(result);
    name = text, capability = 10 * major + minor;
  }

  std::string text_of(CUresult result) const {
    const char* text = nullptr;
    error_string(result, &text);
    return text ? text : "CUDA error " + std::to_string(result);
  }
};

const Driver& driver() {
  static const Driver the_driver;
  return the_driver;
}

Status status_of(CUresult result, const std::string& what) {
  if (result == CUDA_SUCCESS) return {};
  return Status(StatusCode::kInternal, what + " failed: " + driver().text_of(result)).at(driver().name);
}

void demand(CUresult result, const char* what) {
  if (result != CUDA_SUCCESS) throw std::runtime_error(status_of(result, what).error().message);
}

CUdeviceptr address(const void* data) { return reinterpret_cast<CUdeviceptr>(data); }

}  // namespace

bool Hardware::present() { return driver().failed.empty(); }
const std::string& Hardware::name() { return driver().name; }
int Hardware::capability() { return driver().capability; }

Result<std::shared_ptr<const Hardware>> Hardware::load(const std::string& ptx_path) {
  if (!present()) return Status(StatusCode::kNotFound, "no CUDA device can be used").got(driver().failed);
  std::ifstream file(ptx_path);
  std::ostringstream text;
  text << file.rdbuf();
  std::vector<char> log(8192);
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
  CUmodule module = nullptr;
  const CUresult result = driver().load_module(&module, text.str().c_str(), 2, options, values);
  if (Status status = status_of(result, "loading " + ptx_path); !status.ok())
    return std::move(status).got(log.data());
  return std::shared_ptr<const Hardware>(new Hardware(module));
}

Hardware::~Hardware() { driver().unload_module(static_cast<CUmodule>(module_)); }

Status Hardware::launch(const std::string& symbol, const LaunchShape& shape) const {
  CUfunction function = nullptr;
  CUresult result = driver().find_function(&function, static_cast<CUmodule>(module_), symbol.c_str());
  if (Status status = status_of(result, "looking for kernel " + symbol); !status.ok()) return status;
  const auto shared = static_cast<unsigned>(shape.dynamic_shared_bytes);
  if (shared > 0)
    result = driver().set_attribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                    static_cast<int>(shared));
  if (result == CUDA_SUCCESS)
    result =
        driver().launch(function, shape.grid.x, shape.grid.y, shape.grid.z, shape.block.x, shape.block.y,
                        shape.block.z, shared, nullptr, const_cast<void**>(shape.body.parameters), nullptr);
  if (result == CUDA_SUCCESS) result = driver().synchronize();
  return status_of(result, std::string("kernel ") + shape.kernel);
}

void* Hardware::upload(const void* data, size_t size) {
  CUdeviceptr there = 0;
  demand(driver().allocate(&there, size), "allocating memory");
  demand(driver().copy_in(there, data, size), "a copy to the device");
  return reinterpret_cast<void*>(there);
}

void Hardware::download(void* to, const void* from, size_t size) {
  demand(driver().copy_out(to, address(from), size), "a copy from the device");
}

void Hardware::release(void* data) { driver().release(address(data)); }

}  // namespace weft::simt

#else

#include <stdexcept>

namespace weft::simt {
namespace {
constexpr const char* kWithout = "this build had no CUDA toolkit";
}

bool Hardware::present() { return false; }
const std::string& Hardware::name() {
  static const std::string none;
  return none;
}
int Hardware::capability() { return 0; }
Result<std::shared_ptr<const Hardware>> Hardware::load(const std::string&) {
  return Status(StatusCode::kNotFound, kWithout);
}
Hardware::~Hardware() { static_cast<void>(module_); }
Status Hardware::launch(const std::string&, const LaunchShape&) const {
  return Status(StatusCode::kUnsupported, kWithout);
}
void* Hardware::upload(const void*, size_t) { throw std::runtime_error(kWithout); }
void Hardware::download(void*, const void*, size_t) { throw std::runtime_error(kWithout); }
void Hardware::release(void*) {}

}  // namespace weft::simt

#endif
