#include "kernels/simt/tests/language.h"

#include "kernels/simt/target.h"

namespace weft::simt {
namespace {

constexpr uint32_t kAll = 0xffffffffu;

__global__ void exchange(const int* x, int* out) {
  const int lane = static_cast<int>(threadIdx.x), v = x[lane];
  const auto row = [&](int r, int value) { out[r * 32 + lane] = value; };
  row(0, __shfl_sync(kAll, v, 5));
  row(1, __shfl_xor_sync(kAll, v, 3));
  row(2, __shfl_down_sync(kAll, v, 2, 8));
  row(3, __shfl_up_sync(kAll, v, 1));
  row(4, static_cast<int>(__ballot_sync(kAll, v % 2)));
  row(5, __any_sync(kAll, v == 100) * 2 + __all_sync(kAll, v < 100));
  row(6, __dp4a(v * 0x01ff0201, 0x04030201, 1000));
  // Halves of a warp under masks of their own.
  const uint32_t half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  row(7, __shfl_xor_sync(half, v, 15));
  row(8, static_cast<int>(device::warp_sum(static_cast<float>(v))));
  __syncwarp();
  row(9, __shfl_sync(kAll, v, lane + 1, 4));
}

__global__ void count(const int* x, int n, int* bins, float* sum, int* largest) {
  WEFT_SHARED(int, local, 8);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (threadIdx.x < 8) local[threadIdx.x] = 0;
  __syncthreads();
  if (i < n) {
    atomicAdd(&local[x[i] % 8], 1);
    atomicAdd(sum, static_cast<float>(x[i]));
    atomicMax(largest, x[i]);
  }
  __syncthreads();
  if (threadIdx.x < 8) atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

__global__ void votes(const int* x, int* out) {
  WEFT_DYNAMIC_SHARED(int, buffer);
  const int i = static_cast<int>(threadIdx.x);
  buffer[i] = x[i];
  const int any = __syncthreads_or(x[i]), all = __syncthreads_and(x[i]), n = __syncthreads_count(x[i]);
  if (i == 0) out[0] = any, out[1] = all, out[2] = n, out[3] = buffer[63] == x[63];
}

/// One warp. a: 16 rows of 32 bytes; b: 16 rows of 16 bytes (16-bit elements) or 8 rows of 32 bytes (bytes).
template <MmaKind kKind>
__global__ void product(const unsigned char* a, const unsigned char* b, void* d) {
  WEFT_DYNAMIC_SHARED(unsigned char, tiles);
  unsigned char* tile_b = tiles + 512;
  const int lane = static_cast<int>(threadIdx.x);
  device::copy_async16(tiles + lane * 16, a + lane * 16, true);
  device::copy_async_commit();
  device::copy_async16(tile_b + lane * 16, b + lane % 16 * 16, lane < 16);
  device::copy_async_commit();
  device::copy_async_wait<1>();
  __syncthreads();
  uint32_t fragment_a[4], fragment_b[4];
  device::load_matrix_x4(fragment_a, tiles + lane % 16 * 32 + lane / 16 * 16);
  device::copy_async_wait<0>();
  __syncthreads();
  if constexpr (kKind == MmaKind::kS8) {
    // Rows of b are columns of the operand: 8 rows of two halves.
    device::load_matrix_x4(fragment_b, tile_b + lane % 8 * 32 + lane / 8 % 2 * 16);
  } else {
    device::load_matrix_x4_transposed(fragment_b, tile_b + lane % 16 * 16);
  }
  const uint32_t operand_b[2] = {fragment_b[0], fragment_b[1]};
  float sums[4] = {};
  int32_t counts[4] = {};
  if constexpr (kKind == MmaKind::kBF16) device::mma_bf16(sums, fragment_a, operand_b);
  else if constexpr (kKind == MmaKind::kF16) device::mma_f16(sums, fragment_a, operand_b);
  else device::mma_s8(counts, fragment_a, operand_b);
  for (int r = 0; r < 4; ++r) {
    const int at = (lane / 4 + r / 2 * 8) * 8 + lane % 4 * 2 + r % 2;
    if constexpr (kKind == MmaKind::kS8) static_cast<int32_t*>(d)[at] = counts[r];
    else static_cast<float*>(d)[at] = sums[r];
  }
}

}  // namespace

Status warp_exchange(const int* x, int* out, cudaStream_t stream) {
  return device::launch(stream, "exchange", 1, 32, 0, exchange, x, out);
}
Status atomics(const int* x, int n, int* bins, float* sum, int* largest, cudaStream_t stream) {
  return device::launch(stream, "count", (n + 95) / 96, 96, 0, count, x, n, bins, sum, largest);
}
Status block_votes(const int* x, int* out, cudaStream_t stream) {
  return device::launch(stream, "votes", 1, 64, 64 * sizeof(int), votes, x, out);
}
Status tile_product(MmaKind kind, const void* a, const void* b, void* d, cudaStream_t stream) {
  const auto* bytes_a = static_cast<const unsigned char*>(a);
  const auto* bytes_b = static_cast<const unsigned char*>(b);
  const auto kernel = kind == MmaKind::kBF16  ? product<MmaKind::kBF16>
                      : kind == MmaKind::kF16 ? product<MmaKind::kF16>
                                              : product<MmaKind::kS8>;
  return device::launch(stream, "product", 1, 32, 1024, kernel, bytes_a, bytes_b, d);
}

}  // namespace weft::simt
