#include "kernels/cuda/vendor/cudnn_convolution.h"

namespace weft {
namespace {

Status failed(cudnnStatus_t status) {
  return Status(StatusCode::kInternal, "a convolution by cuDNN failed")
      .got("cuDNN status " + std::to_string(status));
}

Status not_served() { return Status(StatusCode::kUnsupported, "cuDNN has no engine for this convolution"); }

bool aligned(const void* pointer, uintptr_t to) { return reinterpret_cast<uintptr_t>(pointer) % to == 0; }

/// What pointers decide, after library_serves(): quads of what follows the sums.
bool pointers_serve(const ConvolutionCuda& c) {
  return aligned(c.y, 8) && aligned(c.residual, 8) && aligned(c.bias, 16) && aligned(c.image_bias, 16);
}

}  // namespace

CudnnConvolution::~CudnnConvolution() {
  plans_.clear();  // before the handle that they refer to
  if (handle_) dnn_.destroy(handle_);
}

Status CudnnConvolution::open() {
  Result<Cudnn> loaded = load_();
  if (!loaded.ok()) return loaded.status();
  dnn_ = *std::move(loaded);
  const cudnnStatus_t made = dnn_.create(&handle_);
  if (made == CUDNN_STATUS_SUCCESS) return {};
  handle_ = nullptr;
  return Status(StatusCode::kUnsupported, "cuDNN gives no handle for this device")
      .got("cuDNN status " + std::to_string(made));
}

const CudnnParts& CudnnConvolution::plan(const ConvolutionCuda& c) {
  const Shape shape{static_cast<int64_t>(c.dtype),
                    c.images,
                    c.h,
                    c.w,
                    c.channels,
                    c.out_channels,
                    c.kernel_h,
                    c.kernel_w,
                    c.stride,
                    c.pad_top,
                    c.pad_left,
                    c.out_h,
                    c.out_w};
  if (const auto kept = plans_.find(shape); kept != plans_.end()) return kept->second;
  CudnnDescriber describe(dnn_);
  std::optional<CudnnParts> parts = convolution_graph(describe, handle_, c);
  cudnnStatus_t status = describe.status();
  if (parts && status == CUDNN_STATUS_SUCCESS) status = add_plan(dnn_, handle_, *parts);
  static const CudnnParts kNone;
  if (is_fault(status)) return kNone;
  const bool serves = parts && status == CUDNN_STATUS_SUCCESS;
  return plans_.emplace(shape, serves ? *std::move(parts) : CudnnParts()).first->second;
}

Status CudnnConvolution::execute(const CudnnDescriptor& plan, const ConvolutionCuda& c, std::byte* workspace,
                                 std::byte* sums, NativeStream stream) {
  if (const cudnnStatus_t set = dnn_.set_stream(handle_, stream); set != CUDNN_STATUS_SUCCESS)
    return failed(set);
  const std::array<int64_t, 3> names{kCudnnX, kCudnnWeights, kCudnnSums};
  const std::array<const void*, 3> pointers{c.x, c.weights, sums};
  CudnnDescriber describe(dnn_);
  const CudnnDescriptor operands = describe.make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  describe.set(operands, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
               std::span<const int64_t>(names));
  describe.set(operands, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
               std::span<const void* const>(pointers));
  describe.set(operands, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  describe.finalize(operands);
  if (!describe.ok()) return failed(describe.status());
  const cudnnStatus_t queued = dnn_.execute(handle_, plan.get(), operands.get());
  return queued == CUDNN_STATUS_SUCCESS ? Status() : failed(queued);
}

Status CudnnConvolution::convolve(const ConvolutionCuda& c, NativeStream stream) {
  std::call_once(opened_, [&] { open_status_ = open(); });
  if (!open_status_.ok()) return open_status_;
  if (!library_serves(c) || !pointers_serve(c)) return not_served();
  if (!c.workspace)
    return Status(StatusCode::kInvalidArgument, "a convolution by cuDNN: expected a workspace");
  std::byte* const workspace = aligned_workspace(c.workspace);
  std::byte* const sums = workspace + kLibraryWorkspaceBytes;
  {
    const std::lock_guard lock(mutex_);
    const CudnnParts& parts = plan(c);
    if (parts.empty()) return not_served();
    if (Status queued = execute(parts.back(), c, workspace, sums, stream); !queued.ok()) return queued;
  }
  return kernels_.finish_convolution({c, sums}, stream);
}

Status CudnnConvolution::run(const ConvolutionCuda& c, NativeStream stream) {
  if (!goes_to_library(c)) return kernels_.convolution(c, stream);
  if (Status status = check_convolution_cuda(c); !status.ok() || c.images == 0) return status;
  Status done = convolve(c, stream);
  if (!no_library_serves(done.code()) || c.engine == ProductEngine::kLibrary) return done;
  ConvolutionCuda by_kernel = c;
  by_kernel.engine = ProductEngine::kKernel;
  return kernels_.convolution(by_kernel, stream);
}

}  // namespace weft
