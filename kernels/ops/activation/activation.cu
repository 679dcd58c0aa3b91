// Four elements a thread; a block goes along a row.

#include "kernels/ops/activation/activation_cuda.h"
#include "kernels/ops/activation/activation_device.h"

namespace weft {
namespace {

constexpr int kThreads = 256, kPerThread = 4;

struct Rows {
  Activation f;
  const void* gate;
  const void* up;
  void* y;
  int64_t cols, gate_stride, up_stride, y_stride;
};

template <typename T, bool kVector>
__global__ void __launch_bounds__(kThreads) activate_rows(Rows rows) {
  const int64_t row = blockIdx.x, first = static_cast<int64_t>(blockIdx.y) * (kThreads * kPerThread);
  const T* gate = static_cast<const T*>(rows.gate) + row * rows.gate_stride;
  const T* up = static_cast<const T*>(rows.up) + row * rows.up_stride;
  T* y = static_cast<T*>(rows.y) + row * rows.y_stride;
  if constexpr (kVector) {
    const int64_t at = first + threadIdx.x * kPerThread;
    if (at >= rows.cols) return;
    device::Quad x = device::load_quad(gate + at);
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) x.v[j] = device::activated(rows.f, x.v[j]);
    if (rows.up != nullptr) {
      const device::Quad factor = device::load_quad(up + at);
      for (int j = 0; j < kPerThread; ++j) x.v[j] *= factor.v[j];
    }
    device::store_quad(y + at, x);
  } else {
    for (int j = 0; j < kPerThread; ++j) {
      const int64_t at = first + j * kThreads + threadIdx.x;
      if (at >= rows.cols) return;
      float x = device::activated(rows.f, device::to_f32(gate[at]));
      if (rows.up != nullptr) x *= device::to_f32(up[at]);
      y[at] = device::from_f32<T>(x);
    }
  }
}

template <typename T>
Status start(const ActivationCuda& a, cudaStream_t stream) {
  const Rows rows = {a.f, a.gate, a.up, a.y, a.cols, a.gate_stride, a.up_stride, a.y_stride};
  const size_t quad = kPerThread * sizeof(T);
  const bool vector = a.cols % 4 == 0 && a.gate_stride % 4 == 0 && a.up_stride % 4 == 0 &&
                      a.y_stride % 4 == 0 && device::aligned_to(a.gate, quad) &&
                      device::aligned_to(a.up, quad) && device::aligned_to(a.y, quad);
  const int64_t blocks = (a.cols + kThreads * kPerThread - 1) / (kThreads * kPerThread);
  const dim3 grid(static_cast<unsigned>(a.rows), static_cast<unsigned>(blocks));
  const auto kernel = vector ? activate_rows<T, true> : activate_rows<T, false>;
  return device::launch(stream, "activate_rows", grid, kThreads, 0, kernel, rows);
}

template <typename T>
__global__ void __launch_bounds__(kThreads) add_elements(T* x, const float* y, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) x[i] = device::from_f32<T>(device::to_f32(x[i]) + y[i]);
}

__global__ void __launch_bounds__(kThreads)
    affine_elements(float* x, float scale, float shift, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) x[i] = scale * x[i] + shift;
}

__global__ void __launch_bounds__(kThreads) soft_cap_elements(float* x, float cap, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) x[i] = cap * tanhf(x[i] / cap);
}

dim3 blocks_of(int64_t count) { return dim3(static_cast<unsigned>((count + kThreads - 1) / kThreads)); }

Status check_elements(const char* op, int64_t count, bool null) {
  if (count < 0 || count > int64_t{0x7fffffff} * kThreads)
    return Status(StatusCode::kInvalidShape,
                  std::string(op) + " on a device: an impossible number of elements")
        .got(std::to_string(count));
  if (count > 0 && null)
    return Status(StatusCode::kInvalidArgument, std::string(op) + " on a device: a pointer is null");
  return {};
}

template <typename T>
Status start_add(const AddCuda& a, cudaStream_t stream) {
  return device::launch(stream, "add_elements", blocks_of(a.count), kThreads, 0, add_elements<T>,
                        static_cast<T*>(a.x), a.y, a.count);
}

}  // namespace

Status add_cuda(const AddCuda& a, cudaStream_t stream) {
  if (Status status = check_elements("an addition", a.count, !a.x || !a.y); !status.ok() || a.count == 0)
    return status;
  switch (a.dtype) {
    case DType::kF32: return start_add<float>(a, stream);
    case DType::kF16: return start_add<device::F16>(a, stream);
    case DType::kBF16: return start_add<device::BF16>(a, stream);
    default: break;
  }
  return Status(StatusCode::kUnsupported, "an addition on a device takes f32, f16 and bf16");
}

Status affine_cuda(const AffineCuda& a, cudaStream_t stream) {
  if (Status status = check_elements("a scale and shift", a.count, !a.x); !status.ok() || a.count == 0)
    return status;
  return device::launch(stream, "affine_elements", blocks_of(a.count), kThreads, 0, affine_elements, a.x,
                        a.scale, a.shift, a.count);
}

Status soft_cap_cuda(const SoftCapCuda& s, cudaStream_t stream) {
  if (!(s.cap > 0))
    return Status(StatusCode::kInvalidArgument, "a soft cap on a device must be positive")
        .got(std::to_string(s.cap));
  if (Status status = check_elements("a soft cap", s.count, !s.x); !status.ok() || s.count == 0)
    return status;
  return device::launch(stream, "soft_cap_elements", blocks_of(s.count), kThreads, 0, soft_cap_elements, s.x,
                        s.cap, s.count);
}

Status activate_cuda(const ActivationCuda& a, cudaStream_t stream) {
  if (a.rows < 0 || a.cols < 0)
    return Status(StatusCode::kInvalidShape, "an activation on a device: an impossible shape")
        .expected("rows, cols >= 0")
        .got(std::to_string(a.rows) + " and " + std::to_string(a.cols));
  if (a.rows == 0 || a.cols == 0) return {};
  if (a.rows > 1 && (a.gate_stride < a.cols || a.y_stride < a.cols || (a.up && a.up_stride < a.cols)))
    return Status(StatusCode::kInvalidShape, "an activation on a device: a row stride is shorter than a row")
        .expected("at least " + std::to_string(a.cols));
  if (!a.gate || !a.y)
    return Status(StatusCode::kInvalidArgument, "an activation on a device: a pointer is null");
  switch (a.dtype) {
    case DType::kF32: return start<float>(a, stream);
    case DType::kF16: return start<device::F16>(a, stream);
    case DType::kBF16: return start<device::BF16>(a, stream);
    default: break;
  }
  return Status(StatusCode::kUnsupported, "an activation on a device takes f32, f16 and bf16");
}

}  // namespace weft
