#include "kernels/simt/target.h"
#include "kernels/simt/tests/planted.h"

namespace weft::simt {
namespace {

using device::launch;
constexpr int kThreads = 128;

template <Planted kMistake>
__global__ void reverse_and_sum(const float* x, float* y) {
  WEFT_SHARED(float, row, kThreads);
  WEFT_SHARED(float, tile, 32 * 33);
  const int i = static_cast<int>(threadIdx.x), lane = i % 32;
  const float* from = x + blockIdx.x * kThreads;
  const bool global_mistake = kMistake == Planted::kGlobalOffByOne && blockIdx.x + 1 == gridDim.x;

  if constexpr (kMistake == Planted::kMissingWait || kMistake == Planted::kWaitTooShort) {
    if (i % 4 == 0) device::copy_async16(row + i, from + i, true);
    device::copy_async_commit();
    if constexpr (kMistake == Planted::kWaitTooShort) device::copy_async_wait<1>();
  } else if constexpr (kMistake == Planted::kMisaligned) {
    const device::Quad quad = device::load_quad(from + 1);
    row[i] = quad.v[0] + 0 * (quad.v[1] + quad.v[2] + quad.v[3]);
  } else {
    if (i % 4 == 0) device::copy_async16(row + i, from + i, true);
    device::copy_async_commit();
    device::copy_async_wait<0>();
  }
  if constexpr (kMistake == Planted::kEarlyExit) {
    if (i == 77) return;
  }
  if constexpr (kMistake == Planted::kDivergentBarrier) {
    if (i < 64) {
      __syncthreads();
    } else {
      row[i] += 0.0f;
      __syncthreads();
    }
  } else if constexpr (kMistake != Planted::kMissingBarrier) {
    __syncthreads();
  }

  float value;
  if constexpr (kMistake == Planted::kSharedOffByOne) value = row[kThreads - i];
  else value = row[kThreads - 1 - i];
  if constexpr (kMistake == Planted::kStridedLoad) value += 0 * x[i * 8 % kThreads];
  if constexpr (kMistake == Planted::kMisalignedMatrix) {
    uint32_t words[4];
    device::load_matrix_x4(words, row + lane * 2 + 1);
    value += 0 * static_cast<float>(words[0]);
  }
  if constexpr (kMistake == Planted::kBankConflict) {
    if (i < 32) {
      tile[lane * 32] = value;
      __syncwarp();
      value = tile[lane * 32];
    }
  }

  float sum = row[lane];
  if constexpr (kMistake == Planted::kWrongMask) {
    for (int flip = 16; flip > 0; flip /= 2) sum += __shfl_xor_sync(0x0000ffffu, sum, flip);
  } else if constexpr (kMistake == Planted::kLanesMissing) {
    if (lane < 16) {
      for (int flip = 8; flip > 0; flip /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, flip);
    }
  } else {
    sum = device::warp_sum(sum);
  }

  if constexpr (kMistake == Planted::kMissingWarpBarrier) {
    if (i < 32) {
      tile[lane] = value;
      value = tile[31 - lane];
      __syncwarp();
    }
  }
  // The buffer is used a second time: all must have read it.
  if constexpr (kMistake != Planted::kReusedBuffer) __syncthreads();
  row[i] = value + sum;
  y[blockIdx.x * kThreads + i + (global_mistake ? 1 : 0)] = row[i];
}

template <Planted kMistake>
Status start(const float* x, float* y, int blocks, cudaStream_t stream) {
  return launch(stream, "reverse_and_sum", blocks, kThreads, 0, reverse_and_sum<kMistake>, x, y);
}

}  // namespace

Status planted(Planted mistake, const float* x, float* y, int blocks, cudaStream_t stream) {
  switch (mistake) {
    case Planted::kNone: return start<Planted::kNone>(x, y, blocks, stream);
    case Planted::kMissingBarrier: return start<Planted::kMissingBarrier>(x, y, blocks, stream);
    case Planted::kMissingWarpBarrier: return start<Planted::kMissingWarpBarrier>(x, y, blocks, stream);
    case Planted::kMissingWait: return start<Planted::kMissingWait>(x, y, blocks, stream);
    case Planted::kWaitTooShort: return start<Planted::kWaitTooShort>(x, y, blocks, stream);
    case Planted::kSharedOffByOne: return start<Planted::kSharedOffByOne>(x, y, blocks, stream);
    case Planted::kGlobalOffByOne: return start<Planted::kGlobalOffByOne>(x, y, blocks, stream);
    case Planted::kReusedBuffer: return start<Planted::kReusedBuffer>(x, y, blocks, stream);
    case Planted::kDivergentBarrier: return start<Planted::kDivergentBarrier>(x, y, blocks, stream);
    case Planted::kEarlyExit: return start<Planted::kEarlyExit>(x, y, blocks, stream);
    case Planted::kWrongMask: return start<Planted::kWrongMask>(x, y, blocks, stream);
    case Planted::kLanesMissing: return start<Planted::kLanesMissing>(x, y, blocks, stream);
    case Planted::kMisaligned: return start<Planted::kMisaligned>(x, y, blocks, stream);
    case Planted::kMisalignedMatrix: return start<Planted::kMisalignedMatrix>(x, y, blocks, stream);
    case Planted::kBankConflict: return start<Planted::kBankConflict>(x, y, blocks, stream);
    case Planted::kStridedLoad: return start<Planted::kStridedLoad>(x, y, blocks, stream);
  }
  return Status(StatusCode::kInvalidArgument, "no such mistake");
}

}  // namespace weft::simt
