#include "kernels/ops/matmul/unpack_cuda.h"
#include "kernels/quant/weight_blocks_device.h"

namespace weft {
namespace {

constexpr int kThreads = 256;

template <WeightFormat kFormat, typename T>
__global__ void __launch_bounds__(kThreads) unpack_weights(const uint8_t* w, T* y, int64_t count) {
  using Block = device::Block<kFormat>;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * 4;
  if (at >= count) return;
  device::store_quad(y + at, Block::weights(w + at / Block::kElements * Block::kBytes,
                                            static_cast<int>(at % Block::kElements)));
}

template <WeightFormat kFormat, typename T>
Status start(const UnpackCuda& u, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((u.count / 4 + kThreads - 1) / kThreads));
  return device::launch(stream, "unpack_weights", grid, kThreads, 0, unpack_weights<kFormat, T>,
                        static_cast<const uint8_t*>(u.w), static_cast<T*>(u.y), u.count);
}

}  // namespace

Status unpack_cuda(const UnpackCuda& u, cudaStream_t stream) {
  const int elements = block_layout(u.format).elements;
  if (u.count < 0 || u.count % 4 != 0 || u.count % elements != 0 || u.count > int64_t{1} << 40)
    return Status(StatusCode::kInvalidShape, "weights to unpack on a device: an impossible count")
        .expected("a multiple of 4 and of the block's " + std::to_string(elements) + ", at most 2^40")
        .got(std::to_string(u.count));
  if (u.count == 0) return {};
  if (!u.w || !u.y || !device::aligned_to(u.w, 16) || !device::aligned_to(u.y, 16))
    return Status(StatusCode::kInvalidArgument,
                  "weights to unpack on a device: expected pointers aligned to 16 bytes");
  return device::start_for_format(u.format, "weights to unpack", [&](auto format) -> Status {
    switch (u.dtype) {
      case DType::kF16: return start<format(), device::F16>(u, stream);
      case DType::kBF16: return start<format(), device::BF16>(u, stream);
      case DType::kF32: return start<format(), float>(u, stream);
      default: break;
    }
    return Status(StatusCode::kUnsupported, "weights are unpacked on a device as f16, bf16 or f32");
  });
}

}  // namespace weft
