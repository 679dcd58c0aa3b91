/// The functions of cuBLASLt that dense products call, found in the library when it is first wanted (vendor_library.h).
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUBLASLT_H
#define WEFT_KERNELS_CUDA_VENDOR_CUBLASLT_H

#include <cublasLt.h>
#include <weft/sdk/status.h>

#include <string>

namespace weft {

/// Named after what follows cublasLt. Values; the functions stay valid until the process ends.
struct CublasLt {
  std::string version;  // "13.1.0"
  std::string path;     // of the library's file
  decltype(&::cublasLtCreate) create = nullptr;
  decltype(&::cublasLtDestroy) destroy = nullptr;
  decltype(&::cublasLtMatmulDescCreate) matmul_desc_create = nullptr;
  decltype(&::cublasLtMatmulDescDestroy) matmul_desc_destroy = nullptr;
  decltype(&::cublasLtMatmulDescSetAttribute) matmul_desc_set_attribute = nullptr;
  decltype(&::cublasLtMatrixLayoutCreate) matrix_layout_create = nullptr;
  decltype(&::cublasLtMatrixLayoutDestroy) matrix_layout_destroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceCreate) matmul_preference_create = nullptr;
  decltype(&::cublasLtMatmulPreferenceDestroy) matmul_preference_destroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) matmul_preference_set_attribute = nullptr;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) matmul_algo_get_heuristic = nullptr;
  decltype(&::cublasLtMatmul) matmul = nullptr;
};

/// Needs no driver. Errors: kNotFound (with what was tried), kVersionMismatch (another major version than that of the headers).
Result<CublasLt> load_cublaslt();

}  // namespace weft
#endif
