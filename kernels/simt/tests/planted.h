/// Kernels with one mistake each, which the verifier must find, and the same kernels without it.
#ifndef WEFT_KERNELS_SIMT_TESTS_PLANTED_H
#define WEFT_KERNELS_SIMT_TESTS_PLANTED_H

#include <weft/sdk/status.h>

#include <cstdint>

struct CUstream_st;

namespace weft::simt {

enum class Planted : uint8_t {
  kNone,
  kMissingBarrier,      // between writing shared memory and reading what others wrote
  kMissingWarpBarrier,  // the same within one warp
  kMissingWait,         // of a cp.async
  kWaitTooShort,        // cp.async.wait_group leaves the group open that is read next
  kSharedOffByOne,
  kGlobalOffByOne,
  kReusedBuffer,      // written again before all have read it
  kDivergentBarrier,  // half of the threads go to one __syncthreads, half to another
  kEarlyExit,         // a thread ends while the others wait
  kWrongMask,         // a shuffle whose caller is not in the mask
  kLanesMissing,      // a shuffle whose mask names lanes that never come
  kMisaligned,        // a 16-byte load from an address that is a multiple of 4
  kMisalignedMatrix,  // ldmatrix from an address that is no multiple of 16
  kBankConflict,      // a column of a 32-wide tile
  kStridedLoad,       // lanes 32 bytes apart
};

/// y[block * 128 + i] = x[block * 128 + 127 - i] + the sum of x over the block's first warp, through shared memory, for
/// `blocks` blocks of 128 threads. x, y: [blocks * 128], 16-byte aligned.
Status planted(Planted mistake, const float* x, float* y, int blocks, CUstream_st* stream);

}  // namespace weft::simt
#endif
