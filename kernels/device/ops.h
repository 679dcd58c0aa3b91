/// The ops of kernels/ops on a device: one call each, behind which a device's library puts its kernel.
///
/// An op that a device lacks answers with kUnsupported, "op rope is not on cuda:0; it runs on the CPU", so that callers
/// choose and never guess. A call takes pointers into the device's memory, as the op's <op>_cuda.h says, and is stream-ordered.
/// Thread safety: any thread, as the stream allows.
///
///   Status done = device.ops().norm({.norm = {...}, .x = x, .y = y, .rows = 4, .cols = 576, ...}, stream);
#ifndef WEFT_KERNELS_DEVICE_OPS_H
#define WEFT_KERNELS_DEVICE_OPS_H

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/ops/activation/activation_cuda.h"
#include "kernels/ops/attention/attention_cuda.h"
#include "kernels/ops/convolution/convolution_cuda.h"
#include "kernels/ops/dense_attention/dense_attention_cuda.h"
#include "kernels/ops/embedding/embedding_cuda.h"
#include "kernels/ops/gemm/gemm_cuda.h"
#include "kernels/ops/group_norm/group_norm_cuda.h"
#include "kernels/ops/matmul/gemv_cuda.h"
#include "kernels/ops/matmul/matmul_cuda.h"
#include "kernels/ops/matmul/tile_weights_cuda.h"
#include "kernels/ops/matmul/unpack_cuda.h"
#include "kernels/ops/norm/norm_cuda.h"
#include "kernels/ops/rope/rope_cuda.h"
#include "kernels/ops/sampling/sampling_cuda.h"
#include "kernels/ops/softmax/softmax_cuda.h"
#include "kernels/ops/top_k/top_k_cuda.h"

namespace weft {

template <typename Arguments>
class DeviceOp {
 public:
  using Kernel = std::function<Status(const Arguments&, NativeStream)>;
  explicit DeviceOp(const char* name) : name_(name) {}
  /// kernel: may be called by several threads at a time.
  void set(Kernel kernel) { kernel_ = std::move(kernel); }
  const char* name() const { return name_; }
  bool served() const { return static_cast<bool>(kernel_); }
  /// Errors: kUnsupported (no kernel on this device), the kernel's, those of a lost device.
  Status operator()(const Arguments& arguments, const DeviceStream& stream) const {
    return kernel_ ? kernel_(arguments, stream.native()) : missing_on(stream.device()->facts().name);
  }
  Status operator()(const Arguments& arguments, NativeStream stream) const {
    return kernel_ ? kernel_(arguments, stream) : missing_on("this device");
  }

 private:
  Status missing_on(const std::string& device) const {
    return Status(StatusCode::kUnsupported,
                  std::string("op ") + name_ + " is not on " + device + "; it runs on the CPU");
  }

  const char* name_;
  Kernel kernel_;
};

/// An op is named after its folder in kernels/ops; where that has several calls, the others are `folder/call`.
struct DeviceOps {
  DeviceOp<ActivationCuda> activation{"activation"};
  DeviceOp<AddCuda> add{"activation/add"};
  DeviceOp<AffineCuda> affine{"activation/affine"};
  DeviceOp<SoftCapCuda> soft_cap{"activation/soft_cap"};
  DeviceOp<DecodeAttentionCuda> attention{"attention"};
  DeviceOp<ConvolutionCuda> convolution{"convolution"};
  DeviceOp<FinishConvolutionCuda> finish_convolution{"convolution/finish"};
  DeviceOp<DenseAttentionCuda> dense_attention{"dense_attention"};
  DeviceOp<EmbeddingCuda> embedding{"embedding"};
  DeviceOp<GemmCuda> gemm{"gemm"};
  DeviceOp<GroupNormCuda> group_norm{"group_norm"};
  DeviceOp<ScaleShiftCuda> scale_shift{"group_norm/scale_shift"};
  DeviceOp<ChannelMomentsCuda> channel_moments{"group_norm/channel_moments"};
  DeviceOp<MomentsScaleCuda> moments_scale{"group_norm/moments_scale"};
  DeviceOp<MatmulCuda> matmul{"matmul"};
  DeviceOp<GemvCuda> gemv{"matmul/gemv"};
  DeviceOp<TileWeightsCuda> tile_weights{"matmul/tile_weights"};
  DeviceOp<UnpackCuda> unpack{"matmul/unpack"};
  DeviceOp<NormCuda> norm{"norm"};
  DeviceOp<RopeStoreCuda> rope{"rope"};
  DeviceOp<SamplingCuda> sampling{"sampling"};
  DeviceOp<SoftmaxCuda> softmax{"softmax"};
  DeviceOp<TopKCuda> top_k{"top_k"};

  /// Calls `with` for each op.
  template <typename Visitor>
  void for_each(const Visitor& with) const {
    with(activation), with(add), with(affine), with(soft_cap), with(attention), with(convolution);
    with(finish_convolution), with(dense_attention), with(embedding), with(gemm), with(group_norm),
        with(scale_shift);
    with(channel_moments), with(moments_scale);
    with(matmul), with(gemv), with(tile_weights), with(unpack), with(norm);
    with(rope), with(sampling), with(softmax), with(top_k);
  }
};

/// Puts the kernels of this tree's .cu sources, as the calling library compiled them, behind the calls.
DeviceOps cuda_kernel_ops();

}  // namespace weft
#endif
