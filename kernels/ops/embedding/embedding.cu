// Four elements a thread and turn, so that lanes beside each other read the codes of one block.

#include "kernels/ops/embedding/embedding_cuda.h"
#include "kernels/quant/weight_blocks_device.h"

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

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads) embedding_rows(Work work) {
  using Block = device::Block<kFormat>;
  const int64_t token = work.tokens[blockIdx.x];
  const bool known = token >= 0 && token < work.rows;
  const uint8_t* row = work.table + (known ? token : 0) * (work.width / Block::kElements) * Block::kBytes;
  const float* position = work.positions;
  if (position != nullptr) position += work.position_of[blockIdx.x] * work.width;
  float* y = work.y + blockIdx.x * work.width;
  for (int64_t at = threadIdx.x * 4; at < work.width; at += kThreads * 4) {
    device::Quad x = {{NAN, NAN, NAN, NAN}};
    if (known)
      x = Block::weights(row + at / Block::kElements * Block::kBytes,
                         static_cast<int>(at % Block::kElements));
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
