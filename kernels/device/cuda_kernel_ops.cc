// Linked into each library of devices, beside the kernels: nvcc's, or g++'s for kernels/simt.
#include "kernels/device/ops.h"

namespace weft {

DeviceOps cuda_kernel_ops() {
  DeviceOps ops;
  ops.activation.set(activate_cuda);
  ops.add.set(add_cuda);
  ops.affine.set(affine_cuda);
  ops.soft_cap.set(soft_cap_cuda);
  ops.attention.set(decode_attention_cuda);
  ops.convolution.set(convolution_cuda);
  ops.finish_convolution.set(finish_convolution_cuda);
  ops.dense_attention.set(dense_attention_cuda);
  ops.embedding.set(embedding_cuda);
  ops.gemm.set(gemm_cuda);
  ops.group_norm.set(group_norm_scale_cuda);
  ops.scale_shift.set(scale_shift_cuda);
  ops.channel_moments.set(channel_moments_cuda);
  ops.moments_scale.set(moments_scale_cuda);
  ops.matmul.set(matmul_cuda);
  ops.gemv.set(gemv_cuda);
  ops.tile_weights.set(tile_weights_cuda);
  ops.unpack.set(unpack_cuda);
  ops.norm.set(norm_cuda);
  ops.rope.set(rope_store_cuda);
  ops.sampling.set(sampling_cuda);
  ops.softmax.set(softmax_cuda);
  ops.top_k.set(top_k_cuda);
  return ops;
}

}  // namespace weft
