// What `weft bench kernels rope --device` measures: the queries and keys of a prompt, written into their pages.
#include "kernels/bench/device_case.h"
#include "kernels/device/ops.h"

namespace weft {

std::vector<DeviceCase> rope_device_cases() {
  std::vector<DeviceCase> cases;
  for (const int64_t tokens : {1, 2048}) {
    AttentionShape shape;
    shape.n_heads = 32, shape.n_kv_heads = 8, shape.head_dim = 128;
    const int64_t q_bytes = tokens * 32 * 128 * 4, kv_bytes = tokens * 8 * 128 * 4;
    DeviceCase c;
    c.name = std::to_string(tokens) + " tokens, 32 and 8 heads";
    c.bytes = 2.0 * static_cast<double>(q_bytes) + 3.0 * static_cast<double>(kv_bytes);  // f16 pages
    c.make = [=](const DeviceStream& stream) -> Result<DeviceRun> {
      const int64_t page_bytes = 2 * 8 * kv_block_bytes(shape.format, 128),
                    pages = (tokens + kPageTokens - 1) / kPageTokens;
      enum { kPages, kQ, kK, kV, kTurns, kList, kSlots };
      auto memory = DeviceOperands::allocate(stream, {pages * page_bytes, q_bytes, kv_bytes, kv_bytes,
                                                      tokens * 128 * 4, tokens * 8, tokens * 4});
      if (!memory.ok()) return memory.status();
      std::vector<int32_t> slots;
      for (int64_t i = 0; i < tokens; ++i) slots.push_back(static_cast<int32_t>(i % kPageTokens));
      Status filled = memory->fill(stream, kSlots, slots);
      for (int64_t set = 0; filled.ok() && set < memory->sets(); ++set) {
        std::vector<std::byte*> list;
        for (int64_t i = 0; i < tokens; ++i)
          list.push_back(memory->at(kPages, set) + i / kPageTokens * page_bytes);
        filled = stream.copy_to_device(memory->at(kList, set), list.data(), list.size() * 8);
        if (Status passed = stream.synchronize(); filled.ok()) filled = passed;
      }
      if (!filled.ok()) return filled;
      return DeviceRun([=, m = share(*std::move(memory))](int64_t i) {
        return stream.device()->ops().rope({.shape = shape,
                                            .layout = RopeLayout::kHalves,
                                            .n_rotated = 128,
                                            .cos_sin = m->as<float>(kTurns, i),
                                            .q = m->as<float>(kQ, i),
                                            .k = m->as<float>(kK, i),
                                            .v = m->as<float>(kV, i),
                                            .pages = m->as<std::byte*>(kList, i),
                                            .slots = m->as<int32_t>(kSlots, i),
                                            .tokens = tokens},
                                           stream);
      });
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace weft
