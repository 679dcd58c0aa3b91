#include "kernels/cuda/vendor/cublaslt.h"

#include "kernels/cuda/vendor/vendor_library.h"

namespace weft {

Result<CublasLt> load_cublaslt() {
  const auto library = VendorLibrary::open("libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR));
  if (!library.ok()) return library.status();
  CublasLt lt;
  lt.path = library->path();
  Status status;
  const auto find = [&](const char* name, auto& function) {
    if (status.ok()) status = library->find(name, function);
  };
  decltype(&::cublasLtGetVersion) get_version = nullptr;
  find("cublasLtGetVersion", get_version);
  find("cublasLtCreate", lt.create);
  find("cublasLtDestroy", lt.destroy);
  find("cublasLtMatmulDescCreate", lt.matmul_desc_create);
  find("cublasLtMatmulDescDestroy", lt.matmul_desc_destroy);
  find("cublasLtMatmulDescSetAttribute", lt.matmul_desc_set_attribute);
  find("cublasLtMatrixLayoutCreate", lt.matrix_layout_create);
  find("cublasLtMatrixLayoutDestroy", lt.matrix_layout_destroy);
  find("cublasLtMatmulPreferenceCreate", lt.matmul_preference_create);
  find("cublasLtMatmulPreferenceDestroy", lt.matmul_preference_destroy);
  find("cublasLtMatmulPreferenceSetAttribute", lt.matmul_preference_set_attribute);
  find("cublasLtMatmulAlgoGetHeuristic", lt.matmul_algo_get_heuristic);
  find("cublasLtMatmul", lt.matmul);
  if (!status.ok()) return status;
  return checked_version(std::move(lt), "cuBLASLt", get_version(), CUBLAS_VER_MAJOR);
}

}  // namespace weft
