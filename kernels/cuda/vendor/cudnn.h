/// The functions of cuDNN's graph API that convolutions call, found in the library when it is first wanted (vendor_library.h).
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUDNN_H
#define WEFT_KERNELS_CUDA_VENDOR_CUDNN_H

#include <cudnn.h>
#include <weft/sdk/status.h>

#include <string>

namespace weft {

/// Named after what follows cudnn and cudnnBackend. Values; the functions stay valid until the process ends.
struct Cudnn {
  std::string version;  // "9.19.0"
  std::string path;     // of the library's file
  decltype(&::cudnnCreate) create = nullptr;
  decltype(&::cudnnDestroy) destroy = nullptr;
  decltype(&::cudnnSetStream) set_stream = nullptr;
  decltype(&::cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&::cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&::cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&::cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&::cudnnBackendFinalize) finalize = nullptr;
  decltype(&::cudnnBackendExecute) execute = nullptr;
};

/// Needs no driver. Errors: kNotFound (with what was tried), kVersionMismatch (another major version than that of the headers).
Result<Cudnn> load_cudnn();

}  // namespace weft
#endif
