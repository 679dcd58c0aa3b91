#include "kernels/networks/decoder/device_decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device/ops.h"
#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/quant/dequantize.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

/// Rows that go through the kernels that read a weight once for four of them; more are worth unpacked weights.
constexpr int64_t kFewRows = 16;
/// Rows of a pass that is worth a graph: with more, the host's calls are a small part of its time.
constexpr int64_t kMostGraphRows = 64;

constexpr int64_t aligned(int64_t bytes) {
  constexpr auto kAlignment = static_cast<int64_t>(kDeviceAlignment);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Parts of one piece of memory, one after another from `base`, or nowhere if it is null.
struct Layout {
  std::byte* base;
  int64_t at = 0;
  template <typename Part>
  void take(Part*& part, int64_t count) {
    part = reinterpret_cast<Part*>(base ? base + at : nullptr);
    at += aligned(count * static_cast<int64_t>(sizeof(Part)));
  }
};

/// Whether products of many rows go over tensor cores, rounded to 16 bits: not those of f32, whose files want all of it.
bool goes_dense(const PackedMatrix& w) { return w.format != WeightFormat::kF32 && w.k % 8 == 0; }

int64_t widest_input(const DecoderConfig& c) { return std::max({c.width, c.query_width(), c.mlp_width}); }
/// Of W that are unpacked at a time.
int64_t unpacked_elements(const DecoderConfig& c) {
  constexpr int64_t kMost = 64 << 20;
  const int64_t largest =
      std::max({c.query_width() * c.width, c.mlp_width * c.width, c.vocabulary * c.width});
  return std::clamp(largest, 8 * widest_input(c), std::max(kMost, 8 * widest_input(c)));
}
/// Floats for the sums of products whose depth is split among blocks.
int64_t split_sums_floats(const DecoderConfig& c, int64_t n) {
  constexpr int64_t kMost = 8 << 20;
  return std::min(kMost, 8 * n * std::max(widest_input(c), c.kv_width()));
}

/// What a pass is told: filled in the host's memory, read in the device's.
struct PassInputs {
  int32_t* tokens = nullptr;     // [n]
  int32_t* positions = nullptr;  // [n]
  int32_t* slots = nullptr;      // [n] within the page
  std::byte** page = nullptr;    // [n] that holds the token
  std::byte*** pages = nullptr;  // [n] the row's list, in the device's memory
  float* turns = nullptr;        // [n, n_rotated] cosine and sine
  float* local_turns = nullptr;
  std::byte** lists = nullptr;  // [page_entries]; last, so that the places of the others depend on n alone

  int64_t place(std::byte* base, const DecoderConfig& c, int64_t n, int64_t page_entries) {
    Layout layout{base};
    layout.take(tokens, n);
    layout.take(positions, n);
    layout.take(slots, n);
    layout.take(page, n);
    layout.take(pages, n);
    layout.take(turns, c.rope.layout == RopeLayout::kNone ? 0 : n * c.rope.n_rotated);
    layout.take(local_turns, c.sliding_window > 0 ? n * c.local_rope.n_rotated : 0);
    layout.take(lists, page_entries);
    return layout.at;
  }
};

struct Workspace {
  std::byte* inputs = nullptr;   // PassInputs
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
  uint16_t* narrow = nullptr;    // [n, widest input] of a dense product
  uint16_t* unpacked = nullptr;  // rows of its weights
  float* split_sums = nullptr;
  float* chosen = nullptr;        // [rows, width] rows whose logits or hidden states are wanted
  float* logits = nullptr;        // [rows, vocabulary]
  RankedValue* top = nullptr;     // [rows, k]
  RankedValue* ranked = nullptr;  // of top_k_cuda()

  int64_t place(std::byte* base, const DecoderConfig& c, const DeviceDecoder::Limits& limits) {
    const int64_t n = limits.tokens;
    Layout layout{base};
    layout.take(inputs, PassInputs().place(nullptr, c, n, limits.page_entries));
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
    const bool dense = std::max(n, limits.logits_rows) > kFewRows;
    layout.take(narrow, dense ? std::max(n, limits.logits_rows) * widest_input(c) : 0);
    layout.take(unpacked, dense ? unpacked_elements(c) : 0);
    layout.take(split_sums, dense ? split_sums_floats(c, n) : 0);
    layout.take(chosen, std::max(limits.logits_rows, n) * c.width);
    layout.take(logits, limits.logits_rows * c.vocabulary);
    layout.take(top, limits.logits_rows * limits.k);
    layout.take(ranked, top_k_workspace(limits.logits_rows, c.vocabulary, limits.k));
    return layout.at;
  }
};

/// The input of products: rows, and the norm that comes before, where products do it themselves.
struct ProductInput {
  const float* x = nullptr;
  const Norm* norm = nullptr;
};

}  // namespace

