// Four elements a thread and turn.

#include "kernels/ops/embedding/embedding_cuda.h"
#include "kernels/quant/weight_tiles_device.h"

namespace weft {
namespace {

constexpr int kThreads = 128;

struct Work {
  const uint8_t* table;
  const int32_t* tokens;
  const float* positions;
  const int32_t* position_of;
  float* y;
  int64_t rows, width;
  float scale;
};

/// Four weights from element `at` of a row on.
template <WeightFormat kFormat>
__device__ __forceinline__ device::Quad weights(const Work& work, int64_t row, int64_t at) {
  if constexpr (!device::Block<kFormat>::kQuantised) {
    using Block = device::Block<kFormat>;
    return Block::weights(work.table + (row * work.width + at) / Block::kElements * Block::kBytes, 0);
  } else {
    using Unit = device::TileUnit<kFormat>;
    const int64_t units = (work.width + Unit::kElements - 1) / Unit::kElements;
    const uint8_t* const unit = work.table + (row / kTileRows * units + at / Unit::kElements) * Unit::kBytes;
    const int e = static_cast<int>(at % Unit::kElements), second = static_cast<int>(row % kTileRows / 8),
              g = static_cast<int>(row % 8);
    uint32_t codes[4];
    Unit::codes(unit, e / 32, g * 4 + e % 16 / 4, codes);
    const uint32_t of_row[2] = {second == 0 ? codes[0] : codes[1], second == 0 ? codes[2] : codes[3]};
    const uint32_t four = e / 16 % 2 == 0 ? of_row[0] : of_row[1];
    const device::RowScales s = Unit::scales(unit, e / Unit::kRun, g);
    device::Quad w;
    for (int j = 0; j < 4; ++j) {
      w.v[j] = (second == 0 ? s.scale[0] : s.scale[1]) *
               static_cast<float>(static_cast<int8_t>(four >> 8 * j & 255));
      if constexpr (Unit::kShifts) w.v[j] += second == 0 ? s.shift[0] : s.shift[1];
    }
    return w;
  }
}

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads) embedding_rows(Work work) {
  const int64_t token = work.tokens[blockIdx.x];
  const bool known = token >= 0 && token < work.rows;
  const float* position = work.positions;
  if (position != nullptr) position += work.position_of[blockIdx.x] * work.width;
  float* y = work.y + blockIdx.x * work.width;
  for (int64_t at = threadIdx.x * 4; at < work.width; at += kThreads * 4) {
    device::Quad x = {{NAN, NAN, NAN, NAN}};
    if (known) x = weights<kFormat>(work, token, at);
    for (int j = 0; j < 4; ++j) x.v[j] *= work.scale;
    if (position != nullptr) {
      const device::Quad p = device::load_quad(position + at);
      for (int j = 0; j < 4; ++j) x.v[j] += p.v[j];
    }
    device::store_quad(y + at, x);
  }
}

}  // namespace

Status embedding_cuda(const EmbeddingCuda& e, cudaStream_t stream) {
  const EmbeddingTable& table = e.table;
  const int elements = block_layout(table.format).elements;
  if (e.count < 0 || table.rows < 0 || table.width < 1 || table.width % elements != 0 || table.width % 4 != 0)
    return Status(StatusCode::kInvalidShape, "an embedding on a device: an impossible shape")
        .expected("count, rows >= 0, a width that is a multiple of 4 and of the block's " +
                  std::to_string(elements))
        .got("count " + std::to_string(e.count) + ", table [" + std::to_string(table.rows) + ", " +
             std::to_string(table.width) + "]");
  if (e.count == 0) return {};
  if (!table.data || !e.tokens || !e.y || (e.positions && !e.position_of))
    return Status(StatusCode::kInvalidArgument, "an embedding on a device: a pointer is null");
  if (!device::aligned_to(table.data, 16) || !device::aligned_to(e.y, 16) ||
      !device::aligned_to(e.positions, 16))
    return Status(StatusCode::kInvalidArgument,
                  "an embedding on a device: expected pointers aligned to 16 bytes");
  const Work work = {static_cast<const uint8_t*>(table.data),
                     e.tokens,
                     e.positions,
                     e.position_of,
                     e.y,
                     table.rows,
                     table.width,
                     e.scale};
  const dim3 grid(static_cast<unsigned>(e.count));
  return device::start_for_format(table.format, "embeddings", [&](auto format) {
    return device::launch(stream, "embedding_rows", grid, kThreads, 0, embedding_rows<format()>, work);
  });
}

}  // namespace weft
