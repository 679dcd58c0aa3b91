/// What a kernel source includes, and the only file of the tree with a body per target: nvcc's or g++'s (language.h).
///
/// Above the targets, one wrapper an instruction or a declaration that has no spelling common to both; below them, helpers
/// written once. A kernel that keeps to CUDA's language and to this file compiles for both as it stands.
///
///   template <typename T> __global__ void scale(T* x, float by, int64_t count) { ... }
///   Status scale_cuda(float* x, float by, int64_t count, cudaStream_t stream) {
///     return launch(stream, "scale", blocks, 256, 0, scale<float>, x, by, count);
///   }
#ifndef WEFT_KERNELS_SIMT_TARGET_H
#define WEFT_KERNELS_SIMT_TARGET_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <tuple>

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "kernels/device/cuda_error.h"

/// name: an array of `count` T in the block's shared memory.
#define WEFT_SHARED(T, name, count) __shared__ T name[count]
/// name: a T* to the shared memory whose size the launch gives.
#define WEFT_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(128) unsigned char weft_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(weft_dynamic_shared)

namespace weft::device {

/// The line that a finding names; nothing on a device.
struct Here {
  static __host__ __device__ constexpr Here current() { return {}; }
};

struct alignas(16) Words4 {
  uint32_t w[4];
};
struct alignas(8) Words2 {
  uint32_t w[2];
};
/// One load or store of 16 or 8 bytes, aligned to its size.
__device__ __forceinline__ Words4 load16(const void* p) {
  const uint4 v = *static_cast<const uint4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}
__device__ __forceinline__ Words2 load8(const void* p) {
  const uint2 v = *static_cast<const uint2*>(p);
  return {{v.x, v.y}};
}
__device__ __forceinline__ uint32_t load4(const void* p) { return *static_cast<const uint32_t*>(p); }
__device__ __forceinline__ uint32_t load2(const void* p) { return *static_cast<const uint16_t*>(p); }
__device__ __forceinline__ uint32_t load1(const void* p) { return *static_cast<const uint8_t*>(p); }
// By assembly: nvcc splits a store whose values come from branches into words.
__device__ __forceinline__ void store16(void* p, Words4 v) {
  asm volatile("st.v4.b32 [%0], {%1,%2,%3,%4};" ::"l"(p), "r"(v.w[0]), "r"(v.w[1]), "r"(v.w[2]), "r"(v.w[3])
               : "memory");
}
__device__ __forceinline__ void store8(void* p, Words2 v) {
  asm volatile("st.v2.b32 [%0], {%1,%2};" ::"l"(p), "r"(v.w[0]), "r"(v.w[1]) : "memory");
}
__device__ __forceinline__ void store4(void* p, uint32_t v) { *static_cast<uint32_t*>(p) = v; }

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
/// Starts a copy of 16 bytes to shared memory; where `present` is false it writes zeros and reads nothing.
__device__ __forceinline__ void copy_async16(void* shared, const void* global, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(present ? 16 : 0)
               : "memory");
}
/// Ends a group of copies; wait<n>() returns when all but the last n groups of this thread are done.
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroupsLeft>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
}
/// Four 8 x 8 matrices of 16-bit elements from shared memory; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void load_matrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
/// d[16 x 8] += a[16 x 16] b[16 x 8].
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// d[16 x 8] += a[16 x 32] b[32 x 8], signed bytes.
__device__ __forceinline__ void mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// In a kernel that launch_early() starts. wait_for_previous(): returns when the stream's earlier work is done and seen; comes before
/// the thread touches anything that other kernels write, or writes what they read. let_next_start(): the next launch's blocks may
/// start where this one's leave room, once all of its blocks have said so.
__device__ __forceinline__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

/// What the current device has for a kernel.
struct Limits {
  int multiprocessors = 0;
  size_t shared_bytes = 0;  // a block, dynamic
  bool starts_early = false;
};
inline Limits limits() {
  int device = 0, multiprocessors = 0, shared_bytes = 0, major = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  return {multiprocessors, static_cast<size_t>(shared_bytes), major >= 9};
}

/// When a kernel may start: after the stream's earlier work, or as soon as the kernel before it lets it.
enum class LaunchTime : uint8_t { kInOrder, kEarly };

template <typename... Parameters, typename... Arguments>
Status launch_at(LaunchTime time, cudaStream_t stream, const char* name, dim3 grid, dim3 block,
                 size_t dynamic_shared_bytes, void (*kernel)(Parameters...), Arguments... arguments) {
  constexpr size_t kUnasked = 48 << 10;  // what a kernel gets of shared memory without asking
  cudaError_t error = cudaSuccess;
  if (dynamic_shared_bytes > kUnasked)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(dynamic_shared_bytes));
  if (error == cudaSuccess) {
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid, config.blockDim = block;
    config.dynamicSmemBytes = dynamic_shared_bytes, config.stream = stream;
    if (time == LaunchTime::kEarly && limits().starts_early) config.attrs = &early, config.numAttrs = 1;
    error = cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
  }
  if (error == cudaSuccess) return {};
  cudaGetLastError();  // which would come back at the next call
  return cuda_status(error, std::string("starting kernel ") + name);
}

}  // namespace weft::device

