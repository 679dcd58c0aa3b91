/// A stand-in of cuDNN's graph API that computes on the CPU what its documentation says of the descriptors it is given; for tests.
/// It refuses what cuDNN refuses: attributes after finalize(), parts that are not finalized, values of another type or number.
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUDNN_STAND_IN_H
#define WEFT_KERNELS_CUDA_VENDOR_CUDNN_STAND_IN_H

#include <vector>

#include "kernels/cuda/vendor/cudnn.h"

namespace weft::testing {

/// An engine that the heuristics name.
struct CudnnEngine {
  std::vector<cudnnBackendNumericalNote_t> numerical;
  std::vector<cudnnBackendBehaviorNote_t> behavior;
  int64_t workspace_bytes = 0;
  cudnnStatus_t planned = CUDNN_STATUS_SUCCESS;  // what making a plan of it gives
};

/// What stands for the library, and what it was asked for.
struct CudnnStandIn {
  std::vector<CudnnEngine> engines{CudnnEngine{{CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, {}, 1 << 20}};
  bool gives_handle = true, computes = true;
  int asked = 0, executed = 0, last_engine = -1, open_descriptors = 0, open_handles = 0;
};
CudnnStandIn& cudnn_stand_in();

Result<Cudnn> load_cudnn_stand_in();

}  // namespace weft::testing
#endif
