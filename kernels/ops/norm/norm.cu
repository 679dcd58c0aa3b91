// One block a row: each thread keeps its elements in registers, so that a row is read once whatever the norm needs.

#include "kernels/ops/norm/norm_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

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

/// How rows are read and written: single elements, so that any alignment will do; four or eight adjacent ones an access.
enum class Access : uint8_t { kSingle, kFour, kEight };

/// What a thread takes of a row at a time: adjacent elements, or four that are a block's threads apart.
template <Access kAccess, int kThreads>
struct Part {
  static constexpr int kElements = kAccess == Access::kEight ? 8 : 4;
  float v[kElements] = {};

  static __device__ __forceinline__ int column(int part, int j) {
    const int thread = static_cast<int>(threadIdx.x);
    return kAccess == Access::kSingle ? (part * kElements + j) * kThreads + thread
                                      : (part * kThreads + thread) * kElements + j;
  }
  template <typename T>
  __device__ __forceinline__ void load(const T* row, int part, int cols) {
    if constexpr (kAccess == Access::kSingle) {
#pragma unroll
      for (int j = 0; j < kElements; ++j)
        if (const int at = column(part, j); at < cols) v[j] = device::to_f32(row[at]);
    } else if (const int at = column(part, 0); at < cols) {
      if constexpr (kElements * sizeof(T) == 16 && sizeof(T) == 2) {
        const device::Words4 w = device::load16(row + at);
        for (int j = 0; j < 8; ++j)
          v[j] = device::to_f32(device::from_bits<T>(w.w[j / 2] >> 16 * (j % 2) & 0xffff));
      } else {
#pragma unroll
        for (int j = 0; j < kElements; j += 4) {
          const device::Quad q = device::load_quad(row + at + j);
          for (int i = 0; i < 4; ++i) v[j + i] = q.v[i];
        }
      }
    }
  }
  template <typename T>
  __device__ __forceinline__ void store(T* row, int part, int cols) const {
    if constexpr (kAccess == Access::kSingle) {
#pragma unroll
      for (int j = 0; j < kElements; ++j)
        if (const int at = column(part, j); at < cols) row[at] = device::from_f32<T>(v[j]);
    } else if (const int at = column(part, 0); at < cols) {
      if constexpr (kElements == 8) {
        device::Words4 w;
        for (int i = 0; i < 4; ++i)
          w.w[i] = device::bits_of(device::from_f32<T>(v[2 * i])) |
                   device::bits_of(device::from_f32<T>(v[2 * i + 1])) << 16;
        device::store16(row + at, w);
      } else {
        device::store_quad(row + at, {{v[0], v[1], v[2], v[3]}});
      }
    }
  }
};

/// The sum over a block of the squares of elements less `mean`.
template <Access kAccess, int kThreads, int kParts>
__device__ __forceinline__ float sum_of_squares(const Part<kAccess, kThreads> (&x)[kParts], float mean,
                                                int cols, float* partial) {
  float sum = 0;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
#pragma unroll
    for (int j = 0; j < x[part].kElements; ++j) {
      const float d = x[part].column(part, j) < cols ? x[part].v[j] - mean : 0.0f;
      sum += d * d;
    }
  }
  return device::block_sum<kThreads>(sum, partial);
}

