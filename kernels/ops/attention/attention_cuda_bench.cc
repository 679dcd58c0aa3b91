// What `weft bench kernels attention --device` measures: one layer of a decoder with 32 heads and 8 KV heads of 128, and of
// SmolLM2 (9 heads, 3 KV heads of 64), while it writes.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {
namespace {

struct Decoding {
  int64_t heads, kv_heads, head_dim, rows, depth;
  KvFormat format = KvFormat::kF16;
};

DeviceCase decode_case(const Decoding& d) {
  AttentionShape shape;
  shape.n_heads = d.heads, shape.n_kv_heads = d.kv_heads, shape.head_dim = d.head_dim;
  shape.scale = 0.1f;
  shape.format = d.format;
  DeviceCase c;
  c.name = std::to_string(d.rows) + " row" + (d.rows > 1 ? "s" : "") + ", " + std::to_string(d.kv_heads) +
           " x " + std::to_string(d.head_dim) + ", depth " + std::to_string(d.depth) +
           (d.format == KvFormat::kQ8_0 ? ", q8" : "");
  c.bytes = 2.0 * static_cast<double>(d.rows * d.kv_heads * kv_block_bytes(d.format, d.head_dim) /
                                      kPageTokens * d.depth);
  c.operations = 4.0 * static_cast<double>(d.rows * d.heads * d.head_dim * d.depth);
  c.make = [d, shape](const DeviceStream& stream) -> Result<DeviceRun> {
    const int64_t splits = decode_attention_splits(shape, d.rows, d.depth);
    const int64_t page_bytes = 2 * d.kv_heads * kv_block_bytes(shape.format, d.head_dim),
                  pages = (d.depth + kPageTokens - 1) / kPageTokens, width = d.heads * d.head_dim;
    enum { kPages, kQ, kY, kLists, kRows, kPositions, kWorkspace };
    auto memory = DeviceOperands::allocate(
        stream, {d.rows * pages * page_bytes, d.rows * width * 4, d.rows * width * 4, d.rows * pages * 8,
                 d.rows * 8, d.rows * 4, decode_attention_workspace(shape, d.rows, splits) * 4});
    if (!memory.ok()) return memory.status();
    // Addresses differ by set: each points into its own pages.
    Status filled =
        memory->fill(stream, kPositions,
                     std::vector<int32_t>(static_cast<size_t>(d.rows), static_cast<int32_t>(d.depth - 1)));
    for (int64_t set = 0; filled.ok() && set < memory->sets(); ++set) {
      std::vector<std::byte*> lists, rows;
      for (int64_t page = 0; page < d.rows * pages; ++page)
        lists.push_back(memory->at(kPages, set) + page * page_bytes);
      for (int64_t row = 0; row < d.rows; ++row) rows.push_back(memory->at(kLists, set) + row * pages * 8);
      filled = stream.copy_to_device(memory->at(kLists, set), lists.data(), lists.size() * 8);
      if (filled.ok()) filled = stream.copy_to_device(memory->at(kRows, set), rows.data(), rows.size() * 8);
      if (Status passed = stream.synchronize(); filled.ok()) filled = passed;
    }
    if (!filled.ok()) return filled;
    return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
      return stream.device()->ops().attention({.shape = shape,
                                               .q = m->as<float>(kQ, i),
                                               .y = m->as<float>(kY, i),
                                               .pages = m->as<std::byte* const*>(kRows, i),
                                               .positions = m->as<int32_t>(kPositions, i),
                                               .rows = d.rows,
                                               .splits = splits,
                                               .workspace = m->as<float>(kWorkspace, i)},
                                              stream);
    });
  };
  return c;
}

}  // namespace

std::vector<DeviceCase> attention_device_cases() {
  return {decode_case({32, 8, 128, 1, 1024}),
          decode_case({32, 8, 128, 1, 4096}),
          decode_case({32, 8, 128, 1, 32768}),
          decode_case({32, 8, 128, 32, 2048}),
          decode_case({32, 8, 128, 256, 1024}),
          decode_case({9, 3, 64, 1, 1024}),
          decode_case({32, 32, 80, 1, 2048}),
          decode_case({8, 1, 256, 1, 8192}),
          decode_case({32, 8, 128, 1, 32768, KvFormat::kQ8_0}),
          decode_case({32, 8, 128, 32, 2048, KvFormat::kQ8_0})};
}

}  // namespace weft
