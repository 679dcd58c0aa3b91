#include "kernels/ops/matmul/tile_weights_cuda.h"
#include "kernels/quant/weight_tiles_device.h"

namespace weft {
namespace {

constexpr int kThreads = 128;

struct Work {
  const uint8_t* blocks;
  uint8_t* tiles;
  int64_t n, blocks_of_a_row, units_of_a_row, units;
};

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads) make_units(Work work) {
  using Unit = device::TileUnit<kFormat>;
  using Block = device::Block<kFormat>;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (at >= work.units) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t tile = at / work.units_of_a_row, unit = at % work.units_of_a_row;
  device::UnitBlocks<Unit::kBlocks> from;
#pragma unroll
  for (int b = 0; b < Unit::kBlocks; ++b) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int64_t row = tile * kTileRows + lane / 4 + 8 * i, block = unit * Unit::kBlocks + b;
      const bool present = row < work.n && block < work.blocks_of_a_row;
      from.b[b][i] = present ? work.blocks + (row * work.blocks_of_a_row + block) * Block::kBytes : nullptr;
    }
  }
  Unit::store(work.tiles + at * Unit::kBytes, lane, from);
}

template <WeightFormat kFormat>
Status start(const TileWeightsCuda& t, cudaStream_t stream) {
  if constexpr (!lies_in_tiles(kFormat)) {
    return Status(StatusCode::kUnsupported,
                  std::string(block_layout(kFormat).name) + " does not lie in tiles on a device");
  } else {
    Work work = {static_cast<const uint8_t*>(t.blocks),
                 static_cast<uint8_t*>(t.tiles),
                 t.n,
                 t.k / block_layout(kFormat).elements,
                 0,
                 0};
    work.units_of_a_row = tile_bytes(kFormat, t.k) / tile_unit_bytes(kFormat);
    work.units = (t.n + kTileRows - 1) / kTileRows * work.units_of_a_row;
    const dim3 grid(static_cast<unsigned>((work.units * 32 + kThreads - 1) / kThreads));
    return device::launch(stream, "tile_weights", grid, kThreads, 0, make_units<kFormat>, work);
  }
}

}  // namespace

Status tile_weights_cuda(const TileWeightsCuda& t, cudaStream_t stream) {
  const int elements = block_layout(t.format).elements;
  constexpr int64_t kMost = int64_t{1} << 40;
  if (t.n < 0 || t.n > kMost || t.k < 1 || t.k > kMost || t.k % elements != 0)
    return Status(StatusCode::kInvalidShape, "weights to put into tiles on a device: an impossible shape")
        .expected("n >= 0, k a multiple of the block's " + std::to_string(elements))
        .got("n " + std::to_string(t.n) + ", k " + std::to_string(t.k));
  if (t.n == 0) return {};
  if (!t.blocks || !t.tiles || !device::aligned_to(t.blocks, 16) || !device::aligned_to(t.tiles, 16))
    return Status(StatusCode::kInvalidArgument,
                  "weights to put into tiles on a device: expected pointers aligned to 16 bytes");
  return device::start_for_format(t.format, "tiles", [&](auto format) { return start<format()>(t, stream); });
}

}  // namespace weft
