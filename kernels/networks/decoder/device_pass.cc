#include "kernels/networks/decoder/device_pass.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "kernels/networks/decoder/lora_state.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/weight_tiles.h"

namespace weft {
namespace {

/// Null: the adapter leaves the layer as it is, as all do the output.
const LowRankPair* pair_of(const LoraTerm& term, const Linear& linear) {
  if (linear.index < 0) return nullptr;
  const LowRankPair& pair = term.adapter->state().pairs[static_cast<size_t>(linear.index)];
  return pair.a.n > 0 ? &pair : nullptr;
}

}  // namespace

void DevicePass::fill_inputs(std::byte* host, int64_t page_entries) {
  DevicePassInputs here;
  in_.place(w_.inputs, c_, n_, page_entries);
  here.place(host, c_, n_, page_entries);
  if (c_.pictures_see_themselves) std::fill_n(here.ahead, n_, 0);
  int64_t row = 0, entry = 0;
  for (const DecoderChunk& chunk : batch_.chunks) {
    const int64_t first_row = row;
    const std::span<std::byte* const> pages = chunk.sequence->pages();
    std::copy(pages.begin(), pages.end(), here.lists + entry);
    for (size_t i = 0; i < chunk.tokens.size(); ++i, ++row) {
      const int64_t position = chunk.sequence->length() + static_cast<int64_t>(i);
      longest_ = std::max(longest_, position + 1);
      here.tokens[row] = chunk.tokens[i];
      here.positions[row] = static_cast<int32_t>(position);
      here.slots[row] = static_cast<int32_t>(position % kPageTokens);
      here.page[row] = pages[static_cast<size_t>(position / kPageTokens)];
      here.pages[row] = in_.lists + entry;
      if (c_.rope.layout != RopeLayout::kNone)
        rope_cos_sin(s_.frequencies.data(), c_.rope.n_rotated, s_.rope_magnitude, position,
                     here.turns + row * c_.rope.n_rotated);
      if (!s_.local_frequencies.empty())
        rope_cos_sin(s_.local_frequencies.data(), c_.local_rope.n_rotated, s_.local_rope_magnitude, position,
                     here.local_turns + row * c_.local_rope.n_rotated);
    }
    for (const EmbeddedRows& rows : chunk.embedded)
      for (int64_t i = 0; i < rows.count; ++i) {
        const int64_t r = first_row + rows.begin + i;
        here.tokens[r] = static_cast<int32_t>(i);  // they are a table of their own
        if (c_.pictures_see_themselves) here.ahead[r] = static_cast<int32_t>(rows.count - 1 - i);
      }
    entry += static_cast<int64_t>(pages.size());
  }
}

bool DevicePass::embeds() const {
  return std::ranges::any_of(batch_.chunks,
                             [](const DecoderChunk& chunk) { return !chunk.embedded.empty(); });
}

Status DevicePass::embed_rows(const EmbeddedRows& rows, int64_t first) {
  const float* table = rows.rows;
  if (rows.memory == RowsMemory::kHost) {
    float* const copy = w_.normed + first * c_.width;  // free yet
    table = copy;
    Status copied =
        stream_.copy_to_device(copy, rows.rows, static_cast<uint64_t>(rows.count * c_.width) * sizeof(float));
    if (!copied.ok()) return copied;
  }
  return ops_.embedding({.table = {WeightFormat::kF32, table, rows.count, c_.width},
                         .tokens = in_.tokens + first,
                         .positions = s_.position_embedding,
                         .position_of = in_.positions + first,
                         .y = w_.hidden + first * c_.width,
                         .count = rows.count},
                        stream_);
}

Status DevicePass::embed() {
  Status status = ops_.embedding({.table = embedding_,
                                  .tokens = in_.tokens,
                                  .scale = c_.embedding_scale,
                                  .positions = s_.position_embedding,
                                  .position_of = in_.positions,
                                  .y = w_.hidden,
                                  .count = n_},
                                 stream_);
  int64_t first_row = 0;
  for (const DecoderChunk& chunk : batch_.chunks) {
    for (const EmbeddedRows& rows : chunk.embedded)
      if (status.ok()) status = embed_rows(rows, first_row + rows.begin);
    first_row += static_cast<int64_t>(chunk.tokens.size());
  }
  return status;
}

Status DevicePass::layer(int64_t i) {
  const DecoderLayer& layer = s_.layers[static_cast<size_t>(i)];
  Result<ProductInput> input = normed(layer.attention_norm, w_.normed);
  if (!input.ok()) return input.status();
  ProductInput mlp_input = *input;
  const bool parallel = c_.block == BlockKind::kParallel;
  if (parallel && !layer.one_norm) {
    mlp_input = {w_.second, nullptr};
    if (Status status = norm(layer.mlp_norm, w_.hidden, w_.second, n_, c_.width); !status.ok()) return status;
  }
  if (Status status = attention(layer, i, *input); !status.ok()) return status;
  if (!parallel) {
    input = normed(layer.mlp_norm, w_.normed);
    if (!input.ok()) return input.status();
    mlp_input = *input;
  }
  return mlp(layer, mlp_input);
}

Status DevicePass::choose(std::span<const int32_t> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    Status copied = stream_.copy_within(w_.chosen + static_cast<int64_t>(i) * c_.width,
                                        w_.hidden + rows[i] * c_.width, static_cast<uint64_t>(c_.width) * 4);
    if (!copied.ok()) return copied;
  }
  return norm(s_.output_norm, w_.chosen, w_.chosen, static_cast<int64_t>(rows.size()), c_.width);
}

