/// Where a pass on a device has what it works with: one piece of memory, in parts. Private to the decoder.
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DEVICE_WORKSPACE_H
#define WEFT_KERNELS_NETWORKS_DECODER_DEVICE_WORKSPACE_H

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/device/ops.h"
#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/networks/decoder/device_decoder.h"
#include "kernels/quant/weight_tiles.h"

namespace weft {

/// Rows that go through the kernels that read a weight once for four of them; more are worth unpacked weights.
inline constexpr int64_t kFewRows = 16;
constexpr int64_t device_aligned(int64_t bytes) {
  constexpr auto kAlignment = static_cast<int64_t>(kDeviceAlignment);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// An adapter's rank as it is stored: filled up, so that rows of so many floats begin at 16 bytes.
constexpr int64_t device_rank(int64_t rank) { return (rank + 3) / 4 * 4; }

/// Parts of one piece of memory, one after another from `base`, or nowhere if it is null.
struct MemoryLayout {
  std::byte* base;
  int64_t at = 0;
  template <typename Part>
  void take(Part*& part, int64_t count) {
    part = reinterpret_cast<Part*>(base ? base + at : nullptr);
    at += device_aligned(count * static_cast<int64_t>(sizeof(Part)));
  }
};

/// Whether products of many rows go over tensor cores, rounded to 16 bits: not those of f32, whose files want all of it.
inline bool goes_dense(const PackedMatrix& w) { return w.format != WeightFormat::kF32 && w.k % 8 == 0; }

inline int64_t widest_input(const DecoderConfig& c) {
  return std::max({c.width, c.query_width(), c.mlp_width});
}
/// Of W that are unpacked at a time.
inline int64_t unpacked_elements(const DecoderConfig& c) {
  constexpr int64_t kMost = 64 << 20;
  const int64_t largest =
      std::max({c.query_width() * c.width, c.mlp_width * c.width, c.vocabulary * c.width});
  const int64_t least = kTileRows * widest_input(c);
  return std::clamp(largest, least, std::max(kMost, least));
}
/// Floats for the sums of products whose depth is split among blocks, or for the library that has such products.
inline int64_t split_sums_floats(const DecoderConfig& c, int64_t n) {
  constexpr int64_t kMost = 8 << 20;
  const int64_t sums = std::min(kMost, 8 * n * std::max(widest_input(c), c.kv_width()));
  if (!library_wins(DType::kF16, n, 1, unpacked_elements(c))) return sums;
  return std::max(sums, library_workspace(DType::kF16, unpacked_elements(c) / c.width));
}

/// What a pass is told: filled in the host's memory, read in the device's.
struct DevicePassInputs {
  int32_t* tokens = nullptr;     // [n]
  int32_t* positions = nullptr;  // [n]
  int32_t* slots = nullptr;      // [n] within the page
  int32_t* ahead = nullptr;      // [n] tokens that it sees behind its own, where pictures see themselves
  std::byte** page = nullptr;    // [n] that holds the token
  std::byte*** pages = nullptr;  // [n] the row's list, in the device's memory
  float* turns = nullptr;        // [n, n_rotated] cosine and sine
  float* local_turns = nullptr;
  std::byte** lists = nullptr;  // [page_entries]; last, so that the places of the others depend on n alone

  int64_t place(std::byte* base, const DecoderConfig& c, int64_t n, int64_t page_entries) {
    MemoryLayout layout{base};
    layout.take(tokens, n);
    layout.take(positions, n);
    layout.take(slots, n);
    layout.take(ahead, c.pictures_see_themselves ? n : 0);
    layout.take(page, n);
    layout.take(pages, n);
    layout.take(turns, c.rope.layout == RopeLayout::kNone ? 0 : n * c.rope.n_rotated);
    layout.take(local_turns, c.sliding_window > 0 ? n * c.local_rope.n_rotated : 0);
    layout.take(lists, page_entries);
    return layout.at;
  }
};

struct DeviceWorkspace {
  std::byte* inputs = nullptr;   // DevicePassInputs
  float* hidden = nullptr;       // [n, width] the residual stream
  float* normed = nullptr;       // [n, width]
  float* second = nullptr;       // [n, width] input of the MLP, in parallel blocks with two norms
  float* q = nullptr;            // [n, query_width]
  float* k = nullptr;            // [n, kv_width]
  float* v = nullptr;            // [n, kv_width]
  float* attended = nullptr;     // [n, query_width]
  float* parts = nullptr;        // of decode_attention_cuda()
  float* gate = nullptr;         // [n, mlp_width]
  float* up = nullptr;           // [n, mlp_width]
  float* product = nullptr;      // [n, width] before a norm of its own
  float* low_rank = nullptr;     // [n, rank] between an adapter's two products
  uint16_t* narrow = nullptr;    // [n, widest input] of a dense product
  uint16_t* unpacked = nullptr;  // rows of its weights
  float* split_sums = nullptr;
  float* chosen = nullptr;        // [rows, width] rows whose logits or hidden states are wanted
  float* logits = nullptr;        // [rows, vocabulary]
  RankedValue* top = nullptr;     // [rows, k]
  RankedValue* ranked = nullptr;  // of top_k_cuda()
  std::byte* draws = nullptr;     // DeviceDraws
  int32_t* drawn = nullptr;       // [draws]

  int64_t place(std::byte* base, const DecoderConfig& c, const DeviceDecoder::Limits& limits) {
    const int64_t n = limits.tokens;
    MemoryLayout layout{base};
    layout.take(inputs, DevicePassInputs().place(nullptr, c, n, limits.page_entries));
    layout.take(hidden, n * c.width);
    layout.take(normed, n * c.width);
    layout.take(second, c.block == BlockKind::kParallel ? n * c.width : 0);
    layout.take(q, n * c.query_width());
    layout.take(k, n * c.kv_width());
    layout.take(v, n * c.kv_width());
    layout.take(attended, n * c.query_width());
    AttentionShape shape;
    shape.head_dim = c.head_dim;
    layout.take(parts, most_decode_attention_workspace(shape));
    layout.take(gate, n * c.mlp_width);
    layout.take(up, n * c.mlp_width);
    layout.take(product, c.post_norms ? n * c.width : 0);
    layout.take(low_rank, n * device_rank(limits.total_rank));
    const bool dense = std::max(n, limits.logits_rows) > kFewRows;
    layout.take(narrow, dense ? std::max(n, limits.logits_rows) * widest_input(c) : 0);
    layout.take(unpacked, dense ? unpacked_elements(c) : 0);
    layout.take(split_sums, dense ? split_sums_floats(c, n) : 0);
    layout.take(chosen, std::max(limits.logits_rows, n) * c.width);
    layout.take(logits, limits.logits_rows * c.vocabulary);
    layout.take(top, limits.logits_rows * limits.k);
    layout.take(ranked, top_k_workspace(limits.logits_rows, c.vocabulary, limits.k));
    layout.take(draws, DeviceDraws::most_bytes(limits.draws, c.vocabulary));
    layout.take(drawn, limits.draws);
    return layout.at;
  }
};

}  // namespace weft
#endif
