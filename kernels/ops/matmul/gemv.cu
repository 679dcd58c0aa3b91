// One warp a row of W: each lane takes four adjacent weights of every 128, so that x is read in whole lines and the codes of a
// block by lanes beside each other.

#include "kernels/ops/activation/activation_device.h"
#include "kernels/ops/matmul/gemv_cuda.h"
#include "kernels/quant/weight_blocks_device.h"

namespace weft {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

struct Work {
  const uint8_t* w;
  const uint8_t* up;
  const float* x;
  float* y;
  const float* norm_weight;
  const float* bias;
  const float* added;
  int64_t n, k;
  float epsilon;
  bool activates;
  Activation f;
};

/// 1 / sqrt(mean(x^2) + epsilon), by the whole block.
__device__ __forceinline__ float norm_scale(const Work& work, const float* x, float* partial) {
  float sum = 0;
  for (int64_t at = threadIdx.x * 4; at < work.k; at += kThreads * 4) {
    const device::Quad q = device::load_quad(x + at);
    for (int j = 0; j < 4; ++j) sum += q.v[j] * q.v[j];
  }
  return rsqrtf(device::block_sum<kThreads>(sum, partial) / static_cast<float>(work.k) + work.epsilon);
}

/// The product of a row of W with x times the norm's weights, in every lane.
template <WeightFormat kFormat>
__device__ __forceinline__ float row_product(const Work& work, const uint8_t* row, const float* x) {
  using Block = device::Block<kFormat>;
  float sum = 0;
  for (int64_t at = threadIdx.x % 32 * 4; at < work.k; at += 128) {
    const device::Quad w =
        Block::weights(row + at / Block::kElements * Block::kBytes, static_cast<int>(at % Block::kElements));
    device::Quad v = device::load_quad(x + at);
    if (work.norm_weight != nullptr) {
      const device::Quad g = device::load_quad(work.norm_weight + at);
      for (int j = 0; j < 4; ++j) v.v[j] *= g.v[j];
    }
    for (int j = 0; j < 4; ++j) sum += w.v[j] * v.v[j];
  }
  return device::warp_sum(sum);
}

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads) gemv_kernel(Work work) {
  WEFT_SHARED(float, partial, kWarps);
  const float* x = work.x + blockIdx.y * work.k;
  const float scale = work.norm_weight != nullptr ? norm_scale(work, x, partial) : 1.0f;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= work.n) return;
  using Block = device::Block<kFormat>;
  const int64_t row_bytes = work.k / Block::kElements * Block::kBytes;
  float y = row_product<kFormat>(work, work.w + row * row_bytes, x) * scale;
  if (work.bias != nullptr) y += work.bias[row];
  if (work.activates) y = device::activated(work.f, y);
  if (work.up != nullptr) y *= row_product<kFormat>(work, work.up + row * row_bytes, x) * scale;
  if (threadIdx.x % 32 != 0) return;
  const int64_t at = blockIdx.y * work.n + row;
  if (work.added != nullptr) y += work.added[at];
  work.y[at] = y;
}

template <WeightFormat kFormat>
Status start(const GemvCuda& g, cudaStream_t stream) {
  const Work work = {static_cast<const uint8_t*>(g.w),
                     static_cast<const uint8_t*>(g.up),
                     g.x,
                     g.y,
                     g.norm_weight,
                     g.bias,
                     g.added,
                     g.n,
                     g.k,
                     g.epsilon,
                     g.f.has_value(),
                     g.f.value_or(Activation::kSilu)};
  const dim3 grid(static_cast<unsigned>((g.n + kWarps - 1) / kWarps), static_cast<unsigned>(g.m));
  return device::launch(stream, "gemv", grid, kThreads, 0, gemv_kernel<kFormat>, work);
}

Status check(const GemvCuda& g) {
  const int elements = block_layout(g.format).elements;
  if (g.m < 0 || g.m > 65535 || g.n < 0 || g.k < 1 || g.k % elements != 0 || g.k % 4 != 0)
    return Status(StatusCode::kInvalidShape, "a product on a device: an impossible shape")
        .expected("m in [0, 65535], n >= 0, k a multiple of 4 and of the block's " + std::to_string(elements))
        .got("m " + std::to_string(g.m) + ", n " + std::to_string(g.n) + ", k " + std::to_string(g.k));
  if (g.m == 0 || g.n == 0) return {};
  if (!g.w || !g.x || !g.y)
    return Status(StatusCode::kInvalidArgument, "a product on a device: a pointer is null");
  for (const void* p : {g.w, g.up, static_cast<const void*>(g.x), static_cast<const void*>(g.norm_weight)}) {
    if (!device::aligned_to(p, 16))
      return Status(StatusCode::kInvalidArgument,
                    "a product on a device: expected pointers aligned to 16 bytes");
  }
  if (g.norm_weight && !(g.epsilon > 0))
    return Status(StatusCode::kInvalidArgument, "a product on a device: epsilon must be positive")
        .got(std::to_string(g.epsilon));
  return {};
}

}  // namespace

Status gemv_cuda(const GemvCuda& g, cudaStream_t stream) {
  if (Status status = check(g); !status.ok() || g.m == 0 || g.n == 0) return status;
  return device::start_for_format(g.format, "products",
                                  [&](auto format) { return start<format()>(g, stream); });
}

}  // namespace weft