Status DevicePass::tokens_to_logits(std::span<const int32_t> logits_rows, int64_t k,
                                    const StopRequest& stop) {
  if (Status status = tokens_to_hidden(stop); !status.ok() || logits_rows.empty()) return status;
  return logits_of(logits_rows, k);
}

Status DevicePass::logits_of(std::span<const int32_t> logits_rows, int64_t k) {
  if (Status status = choose(logits_rows); !status.ok()) return status;
  const auto rows = static_cast<int64_t>(logits_rows.size());
  if (Status status = logits(rows); !status.ok() || k == 0) return status;
  return ops_.top_k({w_.logits, w_.top, rows, c_.vocabulary, c_.vocabulary, k, w_.ranked}, stream_);
}

Status DevicePass::tokens_to_hidden(const StopRequest& stop) {
  if (offloaded_) {
    if (Status status = offloaded_->begin(); !status.ok()) return status;
  }
  if (Status status = embed(); !status.ok()) return status;
  for (int64_t i = 0; i < c_.n_layers; ++i) {
    if (stop.requested && stop.requested(stop.context))
      return Status(StatusCode::kCancelled, "stopped on request");
    const bool waits = offloaded_ && offloaded_->has(i);
    Status status = waits ? offloaded_->arrive(i, stream_) : Status();
    if (status.ok()) status = layer(i);
    if (status.ok() && waits) status = offloaded_->leave(i, stream_);
    if (!status.ok()) return std::move(status).at("layer " + std::to_string(i));
  }
  return {};
}

Status DevicePass::logits(int64_t rows) {
  if (Status status = product(s_.output, 0, c_.vocabulary, {w_.chosen}, w_.logits, nullptr, rows);
      !status.ok())
    return status;
  if (c_.logit_softcap <= 0) return {};
  return ops_.soft_cap({c_.logit_softcap, w_.logits, rows * c_.vocabulary}, stream_);
}

Result<ProductInput> DevicePass::normed(const Norm& of, float* y) {
  if (n_ <= kFewRows && of.kind == NormKind::kRms && c_.block == BlockKind::kSequential)
    return ProductInput{w_.hidden, &of};
  if (Status status = norm(of, w_.hidden, y, n_, c_.width); !status.ok()) return status;
  return ProductInput{y, nullptr};
}

Status DevicePass::norm(const Norm& of, const float* x, float* y, int64_t rows, int64_t cols) {
  return ops_.norm(
      {.norm = of, .x = x, .y = y, .rows = rows, .cols = cols, .x_stride = cols, .y_stride = cols}, stream_);
}

Status DevicePass::product(const Linear& linear, int64_t first, int64_t count, const ProductInput& x,
                           float* y, const float* added, int64_t m) {
  Status done = plain_product(linear, first, count, x, y, added, m);
  return done.ok() ? add_low_rank(linear, first, count, x, y, m) : done;
}

Status DevicePass::plain_product(const Linear& linear, int64_t first, int64_t count, const ProductInput& x,
                                 float* y, const float* added, int64_t m) {
  const std::byte* const w = rows_from(linear.w, first);
  const float* bias = linear.bias ? linear.bias + first : nullptr;
  if (m <= kFewRows) {
    GemvCuda g = gemv(linear, x, m);
    g.w = w, g.y = y, g.bias = bias, g.added = added, g.n = count;
    return ops_.gemv(g, stream_);
  }
  if (goes_dense(linear.w)) return dense_product(linear.w, first, count, x.x, y, bias, added, m);
  return ops_.matmul({.format = linear.w.format,
                      .w = w,
                      .x = x.x,
                      .y = y,
                      .bias = bias,
                      .added = added,
                      .m = m,
                      .n = count,
                      .k = linear.w.k},
                     stream_);
}

