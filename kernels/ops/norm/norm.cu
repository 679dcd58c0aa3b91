// One block a row: each thread keeps its elements in registers, so that a row is read once whatever the norm needs.

#include "kernels/ops/norm/norm_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

using device::launch;

struct Row {
  const void* x;
  const void* residual;
  void* sum;
  void* y;
  const float* weight;
  const float* bias;
  int64_t x_stride, y_stride;
  int cols;
  float epsilon;
};

/// kVector: four adjacent elements an access; else one, so that any alignment will do.
template <bool kVector, int kThreads>
__device__ __forceinline__ int column(int quad, int j) {
  const int thread = static_cast<int>(threadIdx.x);
  return kVector ? (quad * kThreads + thread) * 4 + j : (quad * 4 + j) * kThreads + thread;
}

template <bool kVector, int kThreads, typename T>
__device__ __forceinline__ device::Quad load_elements(const T* row, int quad, int cols) {
  device::Quad x = {};
  if constexpr (kVector) {
    const int at = column<true, kThreads>(quad, 0);
    if (at < cols) x = device::load_quad(row + at);
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = column<false, kThreads>(quad, j);
      if (at < cols) x.v[j] = device::to_f32(row[at]);
    }
  }
  return x;
}

template <bool kVector, int kThreads, typename T>
__device__ __forceinline__ void store_elements(T* row, int quad, int cols, device::Quad x) {
  if constexpr (kVector) {
    const int at = column<true, kThreads>(quad, 0);
    if (at < cols) device::store_quad(row + at, x);
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int at = column<false, kThreads>(quad, j);
      if (at < cols) row[at] = device::from_f32<T>(x.v[j]);
    }
  }
}

/// The sum over a block of the squares of elements less `mean`.
template <bool kVector, int kThreads, int kQuads>
__device__ __forceinline__ float sum_of_squares(const device::Quad (&x)[kQuads], float mean, int cols,
                                                float* partial) {
  float sum = 0;
#pragma unroll
  for (int quad = 0; quad < kQuads; ++quad) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float d = column<kVector, kThreads>(quad, j) < cols ? x[quad].v[j] - mean : 0.0f;
      sum += d * d;
    }
  }
  return device::block_sum<kThreads>(sum, partial);
}

template <typename T, NormKind kKind, bool kVector, int kThreads, int kQuads>
__global__ void __launch_bounds__(kThreads) norm_rows_kernel(Row row) {
  WEFT_SHARED(float, partial_sum, kThreads / 32);
  WEFT_SHARED(float, partial_squares, kThreads / 32);
  const T* from = static_cast<const T*>(row.x) + blockIdx.x * row.x_stride;
  device::Quad x[kQuads];
#pragma unroll
  for (int quad = 0; quad < kQuads; ++quad) {
    x[quad] = load_elements<kVector, kThreads>(from, quad, row.cols);
    if (row.residual != nullptr) {
      const T* added = static_cast<const T*>(row.residual) + blockIdx.x * row.x_stride;
      const device::Quad r = load_elements<kVector, kThreads>(added, quad, row.cols);
      for (int j = 0; j < 4; ++j) x[quad].v[j] += r.v[j];
    }
    if (row.sum != nullptr)
      store_elements<kVector, kThreads>(static_cast<T*>(row.sum) + blockIdx.x * row.x_stride, quad, row.cols,
                                        x[quad]);
  }
  const float n = static_cast<float>(row.cols);
  float mean = 0;
  if constexpr (kKind == NormKind::kLayer) {
    float sum = 0;
    for (int quad = 0; quad < kQuads; ++quad)
      for (int j = 0; j < 4; ++j) sum += x[quad].v[j];
    mean = device::block_sum<kThreads>(sum, partial_sum) / n;
  }
  const float squares = sum_of_squares<kVector, kThreads>(x, mean, row.cols, partial_squares);
  const float scale = rsqrtf(squares / n + row.epsilon);
  T* to = static_cast<T*>(row.y) + blockIdx.x * row.y_stride;
#pragma unroll
  for (int quad = 0; quad < kQuads; ++quad) {
    const device::Quad w = load_elements<kVector, kThreads>(row.weight, quad, row.cols);
    device::Quad y;
    for (int j = 0; j < 4; ++j) y.v[j] = (x[quad].v[j] - mean) * scale * w.v[j];
    if (kKind == NormKind::kLayer && row.bias != nullptr) {
      const device::Quad b = load_elements<kVector, kThreads>(row.bias, quad, row.cols);
      for (int j = 0; j < 4; ++j) y.v[j] += b.v[j];
    }
    store_elements<kVector, kThreads>(to, quad, row.cols, y);
  }
}

