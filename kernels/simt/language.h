/// CUDA's language as far as this tree's kernels use it, for g++: built-in variables, barriers, shuffles, votes, atomics and
/// conversions. Kernels include target.h, which includes this file where nvcc does not compile.
///
/// Everything here calls the fiber that runs the calling CUDA thread; outside of a launch nothing may be called but the
/// conversions. A `Here` parameter is left to its default: the line that findings name.
#ifndef WEFT_KERNELS_SIMT_LANGUAGE_H
#define WEFT_KERNELS_SIMT_LANGUAGE_H

#include <weft/sdk/status.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct CUstream_st;
using cudaStream_t = CUstream_st*;

namespace weft::simt {

struct Here {
  const char* file;
  int line;
  static constexpr Here current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// The fiber's side, in block.cc, collectives.cc, async_copy.cc and matrix.cc.
uint3 thread_index()
    __attribute__((const));  // constant within a function: a frame belongs to one CUDA thread
unsigned lane_index() __attribute__((const));
uint3 block_index() __attribute__((const));
dim3 block_extent() __attribute__((const));
dim3 grid_extent() __attribute__((const));
void* shared_variable(const void* key, size_t size, const char* name);
void* dynamic_shared();
enum class Vote : uint8_t { kOr, kAnd, kCount };
int barrier(int predicate, Vote vote, Here here);
void warp_barrier(uint32_t mask, Here here);
/// The value of `source_lane`, or the caller's own if it is negative.
uint64_t shuffle(uint32_t mask, uint64_t value, int source_lane, Here here);
uint32_t ballot(uint32_t mask, bool predicate, Here here);
float atomic_add(float* address, float value, Here here);
int atomic_add(int* address, int value, Here here);
unsigned atomic_add(unsigned* address, unsigned value, Here here);
int atomic_max(int* address, int value, Here here);
unsigned atomic_cas(unsigned* address, unsigned expected, unsigned desired, Here here);
/// Copies `source_bytes` of `bytes` (4, 8 or 16) and fills up with zeros, no sooner than its group is waited for.
void async_copy(void* shared, const void* global, int bytes, int source_bytes, Here here);
void async_commit();
void async_wait(int groups_left);
/// `row`: the address of one row of 16 bytes, of matrix lane / 8, row lane % 8.
void load_matrix_x4(uint32_t (&out)[4], const void* row, bool transposed, Here here);
enum class MmaInput : uint8_t { kBF16, kF16 };
/// m16n8k16: d += a b, fragments laid out as the PTX ISA says.
void mma_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], MmaInput input, Here here);
/// m16n8k32 of signed bytes.
void mma_16832(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Here here);

template <typename T>
T shuffle_as(uint32_t mask, T value, int source_lane, Here here) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, source_lane, here);
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

/// A kernel with its arguments, twice: as a call of what g++ made of it, which may read the bytes of `arguments`, and as the
/// name and the addresses of parameters that another device's launch takes.
struct Body {
  const void* arguments;
  size_t size;
  void (*call)(const void* arguments);
  const void* function;
  const void* const* parameters;
};
Status run(cudaStream_t stream, const char* kernel, dim3 grid, dim3 block, size_t dynamic_shared_bytes,
           Body body);

}  // namespace weft::simt

#define threadIdx (::weft::simt::thread_index())
#define blockIdx (::weft::simt::block_index())
#define blockDim (::weft::simt::block_extent())
#define gridDim (::weft::simt::grid_extent())

#define WEFT_HERE ::weft::simt::Here here = ::weft::simt::Here::current()
inline void __syncthreads(WEFT_HERE) { weft::simt::barrier(0, weft::simt::Vote::kOr, here); }
inline int __syncthreads_or(int p, WEFT_HERE) { return weft::simt::barrier(p, weft::simt::Vote::kOr, here); }
inline int __syncthreads_and(int p, WEFT_HERE) {
  return weft::simt::barrier(p, weft::simt::Vote::kAnd, here);
}
inline int __syncthreads_count(int p, WEFT_HERE) {
  return weft::simt::barrier(p, weft::simt::Vote::kCount, here);
}
inline void __syncwarp(uint32_t mask = 0xffffffffu, WEFT_HERE) { weft::simt::warp_barrier(mask, here); }
template <typename T>
T __shfl_sync(uint32_t mask, T value, int source, int width = 32, WEFT_HERE) {
  const int lane = static_cast<int>(weft::simt::lane_index());
  return weft::simt::shuffle_as(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), here);
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int flip, int width = 32, WEFT_HERE) {
  const int lane = static_cast<int>(weft::simt::lane_index()), source = lane ^ flip;
  return weft::simt::shuffle_as(mask, value, source / width <= lane / width ? source : -1, here);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, int delta, int width = 32, WEFT_HERE) {
  const int lane = static_cast<int>(weft::simt::lane_index());
  return weft::simt::shuffle_as(mask, value, lane % width + delta < width ? lane + delta : -1, here);
}
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, int delta, int width = 32, WEFT_HERE) {
  const int lane = static_cast<int>(weft::simt::lane_index());
  return weft::simt::shuffle_as(mask, value, lane % width >= delta ? lane - delta : -1, here);
}
inline uint32_t __ballot_sync(uint32_t mask, int p, WEFT_HERE) {
  return weft::simt::ballot(mask, p != 0, here);
}
inline int __any_sync(uint32_t mask, int p, WEFT_HERE) { return weft::simt::ballot(mask, p != 0, here) != 0; }
inline int __all_sync(uint32_t mask, int p, WEFT_HERE) { return weft::simt::ballot(mask, p == 0, here) == 0; }
template <typename T>
T atomicAdd(T* address, T value, WEFT_HERE) {
  return weft::simt::atomic_add(address, value, here);
}
inline int atomicMax(int* address, int value, WEFT_HERE) {
  return weft::simt::atomic_max(address, value, here);
}
inline unsigned atomicCAS(unsigned* address, unsigned expected, unsigned desired, WEFT_HERE) {
  return weft::simt::atomic_cas(address, expected, desired, here);
}

/// c + the dot product of four signed bytes.
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i) c += static_cast<int8_t>(a >> 8 * i) * static_cast<int8_t>(b >> 8 * i);
  return c;
}
inline int __popc(uint32_t x) { return std::popcount(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
// Which nvcc joins to no other operation.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline unsigned long long __float2ull_rn(float x) { return static_cast<unsigned long long>(std::llrint(x)); }
inline uint32_t __float_as_uint(float x) { return std::bit_cast<uint32_t>(x); }
inline float __uint_as_float(uint32_t x) { return std::bit_cast<float>(x); }

// Types of 16 bits, with CUDA's names and layout.
struct __nv_bfloat16 {
  uint16_t bits;
};
struct __half {
  uint16_t bits;
};
inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 x) { return x.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits) { return {bits}; }
inline uint16_t __half_as_ushort(__half x) { return x.bits; }
inline __half __ushort_as_half(uint16_t bits) { return {bits}; }
inline float __bfloat162float(__nv_bfloat16 x) {
  return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  const uint32_t bits = __float_as_uint(x);
  if (x != x) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
inline float __half2float(__half x) { return static_cast<float>(std::bit_cast<_Float16>(x.bits)); }
inline __half __float2half_rn(float x) { return {std::bit_cast<uint16_t>(static_cast<_Float16>(x))}; }

using std::max;
using std::min;

#endif