bool DevicePass::adapted(const Linear& linear) const {
  return std::ranges::any_of(batch_.adapters, [&](const LoraTerm& term) { return pair_of(term, linear); });
}

Status DevicePass::add_low_rank(const Linear& linear, int64_t first, int64_t count, const ProductInput& x,
                                float* y, int64_t m) {
  for (const LoraTerm& term : batch_.adapters) {
    const LowRankPair* pair = pair_of(term, linear);
    if (!pair) continue;
    Status done = plain_product({.w = pair->a}, 0, pair->a.n, x, w_.low_rank, nullptr, m);
    const float scale = pair->scale * term.scale;
    if (done.ok() && scale != 1)
      done = ops_.affine({.scale = scale, .x = w_.low_rank, .count = m * pair->a.n}, stream_);
    if (done.ok()) done = plain_product({.w = pair->b}, first, count, {w_.low_rank}, y, y, m);
    if (!done.ok()) return done;
  }
  return {};
}

const std::byte* DevicePass::rows_from(const PackedMatrix& matrix, int64_t row) {
  const int64_t before = lies_in_tiles(matrix.format) ? row / kTileRows * tile_bytes(matrix.format, matrix.k)
                                                      : row * weights_bytes(matrix.format, matrix.k);
  return static_cast<const std::byte*>(matrix.data) + before;
}

Status DevicePass::dense_product(const PackedMatrix& matrix, int64_t first, int64_t n, const float* x,
                                 float* y, const float* bias, const float* added, int64_t m) {
  const DType dtype = matrix.format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF16;
  if (Status status = ops_.unpack({WeightFormat::kF32, x, dtype, w_.narrow, m, matrix.k}, stream_);
      !status.ok())
    return status;
  const int64_t most = unpacked_elements(c_) / matrix.k / kTileRows * kTileRows;
  for (int64_t at = 0; at < n; at += most) {
    const int64_t rows = std::min(most, n - at);
    const void* unpacked = rows_from(matrix, first + at);
    if (lies_in_tiles(matrix.format)) {
      if (Status status = ops_.unpack({matrix.format, unpacked, dtype, w_.unpacked, rows, matrix.k}, stream_);
          !status.ok())
        return status;
      unpacked = w_.unpacked;
    }
    GemmCuda g;
    g.dtype = dtype, g.c_dtype = DType::kF32;
    g.a = w_.narrow, g.w = unpacked, g.c = y + at;
    g.bias = bias ? bias + at : nullptr, g.residual = added ? added + at : nullptr;
    g.m = m, g.n = rows, g.k = matrix.k;
    g.a_stride = matrix.k, g.c_stride = g.residual_stride = n;
    g.workspace = w_.split_sums;
    if (gemm_cuda_workspace(g) > split_sums_floats(c_, n_)) g.tiling = tiling_of(g), g.tiling->splits = 1;
    if (Status status = ops_.gemm(g, stream_); !status.ok()) return status;
  }
  return {};
}

GemvCuda DevicePass::gemv(const Linear& linear, const ProductInput& x, int64_t m) {
  GemvCuda g;
  g.format = linear.w.format;
  g.w = linear.w.data;
  g.x = x.x;
  if (x.norm) g.norm_weight = x.norm->weight, g.epsilon = x.norm->epsilon;
  g.bias = linear.bias;
  g.m = m, g.n = linear.w.n, g.k = linear.w.k;
  return g;
}

