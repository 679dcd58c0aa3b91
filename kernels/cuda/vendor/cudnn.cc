#include "kernels/cuda/vendor/cudnn.h"

#include "kernels/cuda/vendor/vendor_library.h"

namespace weft {

Result<Cudnn> load_cudnn() {
  const auto library = VendorLibrary::open("libcudnn.so." + std::to_string(CUDNN_MAJOR));
  if (!library.ok()) return library.status();
  Cudnn dnn;
  dnn.path = library->path();
  Status status;
  const auto find = [&](const char* name, auto& function) {
    if (status.ok()) status = library->find(name, function);
  };
  decltype(&::cudnnGetVersion) get_version = nullptr;
  find("cudnnGetVersion", get_version);
  find("cudnnCreate", dnn.create);
  find("cudnnDestroy", dnn.destroy);
  find("cudnnSetStream", dnn.set_stream);
  find("cudnnBackendCreateDescriptor", dnn.create_descriptor);
  find("cudnnBackendDestroyDescriptor", dnn.destroy_descriptor);
  find("cudnnBackendSetAttribute", dnn.set_attribute);
  find("cudnnBackendGetAttribute", dnn.get_attribute);
  find("cudnnBackendFinalize", dnn.finalize);
  find("cudnnBackendExecute", dnn.execute);
  if (!status.ok()) return status;
  return checked_version(std::move(dnn), "cuDNN", get_version(), CUDNN_MAJOR);
}

}  // namespace weft