struct DeviceDecoder::State {
  std::unique_ptr<Decoder::State> decoder;  // its weights are addresses of the device
  std::vector<int64_t> offsets;             // of its steps
  int64_t table_offset = -1;                // of the embeddings
  int64_t own_table_bytes = 0;              // 0: they are the output's matrix too, which a step uploads
  int64_t weights_bytes = 0;
  EmbeddingTable embedding;
  DeviceBuffer weights;
};

/// What decides the work that a pass queues: all else it reads on the device. Passes of the same shape are the same graph.
struct PassShape {
  int64_t rows = 0, depth = 0, k = 0;  // k: 0, and no ranking
  KvFormat format = KvFormat::kF16;
  std::vector<int32_t> logits_rows;
  bool operator==(const PassShape&) const = default;
};

/// Graphs of the shapes that came lately, the latest last. A shape is captured when it comes again.
struct PassGraphs {
  struct Entry {
    PassShape shape;
    std::optional<DeviceGraph> graph;
  };
  static constexpr size_t kMost = 16;
  std::vector<Entry> entries;

  /// The shape's entry, and whether it was there.
  std::pair<Entry*, bool> find(const PassShape& shape) {
    const auto found = std::ranges::find(entries, shape, &Entry::shape);
    const bool known = found != entries.end();
    if (known) std::rotate(found, found + 1, entries.end());
    if (!known) {
      if (entries.size() == kMost) entries.erase(entries.begin());
      entries.push_back({shape, std::nullopt});
    }
    return {&entries.back(), known};
  }
};

struct DeviceDecoder::Scratch::State {
  DeviceStream stream;
  Limits limits;
  DeviceBuffer memory;
  Workspace w;
  StagingRing staging;
  std::vector<std::byte> inputs;  // assembled here
  PassGraphs graphs;              // over all of the above
};

namespace {

/// One pass, as launches on a stream, in order.
class Pass {
 public:
  Pass(const DeviceDecoder::State& state, const DecoderBatch& batch, const DeviceStream& stream,
       const Workspace& workspace, int64_t n)
      : s_(*state.decoder),
        c_(s_.config),
        embedding_(state.embedding),
        batch_(batch),
        stream_(stream),
        ops_(stream.device()->ops()),
        w_(workspace),
        n_(n) {}

  /// Fills the inputs on the host, with addresses of where they will be on the device.
  void fill_inputs(std::byte* host, int64_t page_entries) {
    PassInputs here;
    in_.place(w_.inputs, c_, n_, page_entries);
    here.place(host, c_, n_, page_entries);
    int64_t row = 0, entry = 0;
    for (const DecoderChunk& chunk : batch_.chunks) {
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
          rope_cos_sin(s_.local_frequencies.data(), c_.local_rope.n_rotated, s_.local_rope_magnitude,
                       position, here.local_turns + row * c_.local_rope.n_rotated);
      }
      entry += static_cast<int64_t>(pages.size());
    }
  }