#else

#include "kernels/simt/language.h"

#define WEFT_SHARED(T, name, count)        \
  static const char name##_of_a_block = 0; \
  T(&name)                                 \
  [count] = *static_cast<T(*)[count]>(     \
      ::weft::simt::shared_variable(&name##_of_a_block, sizeof(T) * (count), #name))
#define WEFT_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(::weft::simt::dynamic_shared())

namespace weft::device {

using simt::Here;

struct alignas(16) Words4 {
  uint32_t w[4];
};
struct alignas(8) Words2 {
  uint32_t w[2];
};
// Vector types, so that the checkers see one access of the size that a device would make.
typedef uint32_t Vector4 __attribute__((vector_size(16), may_alias));
typedef uint32_t Vector2 __attribute__((vector_size(8), may_alias));
typedef uint32_t Word __attribute__((may_alias));
typedef uint16_t HalfWord __attribute__((may_alias));
__forceinline__ Words4 load16(const void* p) {
  const Vector4 v = *static_cast<const Vector4*>(p);
  return {{v[0], v[1], v[2], v[3]}};
}
__forceinline__ Words2 load8(const void* p) {
  const Vector2 v = *static_cast<const Vector2*>(p);
  return {{v[0], v[1]}};
}
__forceinline__ uint32_t load4(const void* p) { return *static_cast<const Word*>(p); }
__forceinline__ uint32_t load2(const void* p) { return *static_cast<const HalfWord*>(p); }
__forceinline__ uint32_t load1(const void* p) { return *static_cast<const uint8_t*>(p); }
__forceinline__ void store16(void* p, Words4 v) {
  *static_cast<Vector4*>(p) = Vector4{v.w[0], v.w[1], v.w[2], v.w[3]};
}
__forceinline__ void store8(void* p, Words2 v) { *static_cast<Vector2*>(p) = Vector2{v.w[0], v.w[1]}; }
__forceinline__ void store4(void* p, uint32_t v) { *static_cast<Word*>(p) = v; }

inline void copy_async16(void* shared, const void* global, bool present, Here here = Here::current()) {
  simt::async_copy(shared, global, 16, present ? 16 : 0, here);
}
inline void copy_async_commit() { simt::async_commit(); }
template <int kGroupsLeft>
void copy_async_wait() {
  simt::async_wait(kGroupsLeft);
}
inline void load_matrix_x4(uint32_t (&r)[4], const void* row, Here here = Here::current()) {
  simt::load_matrix_x4(r, row, false, here);
}
inline void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row, Here here = Here::current()) {
  simt::load_matrix_x4(r, row, true, here);
}
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     Here here = Here::current()) {
  simt::mma_16816(d, a, b, simt::MmaInput::kBF16, here);
}
inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                    Here here = Here::current()) {
  simt::mma_16816(d, a, b, simt::MmaInput::kF16, here);
}
inline void mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                   Here here = Here::current()) {
  simt::mma_16832(d, a, b, here);
}

__forceinline__ void wait_for_previous() {}
__forceinline__ void let_next_start() {}

struct Limits {
  int multiprocessors = 0;
  size_t shared_bytes = 0;
  bool starts_early = false;
};
inline Limits limits() {
  return {132, 163 << 10, false};
}  // multiprocessors of an H100, shared memory of an A100

enum class LaunchTime : uint8_t { kInOrder, kEarly };

template <typename... Parameters, typename... Arguments>
Status launch_at(LaunchTime, cudaStream_t stream, const char* name, dim3 grid, dim3 block,
                 size_t dynamic_shared_bytes, void (*kernel)(Parameters...), Arguments... arguments) {
  const std::tuple<void (*)(Parameters...), Parameters...> call(kernel, arguments...);
  return std::apply(
      [&](const auto&, const Parameters&... given) {
        const void* const parameters[] = {&given..., nullptr};
        const auto run_it = [](const void* c) {
          std::apply([](auto function, const Parameters&... p) { function(p...); },
                     *static_cast<const decltype(call)*>(c));
        };
        return simt::run(stream, name, grid, block, dynamic_shared_bytes,
                         {&call, sizeof call, run_it, reinterpret_cast<const void*>(kernel), parameters});
      },
      call);
}

}  // namespace weft::device

#endif