template <typename T, NormKind kKind, bool kVector>
Status start(const NormCuda& n, cudaStream_t stream) {
  const Row row = {n.x,           n.residual,    n.sum,
                   n.y,           n.norm.weight, n.norm.bias,
                   n.x_stride,    n.y_stride,    static_cast<int>(n.cols),
                   n.norm.epsilon};
  const auto run = [&](int threads, auto kernel) {
    return launch(stream, "norm_rows", dim3(static_cast<unsigned>(n.rows)),
                  dim3(static_cast<unsigned>(threads)), 0, kernel, row);
  };
  if (n.cols <= 128 * 4) return run(128, norm_rows_kernel<T, kKind, kVector, 128, 1>);
  if (n.cols <= 128 * 16) return run(128, norm_rows_kernel<T, kKind, kVector, 128, 4>);
  if (n.cols <= 256 * 16) return run(256, norm_rows_kernel<T, kKind, kVector, 256, 4>);
  return run(1024, norm_rows_kernel<T, kKind, kVector, 1024, 8>);
}

template <typename T>
Status start_typed(const NormCuda& n, cudaStream_t stream) {
  const size_t quad = 4 * sizeof(T);
  const bool vector = n.cols % 4 == 0 && n.x_stride % 4 == 0 && n.y_stride % 4 == 0 &&
                      device::aligned_to(n.x, quad) && device::aligned_to(n.y, quad) &&
                      device::aligned_to(n.residual, quad) && device::aligned_to(n.sum, quad) &&
                      device::aligned_to(n.norm.weight, 16) && device::aligned_to(n.norm.bias, 16);
  if (n.norm.kind == NormKind::kRms)
    return vector ? start<T, NormKind::kRms, true>(n, stream) : start<T, NormKind::kRms, false>(n, stream);
  return vector ? start<T, NormKind::kLayer, true>(n, stream) : start<T, NormKind::kLayer, false>(n, stream);
}

Status check(const NormCuda& n) {
  if (n.cols < 1 || n.cols > kMaxNormCudaCols || n.rows < 0)
    return Status(StatusCode::kInvalidShape, "norm on a device: an impossible shape")
        .expected("rows >= 0, cols in [1, " + std::to_string(kMaxNormCudaCols) + "]")
        .got("rows " + std::to_string(n.rows) + ", cols " + std::to_string(n.cols));
  if (n.rows > 1 && (n.x_stride < n.cols || n.y_stride < n.cols))
    return Status(StatusCode::kInvalidShape, "norm on a device: a row stride is shorter than a row")
        .expected("at least " + std::to_string(n.cols))
        .got(std::to_string(n.x_stride) + " and " + std::to_string(n.y_stride));
  if (n.rows > 0 && (!n.x || !n.y || !n.norm.weight))
    return Status(StatusCode::kInvalidArgument, "norm on a device: a pointer is null");
  if (!(n.norm.epsilon > 0))
    return Status(StatusCode::kInvalidArgument, "norm on a device: epsilon must be positive")
        .got(std::to_string(n.norm.epsilon));
  if (n.norm.bias && n.norm.kind == NormKind::kRms)
    return Status(StatusCode::kInvalidArgument, "norm on a device: RMS norm has no bias");
  return {};
}

}  // namespace

Status norm_cuda(const NormCuda& n, cudaStream_t stream) {
  if (Status status = check(n); !status.ok() || n.rows == 0) return status;
  switch (n.dtype) {
    case DType::kF32: return start_typed<float>(n, stream);
    case DType::kF16: return start_typed<device::F16>(n, stream);
    case DType::kBF16: return start_typed<device::BF16>(n, stream);
    default: break;
  }
  return Status(StatusCode::kUnsupported, "norm on a device takes f32, f16 and bf16");
}

}  // namespace weft
