#include "kernels/cuda/vendor/cublaslt_gemm.h"

#include <algorithm>
#include <memory>

namespace weft {
namespace {

constexpr uint32_t kAlignment = 16;  // bytes, of all operands
constexpr int kCandidates = 8;

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::kF32 ? CUDA_R_32F : dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_16BF;
}

cublasLtEpilogue_t epilogue_of(const GemmCuda& g) {
  if (!g.activation) return g.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  if (*g.activation == Activation::kRelu)
    return g.bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  return g.bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
}

bool aligned(const void* pointer, uintptr_t to) { return reinterpret_cast<uintptr_t>(pointer) % to == 0; }

/// What pointers decide, after library_serves().
bool pointers_serve(const GemmCuda& g) {
  return !(g.residual && g.activation) && aligned(g.c, kAlignment) && aligned(g.residual, kAlignment) &&
         aligned(g.bias, kAlignment);
}

std::string to_text(cublasStatus_t status) { return "cuBLAS status " + std::to_string(status); }

Status failed(cublasStatus_t status) {
  return Status(StatusCode::kInternal, "a dense product by cuBLASLt failed").got(to_text(status));
}

Status not_served() {
  return Status(StatusCode::kUnsupported, "cuBLASLt has no algorithm for this dense product");
}

}  // namespace

/// The library's descriptions of a product, for the length of a call.
struct CublasLtGemm::Product {
  template <typename Opaque>
  using Owned = std::unique_ptr<Opaque, cublasStatus_t (*)(Opaque*)>;

  explicit Product(const CublasLt& lt)
      : operation(nullptr, lt.matmul_desc_destroy),
        w(nullptr, lt.matrix_layout_destroy),
        a(nullptr, lt.matrix_layout_destroy),
        residual(nullptr, lt.matrix_layout_destroy),
        c(nullptr, lt.matrix_layout_destroy) {}

  Owned<cublasLtMatmulDescOpaque_t> operation;
  Owned<cublasLtMatrixLayoutOpaque_t> w, a, residual, c;
};

cublasStatus_t CublasLtGemm::describe(const GemmCuda& g, const void* bias, Product& product) const {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    if (status == CUBLAS_STATUS_SUCCESS)
      status = lt_.matmul_desc_set_attribute(product.operation.get(), attribute, &value, sizeof value);
  };
  const auto lay = [&](auto& layout, DType dtype, int64_t rows, int64_t cols, int64_t stride) {
    cublasLtMatrixLayout_t made = nullptr;
    if (status == CUBLAS_STATUS_SUCCESS)
      status = lt_.matrix_layout_create(&made, type_of(dtype), static_cast<uint64_t>(rows),
                                        static_cast<uint64_t>(cols), stride);
    layout.reset(made);
  };
  cublasLtMatmulDesc_t made = nullptr;
  status = lt_.matmul_desc_create(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  product.operation.reset(made);
  set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(g));
  if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  lay(product.w, g.dtype, g.k, g.n, g.k);
  lay(product.a, g.dtype, g.k, g.m, g.a_stride);
  lay(product.residual, g.c_dtype, g.n, g.m, g.residual ? g.residual_stride : g.c_stride);
  lay(product.c, g.c_dtype, g.n, g.m, g.c_stride);
  return status;
}

CublasLtGemm::~CublasLtGemm() {
  if (handle_) lt_.destroy(handle_);
}

Status CublasLtGemm::open() {
  Result<CublasLt> loaded = load_();
  if (!loaded.ok()) return loaded.status();
  lt_ = *std::move(loaded);
  const cublasStatus_t made = lt_.create(&handle_);
  if (made == CUBLAS_STATUS_SUCCESS) return {};
  return Status(StatusCode::kUnsupported, "cuBLASLt gives no handle for this device").got(to_text(made));
}

