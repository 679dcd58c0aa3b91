// Plain weights: four a thread. Tiles: a run of 32 elements of 16 rows a warp, of which a lane has four times four.

#include "kernels/ops/matmul/unpack_cuda.h"
#include "kernels/quant/weight_tiles_device.h"

namespace weft {
namespace {

constexpr int kThreads = 256;

template <typename From, typename T>
__global__ void __launch_bounds__(kThreads) unpack_plain(const From* w, T* y, int64_t count) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * 4;
  if (at < count) device::store_quad(y + at, device::load_quad(w + at));
}

template <WeightFormat kFormat, typename T>
__global__ void __launch_bounds__(kThreads)
    unpack_tiles(const uint8_t* w, T* y, int64_t n, int64_t k, int64_t runs_of_a_row, int64_t runs) {
  using Unit = device::TileUnit<kFormat>;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (at >= runs) return;
  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, c = lane % 4;
  const int64_t first_row = at / runs_of_a_row * kTileRows + g, e = at % runs_of_a_row * 32 + c * 4;
  const int run = static_cast<int>(at % Unit::kRuns);  // a row has whole units
  const uint8_t* const unit = w + at / Unit::kRuns * Unit::kBytes;
  uint32_t codes[4];
  Unit::codes(unit, run, lane, codes);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const device::RowScales s = Unit::scales(unit, run * Unit::kHalves + half * (Unit::kHalves - 1), g);
    const int64_t element = e + half * 16;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int64_t row = first_row + 8 * i;
      if (row >= n || element >= k) continue;
      const uint32_t word = codes[half * 2 + i];
      device::Quad x;
      for (int j = 0; j < 4; ++j) {
        x.v[j] = s.scale[i] * static_cast<float>(static_cast<int8_t>(word >> 8 * j & 255));
        if constexpr (Unit::kShifts) x.v[j] += s.shift[i];
      }
      device::store_quad(y + row * k + element, x);
    }
  }
}

template <typename From, typename T>
Status start_plain(const UnpackCuda& u, cudaStream_t stream) {
  const int64_t count = u.n * u.k;
  return device::launch(stream, "unpack", dim3(static_cast<unsigned>((count / 4 + kThreads - 1) / kThreads)),
                        kThreads, 0, unpack_plain<From, T>, static_cast<const From*>(u.w),
                        static_cast<T*>(u.y), count);
}

template <WeightFormat kFormat, typename T>
Status start(const UnpackCuda& u, cudaStream_t stream) {
  if constexpr (kFormat == WeightFormat::kF32) return start_plain<float, T>(u, stream);
  else if constexpr (kFormat == WeightFormat::kF16) return start_plain<device::F16, T>(u, stream);
  else if constexpr (kFormat == WeightFormat::kBF16) return start_plain<device::BF16, T>(u, stream);
  else {
    const int64_t runs_of_a_row =
        tile_bytes(kFormat, u.k) / tile_unit_bytes(kFormat) * device::TileUnit<kFormat>::kRuns;
    const int64_t runs = (u.n + kTileRows - 1) / kTileRows * runs_of_a_row;
    const dim3 grid(static_cast<unsigned>((runs * 32 + kThreads - 1) / kThreads));
    return device::launch(stream, "unpack", grid, kThreads, 0, unpack_tiles<kFormat, T>,
                          static_cast<const uint8_t*>(u.w), static_cast<T*>(u.y), u.n, u.k, runs_of_a_row,
                          runs);
  }
}

}  // namespace

Status unpack_cuda(const UnpackCuda& u, cudaStream_t stream) {
  const int elements = block_layout(u.format).elements;
  constexpr int64_t kMost = 1 << 30;
  if (u.n < 0 || u.n > kMost || u.k < 1 || u.k > kMost || u.n * u.k > int64_t{1} << 40 ||
      u.k % elements != 0 || (lies_in_tiles(u.format) ? u.k : u.n * u.k) % 4 != 0)
    return Status(StatusCode::kInvalidShape, "weights to unpack on a device: an impossible shape")
        .expected("n and k in [0, 2^30], 2^40 elements, a multiple of 4; k a multiple of the block's " +
                  std::to_string(elements))
        .got("n " + std::to_string(u.n) + ", k " + std::to_string(u.k));
  if (u.n == 0) return {};
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