  /// Of the longest sequence, rounded up so that it seldom changes: it decides among how many blocks a row's tokens are split.
  int64_t depth() const { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(longest_))); }

  Status embed() {
    return ops_.embedding({.table = embedding_,
                           .tokens = in_.tokens,
                           .scale = c_.embedding_scale,
                           .positions = s_.position_embedding,
                           .position_of = in_.positions,
                           .y = w_.hidden,
                           .count = n_},
                          stream_);
  }

  Status layer(int64_t i) {
    const DecoderLayer& layer = s_.layers[static_cast<size_t>(i)];
    Result<ProductInput> input = normed(layer.attention_norm, w_.normed);
    if (!input.ok()) return input.status();
    ProductInput mlp_input = *input;
    const bool parallel = c_.block == BlockKind::kParallel;
    if (parallel && !layer.one_norm) {
      mlp_input = {w_.second, nullptr};
      if (Status status = norm(layer.mlp_norm, w_.hidden, w_.second, n_, c_.width); !status.ok())
        return status;
    }
    if (Status status = attention(layer, i, *input); !status.ok()) return status;
    if (!parallel) {
      input = normed(layer.mlp_norm, w_.normed);
      if (!input.ok()) return input.status();
      mlp_input = *input;
    }
    return mlp(layer, mlp_input);
  }

  /// The wanted rows of the residual stream, after the last norm, in w_.chosen.
  Status choose(std::span<const int32_t> rows) {
    for (size_t i = 0; i < rows.size(); ++i) {
      Status copied =
          stream_.copy_within(w_.chosen + static_cast<int64_t>(i) * c_.width, w_.hidden + rows[i] * c_.width,
                              static_cast<uint64_t>(c_.width) * 4);
      if (!copied.ok()) return copied;
    }
    return norm(s_.output_norm, w_.chosen, w_.chosen, static_cast<int64_t>(rows.size()), c_.width);
  }

  /// Everything from the tokens to the logits, and to the largest k of them: what a graph can hold.
  Status tokens_to_logits(std::span<const int32_t> logits_rows, int64_t k, const StopRequest& stop) {
    if (Status status = tokens_to_hidden(stop); !status.ok() || logits_rows.empty()) return status;
    return logits_of(logits_rows, k);
  }

  Status logits_of(std::span<const int32_t> logits_rows, int64_t k) {
    if (Status status = choose(logits_rows); !status.ok()) return status;
    const auto rows = static_cast<int64_t>(logits_rows.size());
    if (Status status = logits(rows); !status.ok() || k == 0) return status;
    return ops_.top_k({w_.logits, w_.top, rows, c_.vocabulary, c_.vocabulary, k, w_.ranked}, stream_);
  }

  Status tokens_to_hidden(const StopRequest& stop) {
    if (Status status = embed(); !status.ok()) return status;
    for (int64_t i = 0; i < c_.n_layers; ++i) {
      if (stop.requested && stop.requested(stop.context))
        return Status(StatusCode::kCancelled, "stopped on request");
      if (Status status = layer(i); !status.ok()) return std::move(status).at("layer " + std::to_string(i));
    }
    return {};
  }

  Status logits(int64_t rows) {
    if (Status status = product(s_.output, 0, c_.vocabulary, {w_.chosen}, w_.logits, nullptr, rows);
        !status.ok())
      return status;
    if (c_.logit_softcap <= 0) return {};
    return ops_.soft_cap({c_.logit_softcap, w_.logits, rows * c_.vocabulary}, stream_);
  }

 private:
  /// RMS norms of a few rows are done by the products themselves; the others into `y`, which is the input then. In parallel
  /// blocks always: the residual stream changes before the MLP reads it.
  Result<ProductInput> normed(const Norm& of, float* y) {
    if (n_ <= kFewRows && of.kind == NormKind::kRms && c_.block == BlockKind::kSequential)
      return ProductInput{w_.hidden, &of};
    if (Status status = norm(of, w_.hidden, y, n_, c_.width); !status.ok()) return status;
    return ProductInput{y, nullptr};
  }

  Status norm(const Norm& of, const float* x, float* y, int64_t rows, int64_t cols) {
    return ops_.norm(
        {.norm = of, .x = x, .y = y, .rows = rows, .cols = cols, .x_stride = cols, .y_stride = cols},
        stream_);
  }

  /// y = rows [first, first + count) of the layer's matrix times x, for `m` rows.
  Status product(const Linear& linear, int64_t first, int64_t count, const ProductInput& x, float* y,
                 const float* added, int64_t m) {
    const auto* w =
        static_cast<const std::byte*>(linear.w.data) + first * weights_bytes(linear.w.format, linear.w.k);
    const float* bias = linear.bias ? linear.bias + first : nullptr;
    if (m <= kFewRows) {
      GemvCuda g = gemv(linear, x, m);
      g.w = w, g.y = y, g.bias = bias, g.added = added, g.n = count;
      return ops_.gemv(g, stream_);
    }
    if (goes_dense(linear.w)) return dense_product(linear.w, w, count, x.x, y, bias, added, m);
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

  /// On tensor cores: x and W in 16 bits, so many rows of W at a time as there is room for.
  Status dense_product(const PackedMatrix& matrix, const std::byte* w, int64_t n, const float* x, float* y,
                       const float* bias, const float* added, int64_t m) {
    const DType dtype = matrix.format == WeightFormat::kBF16 ? DType::kBF16 : DType::kF16;
    if (Status status = ops_.unpack({WeightFormat::kF32, x, dtype, w_.narrow, m * matrix.k}, stream_);
        !status.ok())
      return status;
    const int64_t most = unpacked_elements(c_) / matrix.k / 8 * 8;
    for (int64_t at = 0; at < n; at += most) {
      const int64_t rows = std::min(most, n - at);
      const void* unpacked = w + at * weights_bytes(matrix.format, matrix.k);
      if (block_layout(matrix.format).elements > 1) {
        if (Status status =
                ops_.unpack({matrix.format, unpacked, dtype, w_.unpacked, rows * matrix.k}, stream_);
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

  static GemvCuda gemv(const Linear& linear, const ProductInput& x, int64_t m) {
    GemvCuda g;
    g.format = linear.w.format;
    g.w = linear.w.data;
    g.x = x.x;
    if (x.norm) g.norm_weight = x.norm->weight, g.epsilon = x.norm->epsilon;
    g.bias = linear.bias;
    g.m = m, g.n = linear.w.n, g.k = linear.w.k;
    return g;
  }

  Status queries_keys_values(const DecoderLayer& layer, const ProductInput& x) {
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
        if (Status status = product(part.linear, part.first, part.count, x, part.y, nullptr, n_);
            !status.ok())
          return status;
        continue;
      }
      GemvCuda g = gemv(parts[i].linear, x, n_);
      for (size_t j = 0; j < together; ++j, ++i) {
        const auto& [linear, first, count, y] = parts[i];
        const GemvMatrix matrix{
            static_cast<const std::byte*>(linear.w.data) + first * weights_bytes(linear.w.format, linear.w.k),
            y, linear.bias ? linear.bias + first : nullptr, count};
        if (j == 0) g.w = matrix.w, g.y = matrix.y, g.bias = matrix.bias, g.n = matrix.n;
        else g.more[j - 1] = matrix;
      }
      if (Status status = ops_.gemv(g, stream_); !status.ok()) return status;
    }
    if (!layer.query_norm.weight) return {};
    if (Status status = norm(layer.query_norm, w_.q, w_.q, n_ * c_.n_heads, c_.head_dim); !status.ok())
      return status;
    return norm(layer.key_norm, w_.k, w_.k, n_ * c_.n_kv_heads, c_.head_dim);
  }

  Status attention(const DecoderLayer& layer, int64_t i, const ProductInput& x) {
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
                                      .rows = n_,
                                      .splits = decode_attention_splits(shape, n_, depth()),
                                      .workspace = w_.parts},
                                     stream_);
    if (!attended.ok()) return attended;
    return add_product(layer.attention_output, w_.attended, layer.post_attention_norm);
  }

  Status mlp(const DecoderLayer& layer, const ProductInput& x) {
    const bool gated = c_.mlp == MlpKind::kGated;
    if (gated && n_ <= kFewRows && !layer.up.bias && layer.gate.w.format == layer.up.w.format) {
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

  /// hidden += W x, after the norm that some architectures put there.
  Status add_product(const Linear& linear, const float* x, const Norm& post) {
    if (!post.weight) return product(linear, 0, c_.width, {x}, w_.hidden, w_.hidden, n_);
    if (Status status = product(linear, 0, c_.width, {x}, w_.product, nullptr, n_); !status.ok())
      return status;
    if (Status status = norm(post, w_.product, w_.product, n_, c_.width); !status.ok()) return status;
    return ops_.add({w_.hidden, w_.product, n_ * c_.width}, stream_);
  }

  const Decoder::State& s_;
  const DecoderConfig& c_;
  const EmbeddingTable& embedding_;
  const DecoderBatch& batch_;
  const DeviceStream& stream_;
  const DeviceOps& ops_;
  const Workspace& w_;
  const int64_t n_;
  PassInputs in_;
  int64_t longest_ = 0;
};

Result<DeviceBuffer> given_or_allocated(DeviceBuffer given, const DeviceStream& stream, int64_t size_bytes,
                                        const char* tag) {
  const auto needed = static_cast<uint64_t>(size_bytes);
  if (!given.data()) return DeviceBuffer::allocate(stream, needed, tag);
  if (given.size_bytes() >= needed) return given;
  return Status(StatusCode::kOutOfMemory, std::string("the memory for the ") + tag + " is too small")
      .expected(std::to_string(needed) + " bytes")
      .got(std::to_string(given.size_bytes()));
}

Status unsupported(const WeightFile& file, const WeightTensor& tensor, const char* why) {
  return Status(StatusCode::kUnsupported, why)
      .at(file.where(tensor))
      .got(block_layout(tensor.format).name)
      .hint("run it on the CPU");
}

}  // namespace

DeviceDecoder::DeviceDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceDecoder::DeviceDecoder(DeviceDecoder&&) noexcept = default;
DeviceDecoder& DeviceDecoder::operator=(DeviceDecoder&&) noexcept = default;
DeviceDecoder::~DeviceDecoder() = default;
DeviceDecoder::Scratch::Scratch(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceDecoder::Scratch::Scratch(Scratch&&) noexcept = default;
DeviceDecoder::Scratch& DeviceDecoder::Scratch::operator=(Scratch&&) noexcept = default;
DeviceDecoder::Scratch::~Scratch() = default;

const DecoderConfig& DeviceDecoder::config() const { return state_->decoder->config; }
int64_t DeviceDecoder::weights_bytes() const { return state_->weights_bytes; }
KvLayout DeviceDecoder::kv_layout(KvFormat format) const {
  return {config().n_layers, config().n_kv_heads, config().head_dim, format};
}

Result<DeviceDecoder> DeviceDecoder::open(const WeightFile& file) {
  auto opened = open_state(file);
  if (!opened.ok()) return opened.status();
  auto state = std::make_unique<State>();
  state->decoder = *std::move(opened);
  const Decoder::State& decoder = *state->decoder;
  for (const PackStep& step : decoder.steps) {
    state->offsets.push_back(state->weights_bytes);
    const int64_t bytes = step.vector
                              ? step.count * 4
                              : step.matrix->n * weft::weights_bytes(step.matrix->format, step.matrix->k);
    state->weights_bytes += aligned(bytes);
    if (step.matrix && step.tensor == decoder.token_embedding && lies_as_multiplied(step))
      state->table_offset = state->offsets.back();
  }
  const WeightTensor& table = *decoder.token_embedding;
  if (!matmul_serves(table.format))
    return unsupported(file, table, "embeddings of this format are not read on devices");
  if (state->table_offset < 0) {
    state->table_offset = state->weights_bytes;
    state->own_table_bytes = static_cast<int64_t>(table.size_bytes);
    state->weights_bytes += aligned(state->own_table_bytes);
  }
  state->embedding = {table.format, nullptr, decoder.config.vocabulary, decoder.config.width};
  for (const DecoderLayer& layer : decoder.layers) {
    if (!layer.qkv.present()) continue;
    const int64_t row_bytes = weft::weights_bytes(layer.qkv.w.format, layer.qkv.w.k);
    if (decoder.config.query_width() * row_bytes % 16 != 0 || decoder.config.kv_width() * row_bytes % 16 != 0)
      return Status(StatusCode::kUnsupported, "keys and values of a joint matrix do not begin at 16 bytes")
          .at(file.path().string())
          .hint("run it on the CPU");
  }
  return DeviceDecoder(std::move(state));
}

Status DeviceDecoder::load(const DeviceStream& stream, DeviceBuffer given) {
  State& state = *state_;
  Decoder::State& decoder = *state.decoder;
  auto memory = given_or_allocated(std::move(given), stream, state.weights_bytes, "weights");
  if (!memory.ok()) return memory.status();
  state.weights = *std::move(memory);
  const auto upload = [&](int64_t offset, const std::byte* from, int64_t bytes) {
    return stream.copy_to_device(state.weights.data() + offset, from, static_cast<uint64_t>(bytes));
  };
  for (size_t i = 0; i < decoder.steps.size(); ++i) {
    const PackStep& step = decoder.steps[i];
    std::byte* const there = state.weights.data() + state.offsets[i];
    std::vector<std::byte> made;  // where the file does not have it as the device wants it
    int64_t bytes = 0;
    if (step.vector) {
      bytes = step.count * 4;
      made.resize(static_cast<size_t>(bytes));
      fill_vector(decoder, step, reinterpret_cast<float*>(made.data()));
      *step.vector = reinterpret_cast<const float*>(there);
    } else {
      bytes = step.matrix->n * weft::weights_bytes(step.matrix->format, step.matrix->k);
      if (!lies_as_multiplied(step)) made = rows_as_multiplied(decoder, step);
      step.matrix->data = there;
    }
    Status copied = upload(state.offsets[i], made.empty() ? step.tensor->data : made.data(), bytes);
    if (Status passed = made.empty() ? Status() : stream.synchronize(); copied.ok())
      copied = std::move(passed);
    if (!copied.ok()) return copied;
  }
  if (state.own_table_bytes > 0) {
    Status copied = upload(state.table_offset, decoder.token_embedding->data, state.own_table_bytes);
    if (!copied.ok()) return copied;
  }
  state.embedding.data = state.weights.data() + state.table_offset;
  if (Status status = stream.synchronize(); !status.ok()) return status;
  decoder.loaded = true;
  return {};
}

int64_t DeviceDecoder::scratch_bytes(const Limits& limits) const {
  return Workspace().place(nullptr, config(), limits);
}

Result<DeviceDecoder::Scratch> DeviceDecoder::make_scratch(const DeviceStream& stream, const Limits& limits,
                                                           DeviceBuffer given) const {
  const int64_t input_bytes = PassInputs().place(nullptr, config(), limits.tokens, limits.page_entries);
  auto memory = given_or_allocated(std::move(given), stream, scratch_bytes(limits), "decoder workspace");
  if (!memory.ok()) return memory.status();
  auto staging = StagingRing::create(stream, static_cast<uint64_t>(2 * input_bytes));  // one step ahead
  if (!staging.ok()) return staging.status();
  std::unique_ptr<Scratch::State> state(
      new Scratch::State{stream, limits, *std::move(memory), {}, *std::move(staging), {}, {}});
  state->w.place(state->memory.data(), config(), limits);
  state->inputs.resize(static_cast<size_t>(input_bytes));
  return Scratch(std::move(state));
}

Status DeviceDecoder::forward(const DecoderBatch& batch, const DeviceDecoderOutputs& outputs,
                              Scratch& scratch, const StopRequest& stop) const {
  Scratch::State& s = *scratch.state_;
  const DecoderConfig& c = config();
  const void* wanted = outputs.logits ? static_cast<const void*>(outputs.logits) : outputs.top;
  const Result<int64_t> n = check_batch(*state_->decoder, batch, wanted, outputs.hidden);
  if (!n.ok()) return n.status();
  if (!batch.adapters.empty())
    return Status(StatusCode::kUnsupported, "adapters (LoRA) are not on " + s.stream.device()->facts().name)
        .hint("run it on the CPU");
  int64_t page_entries = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    if (Status room = chunk.sequence->reserve(static_cast<int64_t>(chunk.tokens.size())); !room.ok()) {
      give_back(batch);
      return room;
    }
    page_entries += chunk.sequence->n_pages();
  }
  const auto logits_rows = static_cast<int64_t>(batch.logits_rows.size());
  if (*n > s.limits.tokens || logits_rows > s.limits.logits_rows || page_entries > s.limits.page_entries ||
      (outputs.top && outputs.k > s.limits.k)) {
    give_back(batch);
    return Status(StatusCode::kOutOfMemory, "a batch exceeds the limits of the decoder's scratch")
        .expected(std::to_string(s.limits.tokens) + " tokens, " + std::to_string(s.limits.logits_rows) +
                  " rows of logits, " + std::to_string(s.limits.page_entries) + " pages, top " +
                  std::to_string(s.limits.k))
        .got(std::to_string(*n) + ", " + std::to_string(logits_rows) + ", " + std::to_string(page_entries) +
             ", " + std::to_string(outputs.k));
  }
  Pass pass(*state_, batch, s.stream, s.w, *n);
  const auto run_pass = [&](Pass& of, int64_t rows, int64_t k) -> Status {
    const auto queue = [&] { return of.tokens_to_logits(batch.logits_rows, k, stop); };
    if (rows > kMostGraphRows) return queue();
    const auto [entry, known] = s.graphs.find({rows,
                                               of.depth(),
                                               k,
                                               batch.chunks.front().sequence->layout().format,
                                               {batch.logits_rows.begin(), batch.logits_rows.end()}});
    if (!known) return queue();
    if (!entry->graph) {
      auto graph = DeviceGraph::capture(s.stream, queue);
      if (!graph.ok()) return graph.status();
      entry->graph.emplace(*std::move(graph));
    }
    return entry->graph->launch();
  };
  const auto run = [&]() -> Status {
    const auto input_bytes = static_cast<size_t>(PassInputs().place(nullptr, c, *n, page_entries));
    pass.fill_inputs(s.inputs.data(), page_entries);
    if (Status status = s.staging.copy_to_device(s.w.inputs, {s.inputs.data(), input_bytes}); !status.ok())
      return status;
    const int64_t k = outputs.top ? outputs.k : 0;
    if (!batch.hidden_rows.empty()) {
      if (Status status = pass.tokens_to_hidden(stop); !status.ok()) return status;
      if (Status status = pass.choose(batch.hidden_rows); !status.ok()) return status;
      Status copied = s.stream.copy_to_host(outputs.hidden, s.w.chosen,
                                            batch.hidden_rows.size() * static_cast<size_t>(c.width) * 4);
      if (!copied.ok() || logits_rows == 0) return copied;
      if (Status status = pass.logits_of(batch.logits_rows, k); !status.ok()) return status;
    } else if (Status status = run_pass(pass, *n, k); !status.ok()) {
      return status;
    }
    if (outputs.logits) {
      Status copied = s.stream.copy_to_host(outputs.logits, s.w.logits,
                                            static_cast<uint64_t>(logits_rows * c.vocabulary) * 4);
      if (!copied.ok()) return copied;
    }
    if (!outputs.top || logits_rows == 0) return {};
    return s.stream.copy_to_host(outputs.top, s.w.top,
                                 static_cast<uint64_t>(logits_rows * outputs.k) * sizeof(RankedValue));
  };
  Status done = run();
  const Status passed = s.stream.synchronize();  // even so: outputs and pages must not be written later
  if (done.ok()) done = passed;
  if (!done.ok()) {
    give_back(batch);
    return done;
  }
  for (const DecoderChunk& chunk : batch.chunks)
    chunk.sequence->commit(static_cast<int64_t>(chunk.tokens.size()));
  return {};
}

Result<KvCache> device_kv_cache(const KvLayout& layout, const DeviceBuffer& memory,
                                const DeviceStream& stream) {
  return KvCache::create(layout, {memory.data(), static_cast<size_t>(memory.size_bytes())},
                         [stream](std::byte* to, const std::byte* from, int64_t size_bytes) {
                           return stream.copy_within(to, from, static_cast<uint64_t>(size_bytes));
                         });
}

}  // namespace weft
