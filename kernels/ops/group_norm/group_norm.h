/// Group norm of NHWC images: channels in groups, each (image, group) normalised by its own mean and variance.
///
///   y = (x - mean) / sqrt(var + epsilon) * weight + bias      x: [images, h, w, channels], f32, bf16 or f16
///
/// The statistics become one scale and shift per (image, channel), so that y = x * scale + shift: a convolution applies
/// them on the way in (ops/convolution), group_norm_apply() where there is none. A second input whose channels follow x's
/// (a UNet's skip connection) is normalised with it, without a copy of both.
/// Source: Wu & He 2018, arXiv:1803.08494.
///
/// Numerics: per channel, values less the image's first one are summed in f32 over runs of 64 pixels and the runs in
/// double; channels are joined in double (Chan et al. 1979). The bits of an image's statistics depend on that image alone.
///
/// Ownership: the caller owns all memory; no op allocates. Threads: group_norm_scale() and group_norm() run teams of their
/// own; the _share() functions are one thread's part, for callers that keep one team over many ops:
///
///   group_norm_moments_share(g, team.thread(), team.n_threads());
///   team.barrier();
///   group_norm_scale_share(g, team.thread(), team.n_threads());
///   team.barrier();                                     // g.scale and g.shift are there
#ifndef WEFT_KERNELS_OPS_GROUP_NORM_GROUP_NORM_H
#define WEFT_KERNELS_OPS_GROUP_NORM_GROUP_NORM_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>

#include "kernels/cpu/isa.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/tensor.h"

namespace weft {

/// Channels of every view are adjacent (the last stride is 1); other strides are free.
struct GroupNorm {
  TensorView x;                   // [images, h, w, c]
  TensorView skip = {};           // [images, h, w, c']; rank 0: none, c' = 0
  int64_t groups = 32;            // divides c + c'
  float epsilon = 1e-5f;          // > 0
  const float* weight = nullptr;  // [c + c'] or null: 1
  const float* bias = nullptr;    // [c + c'] or null: 0
  float* scale = nullptr;         // [images, c + c'], written
  float* shift = nullptr;         // [images, c + c'], written
};

/// What group_norm_scale() refuses: kUnsupported (a dtype), kInvalidShape (no pixels or channels, groups that do not divide
/// them, a skip of another size; no images are fine), kInvalidArgument (a null pointer, an epsilon that is not positive).
Status check_group_norm(const GroupNorm& g);

/// Fills g.scale and g.shift. Errors: as check_group_norm().
Status group_norm_scale(const GroupNorm& g, Executor executor, IsaLevel level = active_isa());

/// The two steps of it: mean and variance of each channel into g.scale and g.shift, then what they stand for.
/// Precondition: check_group_norm() is ok; a barrier between the two.
void group_norm_moments_share(const GroupNorm& g, uint32_t thread, uint32_t n_threads,
                              IsaLevel level = active_isa());
void group_norm_scale_share(const GroupNorm& g, uint32_t thread, uint32_t n_threads);

/// y = f(x * scale + shift), the thread's part of it; f: nothing or an activation. y: as g.x and g.skip together,
/// [images, h, w, c + c'], f32, bf16 or f16; may be g.x itself where there is no skip.
/// Precondition: check_group_norm_output() is ok, g.scale and g.shift are there.
void group_norm_apply_share(const GroupNorm& g, std::optional<Activation> f, const TensorView& y,
                            uint32_t thread, uint32_t n_threads, IsaLevel level = active_isa());

/// Whether y can take the result: kUnsupported (its dtype), kInvalidShape, kInvalidArgument (null).
Status check_group_norm_output(const GroupNorm& g, const TensorView& y);

/// All of it: statistics, then y = f(group norm of x). Errors: as check_group_norm() and check_group_norm_output().
Status group_norm(const GroupNorm& g, std::optional<Activation> f, const TensorView& y, Executor executor,
                  IsaLevel level = active_isa());

/// The definition, naively, in double; fills g.scale and g.shift, and y unless its rank is 0.
void group_norm_reference(const GroupNorm& g, std::optional<Activation> f, const TensorView& y);

}  // namespace weft
#endif