std::optional<cublasLtMatmulAlgo_t> CublasLtGemm::ask(const Product& product) const {
  cublasLtMatmulPreference_t made = nullptr;
  cublasStatus_t status = lt_.matmul_preference_create(&made);
  const Product::Owned<cublasLtMatmulPreferenceOpaque_t> preference(made, lt_.matmul_preference_destroy);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    if (status == CUBLAS_STATUS_SUCCESS)
      status = lt_.matmul_preference_set_attribute(made, attribute, &value, sizeof value);
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kLibraryWorkspaceBytes));
  // No partial sums that are rounded to the output's type.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  for (const auto operand :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    prefer(operand, kAlignment);
  cublasLtMatmulHeuristicResult_t found[kCandidates] = {};
  int count = 0;
  if (status == CUBLAS_STATUS_SUCCESS)
    status = lt_.matmul_algo_get_heuristic(handle_, product.operation.get(), product.w.get(), product.a.get(),
                                           product.residual.get(), product.c.get(), made, kCandidates, found,
                                           &count);
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count; ++i)
    if (found[i].state == CUBLAS_STATUS_SUCCESS && found[i].workspaceSize <= kLibraryWorkspaceBytes)
      return found[i].algo;
  return std::nullopt;
}

std::optional<cublasLtMatmulAlgo_t> CublasLtGemm::algorithm(const Shape& shape, const Product& product) {
  const std::lock_guard lock(mutex_);
  const auto [kept, known] = algorithms_.find(shape);
  if (!known) *kept = ask(product);
  return *kept;
}

Status CublasLtGemm::multiply(const GemmCuda& g, NativeStream stream) {
  std::call_once(opened_, [&] { open_status_ = open(); });
  if (!open_status_.ok()) return open_status_;
  if (!library_serves(g) || !pointers_serve(g)) return not_served();
  if (!g.workspace)
    return Status(StatusCode::kInvalidArgument, "a dense product by cuBLASLt: expected a workspace");

  std::byte* workspace = aligned_workspace(g.workspace);
  std::byte* rounded = workspace + kLibraryWorkspaceBytes;
  const bool rounds = g.bias && g.c_dtype != DType::kF32;
  Product product(lt_);
  const void* bias = rounds ? static_cast<const void*>(rounded) : g.bias;
  if (const cublasStatus_t status = describe(g, bias, product); status != CUBLAS_STATUS_SUCCESS)
    return failed(status);
  const auto chosen =
      algorithm({g.m, g.n, g.k, g.a_stride, g.residual ? g.residual_stride : -1, g.c_stride,
                 static_cast<int64_t>(g.dtype), static_cast<int64_t>(g.c_dtype), epilogue_of(g)},
                product);
  if (!chosen) return not_served();
  if (rounds)
    if (Status status = kernels_.unpack({WeightFormat::kF32, g.bias, g.c_dtype, rounded, 1, g.n}, stream);
        !status.ok())
      return status;
  const float alpha = 1, beta = g.residual ? 1.0f : 0.0f;
  const cublasStatus_t queued =
      lt_.matmul(handle_, product.operation.get(), &alpha, g.w, product.w.get(), g.a, product.a.get(), &beta,
                 g.residual ? g.residual : g.c, product.residual.get(), g.c, product.c.get(), &*chosen,
                 workspace, static_cast<size_t>(kLibraryWorkspaceBytes), stream);
  return queued == CUBLAS_STATUS_SUCCESS ? Status() : failed(queued);
}

Status CublasLtGemm::run(const GemmCuda& g, NativeStream stream) {
  if (!goes_to_library(g)) return kernels_.gemm(g, stream);
  if (Status status = check_gemm_cuda(g); !status.ok() || g.m == 0 || g.n == 0) return status;
  Status done = multiply(g, stream);
  if (!no_library_serves(done.code()) || g.engine == ProductEngine::kLibrary) return done;
  GemmCuda by_kernel = g;
  by_kernel.engine = ProductEngine::kKernel;
  return kernels_.gemm(by_kernel, stream);
}

}  // namespace weft
