/// Products of activations with weight matrices in any format of kernels/quant/format.h:
///
///   y[m, n] = x[m, k] * W[n, k]^T      x, y: f32, row-major, rows `stride` elements apart.  W: packed once
///   by pack_matrix().
///
/// Numerics, per (format, ISA level): for the quantised formats each row of x is rounded to int8 in blocks
/// (see README.md), products within a block are exact integers, blocks are added in ascending k into f32. For
/// F32, F16 and BF16 weights x stays f32. The bits of a row of y depend on that row of x and on W alone: not
/// on m, on how rows are chunked, on the number of threads, or on where the row lies. Non-finite values of x
/// make the rows they are in non-finite; they never vanish.
///
/// Ownership: the caller owns all memory, packed weights included (they may be a mapped file); no op
/// allocates. Threads: two ways. matmul() runs a team of its own. quantize_activations_share() and
/// matmul_share() are one thread's part, for callers that keep one team over many ops; between the two the
/// caller puts a barrier.
///
///   Activations a = {x, m, k, k, scratch};  // scratch: activations_bytes(m, k)
///   SharedWork work;
///   executor.run([&](Team team) {
///     quantize_activations_share(a, team.thread(), team.n_threads());
///     team.barrier();
///     const MatmulTerm terms[] = {{&wq, q, q_stride}, {&wk, k, k_stride}, {&wv, v, v_stride}};
///     matmul_share(a, terms, 3, work, team.thread(), team.n_threads());
///   });
#ifndef WEFT_KERNELS_OPS_MATMUL_MATMUL_H
#define WEFT_KERNELS_OPS_MATMUL_MATMUL_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/quant/format.h"
#include "kernels/threads/shared_work.h"

namespace weft {

/// Changes whenever the bytes that pack_matrix() writes change: part of the key of a packed-weight cache. The
/// layout is the same for every ISA level.
inline constexpr uint32_t kPackedLayoutVersion = 1;
inline constexpr int64_t kPackedAlignment = 64;  // bytes, of PackedMatrix::data

/// A weight matrix as the kernels read it: 16 rows interleaved. Does not own.
struct PackedMatrix {
  WeightFormat format = WeightFormat::kF32;
  int64_t n = 0;  // rows of W: outputs
  int64_t k = 0;  // columns of W: inputs
  const void* data = nullptr;
};

/// Whether matrices of this format can be packed and multiplied: all but F64 and the plain integers.
bool matmul_serves(WeightFormat format);

/// Bytes of a packed matrix. Errors: kUnsupported (format), kInvalidShape (an extent below 1, k not a
/// multiple of the block's elements), kOutOfRange (the size exceeds 2^62).
Result<int64_t> packed_size_bytes(WeightFormat format, int64_t n, int64_t k);

/// Packs W from the file's layout: n rows of k weights, rows adjacent. `src`: n * k / elements * bytes of
/// block_layout(), any alignment. `dst`: packed_size_bytes(), aligned to kPackedAlignment. Errors: as
/// packed_size_bytes(). The values are not checked: any block bits are a valid matrix (scales may be infinite
/// or NaN).
Status pack_matrix(WeightFormat format, int64_t n, int64_t k, const void* src, void* dst, Executor executor);

/// Rows of x and the scratch that holds their int8 rounding.
struct Activations {
  const float* x = nullptr;  // [m, k]
  int64_t m = 0;
  int64_t k = 0;
  int64_t x_stride = 0;  // elements between rows, at least k
  void* scratch =
      nullptr;  // activations_bytes(m, k), aligned to 64; may be null if no weight rounds_activations()
};

/// Bytes of Activations::scratch. Rows are rounded one after another: those from row r on are an Activations of their
/// own whose scratch begins activations_bytes(r, k) later. Precondition: m, k >= 0 and m * k < 2^56.
int64_t activations_bytes(int64_t m, int64_t k);

/// Whether products with this format read the int8 rounding: true for the block-quantised formats.
bool rounds_activations(WeightFormat format);

/// One of several matrices that multiply the same activations: y[m, n], rows y_stride elements apart.
struct MatmulTerm {
  const PackedMatrix* w = nullptr;
  float* y = nullptr;
  int64_t y_stride = 0;
  const float* bias = nullptr;  // [n], added to every row; null: none
};

/// Thread `thread` of `n_threads` rounds its part of the rows of `a` into a.scratch. No allocation. Needed
/// once per x before matmul_share() with a format that rounds_activations().
void quantize_activations_share(const Activations& a, uint32_t thread, uint32_t n_threads,
                                IsaLevel level = active_isa());

/// Thread `thread` of `n_threads` computes blocks of every term's y as long as `work`, which was reset, has any: a thread
/// that the system keeps from running leaves its blocks to the others. No allocation, no waiting; the caller's barrier makes
/// the other threads' parts visible. Each thread may have an Activations of its own with the same rows. Preconditions: those
/// that matmul() checks; the rounding is in place and was made at the same level.
void matmul_share(const Activations& a, const MatmulTerm* terms, int n_terms, SharedWork& work,
                  uint32_t thread, uint32_t n_threads, IsaLevel level = active_isa());

/// Both steps for all terms, in one team. Errors: kUnsupported (a format), kInvalidShape (k differs, a stride
/// too small, an extent below 0; m = 0 is fine), kInvalidArgument (a null or misaligned pointer).
Status matmul(const Activations& a, const MatmulTerm* terms, int n_terms, Executor executor,
              IsaLevel level = active_isa());

/// The body that serves `level`, as compiled: "scalar", "avx2" or "avx512". For tests, benches and `weft
/// doctor`.
const char* matmul_body_name(IsaLevel level);

/// The definition, naively, in double: y = x * W^T with W dequantised and x as it is. For tests.
/// src: as for pack_matrix(). y: [m, n] with rows n apart.
void matmul_reference(WeightFormat format, int64_t n, int64_t k, const void* src, const Activations& a,
                      float* y);

}  // namespace weft
#endif