// From here on one body for both targets.
namespace weft::device {

/// Starts a kernel; the status is that of the start, not of the run.
template <typename... Parameters, typename... Arguments>
Status launch(cudaStream_t stream, const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes,
              void (*kernel)(Parameters...), Arguments... arguments) {
  return launch_at(LaunchTime::kInOrder, stream, name, grid, block, dynamic_shared_bytes, kernel,
                   arguments...);
}
/// The same for a kernel whose threads call wait_for_previous().
template <typename... Parameters, typename... Arguments>
Status launch_early(cudaStream_t stream, const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes,
                    void (*kernel)(Parameters...), Arguments... arguments) {
  return launch_at(LaunchTime::kEarly, stream, name, grid, block, dynamic_shared_bytes, kernel, arguments...);
}

using BF16 = __nv_bfloat16;
using F16 = __half;

__device__ __forceinline__ float to_f32(float x) { return x; }
__device__ __forceinline__ float to_f32(BF16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_f32(F16 x) { return __half2float(x); }
/// Rounds to the nearest, ties to even.
template <typename T>
__device__ __forceinline__ T from_f32(float x);
template <>
__device__ __forceinline__ float from_f32<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ BF16 from_f32<BF16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ __forceinline__ F16 from_f32<F16>(float x) {
  return __float2half_rn(x);
}

__device__ __forceinline__ uint32_t bits_of(BF16 x) { return __bfloat16_as_ushort(x); }
__device__ __forceinline__ uint32_t bits_of(F16 x) { return __half_as_ushort(x); }
template <typename T>
__device__ __forceinline__ T from_bits(uint32_t bits);
template <>
__device__ __forceinline__ BF16 from_bits<BF16>(uint32_t bits) {
  return __ushort_as_bfloat16(static_cast<uint16_t>(bits));
}
template <>
__device__ __forceinline__ F16 from_bits<F16>(uint32_t bits) {
  return __ushort_as_half(static_cast<uint16_t>(bits));
}

/// Two and four adjacent elements, as f32 in registers.
struct Pair {
  float v[2];
};
struct Quad {
  float v[4];
};
/// p: aligned to its two or four elements; one load or store.
template <typename T>
__device__ __forceinline__ Pair load_pair(const T* p) {
  if constexpr (sizeof(T) == 4) {
    const Words2 w = load8(p);
    return {{__uint_as_float(w.w[0]), __uint_as_float(w.w[1])}};
  } else {
    const uint32_t w = load4(p);
    return {{to_f32(from_bits<T>(w & 0xffff)), to_f32(from_bits<T>(w >> 16))}};
  }
}
template <typename T>
__device__ __forceinline__ void store_pair(T* p, Pair x) {
  if constexpr (sizeof(T) == 4) store8(p, {{__float_as_uint(x.v[0]), __float_as_uint(x.v[1])}});
  else store4(p, bits_of(from_f32<T>(x.v[0])) | bits_of(from_f32<T>(x.v[1])) << 16);
}
template <typename T>
__device__ __forceinline__ Quad load_quad(const T* p) {
  Quad x;
  if constexpr (sizeof(T) == 4) {
    const Words4 w = load16(p);
    for (int i = 0; i < 4; ++i) x.v[i] = __uint_as_float(w.w[i]);
  } else {
    const Words2 w = load8(p);
    for (int i = 0; i < 4; ++i) x.v[i] = to_f32(from_bits<T>(w.w[i / 2] >> 16 * (i % 2) & 0xffff));
  }
  return x;
}
template <typename T>
__device__ __forceinline__ void store_quad(T* p, Quad x) {
  if constexpr (sizeof(T) == 4) {
    store16(p, {{__float_as_uint(x.v[0]), __float_as_uint(x.v[1]), __float_as_uint(x.v[2]),
                 __float_as_uint(x.v[3])}});
  } else {
    Words2 w;
    for (int i = 0; i < 2; ++i)
      w.w[i] = bits_of(from_f32<T>(x.v[2 * i])) | bits_of(from_f32<T>(x.v[2 * i + 1])) << 16;
    store8(p, w);
  }
}

/// The sum over a warp, in every lane; all 32 lanes call it.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) x += __shfl_xor_sync(0xffffffffu, x, flip);
  return x;
}
/// The sum over a block, in every thread. partial: shared, kThreads / 32 floats, free again after the next barrier.
template <int kThreads>
__device__ __forceinline__ float block_sum(float x, float* partial) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  x = warp_sum(x);
  if (lane == 0) partial[warp] = x;
  __syncthreads();
  return warp_sum(lane < kThreads / 32 ? partial[lane] : 0.0f);
}

/// Whether a pointer is a multiple of so many bytes (a power of two).
inline bool aligned_to(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

}  // namespace weft::device
#endif