Status DevicePass::queries_keys_values(const DecoderLayer& layer, const ProductInput& x) {
  const int64_t q = c_.query_width(), kv = c_.kv_width();
  const bool joint = layer.qkv.present();
  const struct {
    const Linear& linear;
    int64_t first, count;
    float* y;
  } parts[] = {{joint ? layer.qkv : layer.query, 0, q, w_.q},
               {joint ? layer.qkv : layer.key, joint ? q : 0, kv, w_.k},
               {joint ? layer.qkv : layer.value, joint ? q + kv : 0, kv, w_.v}};
  for (size_t i = 0; i < std::size(parts);) {
    // Neighbours of one format are one launch, where rows are few.
    size_t together = 1;
    while (n_ <= kFewRows && i + together < std::size(parts) &&
           parts[i + together].linear.w.format == parts[i].linear.w.format)
      ++together;
    if (together == 1) {
      const auto& part = parts[i++];
      if (Status status = product(part.linear, part.first, part.count, x, part.y, nullptr, n_); !status.ok())
        return status;
      continue;
    }
    const size_t begin = i;
    GemvCuda g = gemv(parts[i].linear, x, n_);
    for (size_t j = 0; j < together; ++j, ++i) {
      const auto& [linear, first, count, y] = parts[i];
      const GemvMatrix matrix{rows_from(linear.w, first), y, linear.bias ? linear.bias + first : nullptr,
                              count};
      if (j == 0) g.w = matrix.w, g.y = matrix.y, g.bias = matrix.bias, g.n = matrix.n;
      else g.more[j - 1] = matrix;
    }
    Status status = ops_.gemv(g, stream_);
    for (size_t j = begin; j < i && status.ok(); ++j)
      status = add_low_rank(parts[j].linear, parts[j].first, parts[j].count, x, parts[j].y, n_);
    if (!status.ok()) return status;
  }
  if (!layer.query_norm.weight) return {};
  if (Status status = norm(layer.query_norm, w_.q, w_.q, n_ * c_.n_heads, c_.head_dim); !status.ok())
    return status;
  return norm(layer.key_norm, w_.k, w_.k, n_ * c_.n_kv_heads, c_.head_dim);
}

Status DevicePass::attention(const DecoderLayer& layer, int64_t i, const ProductInput& x) {
  if (Status status = queries_keys_values(layer, x); !status.ok()) return status;
  const AttentionShape shape = attention_shape(c_, batch_.chunks.front().sequence->layout(), i);
  const RopeConfig& rope = c_.local(i) ? c_.local_rope : c_.rope;
  Status stored = ops_.rope({.shape = shape,
                             .layout = rope.layout,
                             .n_rotated = rope.layout == RopeLayout::kNone ? 0 : rope.n_rotated,
                             .cos_sin = c_.local(i) ? in_.local_turns : in_.turns,
                             .q = w_.q,
                             .k = w_.k,
                             .v = w_.v,
                             .pages = in_.page,
                             .slots = in_.slots,
                             .tokens = n_},
                            stream_);
  if (!stored.ok()) return stored;
  Status attended = ops_.attention({.shape = shape,
                                    .q = w_.q,
                                    .y = w_.attended,
                                    .pages = in_.pages,
                                    .positions = in_.positions,
                                    .ahead = c_.pictures_see_themselves ? in_.ahead : nullptr,
                                    .rows = n_,
                                    .splits = decode_attention_splits(shape, n_, depth()),
                                    .workspace = w_.parts},
                                   stream_);
  if (!attended.ok()) return attended;
  return add_product(layer.attention_output, w_.attended, layer.post_attention_norm);
}

Status DevicePass::mlp(const DecoderLayer& layer, const ProductInput& x) {
  const bool gated = c_.mlp == MlpKind::kGated;
  if (gated && n_ <= kFewRows && !layer.up.bias && layer.gate.w.format == layer.up.w.format &&
      !adapted(layer.gate) && !adapted(layer.up)) {
    GemvCuda g = gemv(layer.gate, x, n_);
    g.up = layer.up.w.data;
    g.f = c_.activation;
    g.y = w_.gate;
    if (Status status = ops_.gemv(g, stream_); !status.ok()) return status;
    return add_product(layer.down, w_.gate, layer.post_mlp_norm);
  }
  if (gated) {
    if (Status status = product(layer.gate, 0, c_.mlp_width, x, w_.gate, nullptr, n_); !status.ok())
      return status;
  }
  float* up = gated ? w_.up : w_.gate;
  if (Status status = product(layer.up, 0, c_.mlp_width, x, up, nullptr, n_); !status.ok()) return status;
  Status activated = ops_.activation({.f = c_.activation,
                                      .gate = w_.gate,
                                      .up = gated ? up : nullptr,
                                      .y = w_.gate,
                                      .rows = n_,
                                      .cols = c_.mlp_width,
                                      .gate_stride = c_.mlp_width,
                                      .up_stride = c_.mlp_width,
                                      .y_stride = c_.mlp_width},
                                     stream_);
  if (!activated.ok()) return activated;
  return add_product(layer.down, w_.gate, layer.post_mlp_norm);
}

Status DevicePass::add_product(const Linear& linear, const float* x, const Norm& post) {
  if (!post.weight) return product(linear, 0, c_.width, {x}, w_.hidden, w_.hidden, n_);
  if (Status status = product(linear, 0, c_.width, {x}, w_.product, nullptr, n_); !status.ok()) return status;
  if (Status status = norm(post, w_.product, w_.product, n_, c_.width); !status.ok()) return status;
  return ops_.add({w_.hidden, w_.product, n_ * c_.width}, stream_);
}

}  // namespace weft
