// What cuBLASLt is asked for, by a stand-in of its functions that computes what its documentation says on the CPU; and who computes
// where it is missing or does not serve. tests on a GPU: kernels/simt/driver/any_device_products_test.cc.
#include "kernels/cuda/vendor/cublaslt_gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops/gemm/gemm.h"
#include "kernels/simt/device.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::decoded;
using testing::encoded;

struct Operation {
  int32_t turns_a = CUBLAS_OP_N, turns_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct Matrix {
  cudaDataType_t type;
  uint64_t rows, cols;
  int64_t stride;
};

/// The stand-in's state, and what it was asked for.
struct StandIn {
  int candidates = 1, asked = 0, multiplied = 0, open_descriptions = 0;
  bool computes = true;
  uint64_t workspace_bytes = 0;
} stand_in;

DType dtype_of(cudaDataType_t type) {
  return type == CUDA_R_32F ? DType::kF32 : type == CUDA_R_16F ? DType::kF16 : DType::kBF16;
}
float load(cudaDataType_t type, const void* data, int64_t i) {
  float value = 0;
  dequantize(testing::format_of(dtype_of(type)),
             static_cast<const uint8_t*>(data) + i * size_bytes(dtype_of(type)), 1, &value);
  return value;
}
void store(cudaDataType_t type, void* data, int64_t i, float value) {
  quantize(testing::format_of(dtype_of(type)), &value, 1,
           static_cast<uint8_t*>(data) + i * size_bytes(dtype_of(type)));
}

template <typename Opaque, typename Described>
cublasStatus_t describe(Opaque** made, Described description) {
  ++stand_in.open_descriptions;
  *made = reinterpret_cast<Opaque*>(new Described(description));
  return CUBLAS_STATUS_SUCCESS;
}
template <typename Described, typename Opaque>
cublasStatus_t forget(Opaque* opaque) {
  if (opaque) --stand_in.open_descriptions;
  delete reinterpret_cast<Described*>(opaque);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const void* value,
                   size_t size) {
  auto* operation = reinterpret_cast<Operation*>(desc);
  void* to = attribute == CUBLASLT_MATMUL_DESC_TRANSA         ? static_cast<void*>(&operation->turns_a)
             : attribute == CUBLASLT_MATMUL_DESC_TRANSB       ? static_cast<void*>(&operation->turns_b)
             : attribute == CUBLASLT_MATMUL_DESC_EPILOGUE     ? static_cast<void*>(&operation->epilogue)
             : attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? static_cast<void*>(&operation->bias)
                                                              : nullptr;
  const size_t wanted = attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void*) : 4;
  if (!to || size != wanted) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(to, value, size);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t ask(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                   cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t preference,
                   int room, cublasLtMatmulHeuristicResult_t* results, int* count) {
  ++stand_in.asked;
  stand_in.workspace_bytes = *reinterpret_cast<uint64_t*>(preference);
  *count = std::min(room, stand_in.candidates);
  // The first one wants more than there is.
  for (int i = 0; i < *count; ++i)
    results[i] = {.algo = {},
                  .workspaceSize = i == 0 && *count > 1 ? size_t{1} << 40 : 0,
                  .state = CUBLAS_STATUS_SUCCESS,
                  .wavesCount = 0,
                  .reserved = {}};
  return *count > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

/// D = f(alpha op(A) op(B) + beta C + bias), all in columns.
cublasStatus_t multiply(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a_data,
                        cublasLtMatrixLayout_t a_layout, const void* b_data, cublasLtMatrixLayout_t b_layout,
                        const void* beta, const void* c_data, cublasLtMatrixLayout_t c_layout, void* d_data,
                        cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                        size_t workspace_bytes, cudaStream_t) {
  ++stand_in.multiplied;
  if (!algo || reinterpret_cast<uintptr_t>(workspace) % 256 != 0 ||
      workspace_bytes < stand_in.workspace_bytes)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!stand_in.computes) return CUBLAS_STATUS_SUCCESS;
  const Operation& operation = *reinterpret_cast<Operation*>(desc);
  const Matrix &a = *reinterpret_cast<Matrix*>(a_layout), &b = *reinterpret_cast<Matrix*>(b_layout),
               &c = *reinterpret_cast<Matrix*>(c_layout), &d = *reinterpret_cast<Matrix*>(d_layout);
  const bool turned = operation.turns_a == CUBLAS_OP_T;
  const uint64_t depth = turned ? a.rows : a.cols;
  if (operation.turns_b != CUBLAS_OP_N || (turned ? a.cols : a.rows) != d.rows || b.rows != depth ||
      b.cols != d.cols || c.rows != d.rows || c.cols != d.cols || c.type != d.type)
    return CUBLAS_STATUS_INVALID_VALUE;
  for (int64_t col = 0; col < static_cast<int64_t>(d.cols); ++col)
    for (int64_t row = 0; row < static_cast<int64_t>(d.rows); ++row) {
      double sum = 0;
      for (int64_t k = 0; k < static_cast<int64_t>(depth); ++k)
        sum += load(a.type, a_data, turned ? row * a.stride + k : k * a.stride + row) *
               load(b.type, b_data, col * b.stride + k);
      sum *= *static_cast<const float*>(alpha);
      if (const float by = *static_cast<const float*>(beta); by != 0)
        sum += by * load(c.type, c_data, col * c.stride + row);
      if (operation.epilogue & CUBLASLT_EPILOGUE_BIAS) sum += load(d.type, operation.bias, row);
      if (operation.epilogue & CUBLASLT_EPILOGUE_RELU) sum = std::max(sum, 0.0);
      if (operation.epilogue & CUBLASLT_EPILOGUE_GELU)
        sum = 0.5 * sum * (1 + std::tanh(std::sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
      store(d.type, d_data, col * d.stride + row, static_cast<float>(sum));
    }
  return CUBLAS_STATUS_SUCCESS;
}

Result<CublasLt> stand_in_library() {
  CublasLt lt;
  lt.version = "of the test";
  lt.create = [](cublasLtHandle_t* handle) { return describe(handle, 0); };
  lt.destroy = [](cublasLtHandle_t handle) { return forget<int>(handle); };
  lt.matmul_desc_create = [](cublasLtMatmulDesc_t* made, cublasComputeType_t compute, cudaDataType_t scale) {
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_INVALID_VALUE;
    return describe(made, Operation());
  };
  lt.matmul_desc_destroy = forget<Operation, cublasLtMatmulDescOpaque_t>;
  lt.matmul_desc_set_attribute = set;
  lt.matrix_layout_create = [](cublasLtMatrixLayout_t* made, cudaDataType_t type, uint64_t rows,
                               uint64_t cols, int64_t stride) {
    return describe(made, Matrix{type, rows, cols, stride});
  };
  lt.matrix_layout_destroy = forget<Matrix, cublasLtMatrixLayoutOpaque_t>;
  lt.matmul_preference_create = [](cublasLtMatmulPreference_t* made) { return describe(made, uint64_t{0}); };
  lt.matmul_preference_destroy = forget<uint64_t, cublasLtMatmulPreferenceOpaque_t>;
  lt.matmul_preference_set_attribute = [](cublasLtMatmulPreference_t preference,
                                          cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                          size_t size) {
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
      std::memcpy(reinterpret_cast<uint64_t*>(preference), value, size);
    return CUBLAS_STATUS_SUCCESS;
  };
  lt.matmul_algo_get_heuristic = ask;
  lt.matmul = multiply;
  return lt;
}

struct CublasLtGemmTest : ::testing::Test {
  CublasLtGemmTest() {
    stand_in = {};
    kernels.gemm.set([this](const GemmCuda& g, NativeStream) {
      by_kernel.push_back(g);
      return Status();
    });
    kernels.unpack.set(unpack_cuda);
  }
  DeviceOps kernels;
  std::vector<GemmCuda> by_kernel;
  std::vector<float> workspace =
      std::vector<float>(static_cast<size_t>(library_workspace(DType::kBF16, 4096)));
  alignas(16) std::byte operand[64] = {};

  /// One that goes to the library by its shape. Its memory is not there: only for what does not compute.
  GemmCuda large() {
    return {.a = operand,
            .w = operand,
            .c = operand,
            .m = 1024,
            .n = 1024,
            .k = 1024,
            .a_stride = 1024,
            .residual_stride = 1024,
            .c_stride = 1024,
            .workspace = workspace.data()};
  }
};

struct Case {
  DType dtype, c_dtype;
  int64_t m, n, k;
  std::optional<Activation> activation;
  bool bias, residual;
  int64_t spare;  // elements between rows
};

TEST_F(CublasLtGemmTest, AsksForWhatTheReferenceGives) {
  for (const Case& c : {Case{DType::kBF16, DType::kBF16, 5, 24, 40, {}, true, true, 0},
                        {DType::kBF16, DType::kF32, 3, 16, 8, Activation::kRelu, true, false, 8},
                        {DType::kF16, DType::kF16, 7, 8, 16, Activation::kGeluTanh, true, false, 16},
                        {DType::kF16, DType::kF32, 4, 20, 24, {}, true, true, 8},
                        {DType::kBF16, DType::kBF16, 2, 8, 8, Activation::kRelu, false, false, 0},
                        {DType::kF32, DType::kF32, 6, 12, 20, {}, false, false, 4},
                        {DType::kF32, DType::kF32, 2, 4, 4, Activation::kRelu, true, false, 0}}) {
    SCOPED_TRACE(std::to_string(c.m) + " x " + std::to_string(c.n) + " x " + std::to_string(c.k));
    const int64_t a_stride = c.k + c.spare, c_stride = c.n + c.spare;
    const std::vector<uint8_t> a = encoded(c.dtype, testing::random_normal(c.m * a_stride, 1)),
                               w = encoded(c.dtype, testing::random_normal(c.n * c.k, 2)),
                               residual = encoded(c.c_dtype, testing::random_normal(c.m * c_stride, 4));
    const std::vector<float> bias = testing::random_normal(c.n, 3), a_values = decoded(c.dtype, a),
                             w_values = decoded(c.dtype, w), residual_values = decoded(c.c_dtype, residual);
    std::vector<float> want(static_cast<size_t>(c.m * c.n));
    Gemm g;
    g.a = TensorView::contiguous(a_values.data(), DType::kF32, {c.m, c.k});
    g.a.strides[0] = a_stride;
    g.w.shape = {c.n, c.k, DType::kF32};
    g.bias = c.bias ? bias.data() : nullptr;
    g.activation = c.activation;
    if (c.residual) {
      g.residual = TensorView::contiguous(residual_values.data(), DType::kF32, {c.m, c.n});
      g.residual.strides[0] = c_stride;
    }
    g.c = TensorView::contiguous(want.data(), DType::kF32, {c.m, c.n});
    gemm_reference(g, WeightFormat::kF32, w_values.data());

    simt::Device device;
    simt::Buffer<uint8_t> in(device, "a", a), weights(device, "w", w), out(device, "c", residual);
    simt::Buffer<float> b(device, "bias", bias), room(device, "workspace", workspace);
    CublasLtGemm gemm(stand_in_library, kernels);
    const Status done = gemm.run({.dtype = c.dtype,
                                  .a = in.data(),
                                  .w = weights.data(),
                                  .bias = c.bias ? b.data() : nullptr,
                                  .activation = c.activation,
                                  .c_dtype = c.c_dtype,
                                  .residual = c.residual ? out.data() : nullptr,
                                  .c = out.data(),
                                  .m = c.m,
                                  .n = c.n,
                                  .k = c.k,
                                  .a_stride = a_stride,
                                  .residual_stride = c_stride,
                                  .c_stride = c_stride,
                                  .workspace = room.data(),
                                  .engine = ProductEngine::kLibrary},
                                 &device);
    ASSERT_TRUE(done.ok()) << to_string(done.error()) << device.report().text();
    const std::vector<float> padded = decoded(c.c_dtype, out.values());
    std::vector<float> got;
    for (int64_t row = 0; row < c.m; ++row)
      got.insert(got.end(), padded.begin() + row * c_stride, padded.begin() + row * c_stride + c.n);
    EXPECT_LT(testing::relative_error(got.data(), want.data(), c.m * c.n),
              2 * testing::tolerance(c.dtype, c.c_dtype));
  }
  EXPECT_EQ(stand_in.open_descriptions, 0);
  EXPECT_TRUE(by_kernel.empty());
}

TEST_F(CublasLtGemmTest, AShapeIsAskedForOnce) {
  stand_in.computes = false;
  stand_in.candidates = 3;
  CublasLtGemm gemm(stand_in_library, kernels);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(gemm.run(large(), nullptr).ok());
  GemmCuda other = large();
  other.residual = operand;
  EXPECT_TRUE(gemm.run(other, nullptr).ok());
  EXPECT_EQ(stand_in.asked, 2);
  EXPECT_EQ(stand_in.multiplied, 4);
  EXPECT_EQ(stand_in.workspace_bytes, static_cast<uint64_t>(kLibraryWorkspaceBytes));
  EXPECT_TRUE(by_kernel.empty());
}

TEST_F(CublasLtGemmTest, TheKernelHasWhatIsSmallOrHasNoCounterpart) {
  CublasLtGemm gemm(stand_in_library, kernels);
  GemmCuda small = large(), paired = large(), tiled = large(), named = large();
  small.m = 8;
  paired.paired = true, paired.activation = Activation::kGelu;
  tiled.tiling = ProductTiling{};
  named.engine = ProductEngine::kKernel;
  for (const GemmCuda& g : {small, paired, tiled, named}) EXPECT_TRUE(gemm.run(g, nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 4u);
  GemmCuda behind = large(), apart = large();  // what only the pointers tell
  behind.activation = Activation::kRelu, behind.residual = operand;
  apart.c = operand + 2;
  for (const GemmCuda& g : {behind, apart}) EXPECT_TRUE(gemm.run(g, nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 6u);
  stand_in.candidates = 0;
  EXPECT_TRUE(gemm.run(large(), nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 7u);
  EXPECT_EQ(by_kernel.back().engine, ProductEngine::kKernel);
  EXPECT_EQ(stand_in.multiplied, 0);
}

TEST_F(CublasLtGemmTest, WithoutTheLibraryTheKernelHasAll) {
  int loaded = 0;
  CublasLtGemm gemm(
      [&]() -> Result<CublasLt> {
        ++loaded;
        return Status(StatusCode::kNotFound, "libcublasLt.so.13 is not installed");
      },
      kernels);
  EXPECT_EQ(loaded, 0);  // before the first product
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(gemm.run(large(), nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 2u);
  GemmCuda named = large();
  named.engine = ProductEngine::kLibrary;
  EXPECT_EQ(gemm.run(named, nullptr).code(), StatusCode::kNotFound);
  EXPECT_EQ(loaded, 1);
}

TEST_F(CublasLtGemmTest, RefusesWhatTheKernelRefuses) {
  CublasLtGemm gemm(stand_in_library, kernels);
  GemmCuda g = large();
  g.k = 1023;
  EXPECT_EQ(gemm.run(g, nullptr).code(), StatusCode::kInvalidShape);
  g = large(), g.w = nullptr;
  EXPECT_EQ(gemm.run(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = large(), g.workspace = nullptr;
  EXPECT_EQ(gemm.run(g, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(by_kernel.empty());
}

}  // namespace
}  // namespace weft