template <typename T, NormKind kKind, Access kAccess, int kThreads, int kParts>
__global__ void __launch_bounds__(kThreads) norm_rows_kernel(Row row) {
  WEFT_SHARED(float, partial_sum, kThreads / 32);
  WEFT_SHARED(float, partial_squares, kThreads / 32);
  using P = Part<kAccess, kThreads>;
  device::let_next_start();
  device::wait_for_previous();
  const T* from = static_cast<const T*>(row.x) + blockIdx.x * row.x_stride;
  P x[kParts];
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    x[part].load(from, part, row.cols);
    if (row.residual != nullptr) {
      P r;
      r.load(static_cast<const T*>(row.residual) + blockIdx.x * row.x_stride, part, row.cols);
      for (int j = 0; j < P::kElements; ++j) x[part].v[j] += r.v[j];
    }
    if (row.sum != nullptr)
      x[part].store(static_cast<T*>(row.sum) + blockIdx.x * row.x_stride, part, row.cols);
  }
  const float n = static_cast<float>(row.cols);
  float mean = 0;
  if constexpr (kKind == NormKind::kLayer) {
    float sum = 0;
    for (int part = 0; part < kParts; ++part)
      for (int j = 0; j < P::kElements; ++j) sum += x[part].v[j];
    mean = device::block_sum<kThreads>(sum, partial_sum) / n;
  }
  const float squares = sum_of_squares(x, mean, row.cols, partial_squares);
  const float scale = rsqrtf(squares / n + row.epsilon);
  T* to = static_cast<T*>(row.y) + blockIdx.x * row.y_stride;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    P w;
    w.load(row.weight, part, row.cols);
    P y;
    for (int j = 0; j < P::kElements; ++j) y.v[j] = (x[part].v[j] - mean) * scale * w.v[j];
    if (kKind == NormKind::kLayer && row.bias != nullptr) {
      P b;
      b.load(row.bias, part, row.cols);
      for (int j = 0; j < P::kElements; ++j) y.v[j] += b.v[j];
    }
    y.store(to, part, row.cols);
  }
}

template <typename T, NormKind kKind, Access kAccess>
Status start(const NormCuda& n, cudaStream_t stream) {
  const Row row = {n.x,           n.residual,    n.sum,
                   n.y,           n.norm.weight, n.norm.bias,
                   n.x_stride,    n.y_stride,    static_cast<int>(n.cols),
                   n.norm.epsilon};
  const auto run = [&](int threads, auto kernel) {
    return device::launch_early(stream, "norm_rows", dim3(static_cast<unsigned>(n.rows)),
                                dim3(static_cast<unsigned>(threads)), 0, kernel, row);
  };
  constexpr int kPart = Part<kAccess, 128>::kElements;
  if constexpr (kAccess != Access::kEight)
    if (n.cols <= 128 * 4) return run(128, norm_rows_kernel<T, kKind, kAccess, 128, 1>);
  if (n.cols <= 128 * 16) return run(128, norm_rows_kernel<T, kKind, kAccess, 128, 16 / kPart>);
  if (n.cols <= 256 * 16) return run(256, norm_rows_kernel<T, kKind, kAccess, 256, 16 / kPart>);
  return run(1024, norm_rows_kernel<T, kKind, kAccess, 1024, 32 / kPart>);
}

template <typename T, Access kAccess>
Status start_kind(const NormCuda& n, cudaStream_t stream) {
  return n.norm.kind == NormKind::kRms ? start<T, NormKind::kRms, kAccess>(n, stream)
                                       : start<T, NormKind::kLayer, kAccess>(n, stream);
}

/// Accesses of 16 bytes where all rows are aligned to them and long, else of four elements where they are to those, else of one.
template <typename T>
Status start_typed(const NormCuda& n, cudaStream_t stream) {
  const auto fits = [&](int64_t elements) {
    const size_t bytes = static_cast<size_t>(elements) * sizeof(T);
    return n.cols % elements == 0 && n.x_stride % elements == 0 && n.y_stride % elements == 0 &&
           device::aligned_to(n.x, bytes) && device::aligned_to(n.y, bytes) &&
           device::aligned_to(n.residual, bytes) && device::aligned_to(n.sum, bytes) &&
           device::aligned_to(n.norm.weight, 16) && device::aligned_to(n.norm.bias, 16);
  };
  if constexpr (sizeof(T) == 2)
    if (n.cols > 128 * 4 && fits(8)) return start_kind<T, Access::kEight>(n, stream);
  return fits(4) ? start_kind<T, Access::kFour>(n, stream) : start_kind<T, Access::kSingle>(n, stream);
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
