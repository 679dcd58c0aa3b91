// The forward pass: one team of threads walks all layers together, with a barrier between steps, so that a token
// costs one dispatch and not hundreds.
//
// Steps that treat rows apart (norms, rounding, activation, sums) are split by rows, the same split every time: a
// thread meets the rows that it made itself, and two such steps in a row need no barrier. Products and attention
// are shared out in blocks of output columns and of heads. No sum is split over threads.
//
// A single row would leave such steps to one thread, with the others waiting before and after each. Instead every thread
// does them all, in memory of its own ("alone" below): a copy of the residual stream for each thread, four barriers fewer a
// layer. The bits are the same.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/networks/decoder/lora_state.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/ops/attention/attention.h"
#include "kernels/ops/embedding/embedding.h"
#include "kernels/ops/rope/rope.h"
#include "kernels/quant/dequantize.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

constexpr int kMaxTerms = 3;  // products of one input
constexpr int kWorks = 3;     // loops whose indices are shared out: the last, the present and the next one
constexpr int64_t kMostAlone = 32;  // threads that workspace_bytes() leaves memory of their own for

// What steps that treat rows apart read and write: shared by all threads, each at its rows, or one row for each thread.
struct RowBuffers {
  float* hidden = nullptr;  // [n, width] the residual stream
  float* normed = nullptr;  // [n, width] input of attention and MLP, and what the output reads
  float* second = nullptr;  // [n, width] input of the MLP, in parallel blocks with two norms
  float* addend = nullptr;  // [n, width] the product that is added to the residual stream, after its norm
  float* inner = nullptr;   // [n, mlp_width] input of the last product
  void* rounded = nullptr;  // activations_bytes()
  float* turns = nullptr;   // [n, n_rotated] cosine and sine
  float* local_turns = nullptr;
};

// Where the pass keeps what lives only during it. Also the arithmetic of workspace_bytes().
struct Workspace {
  RowBuffers of_rows;                // addend is product, and inner is gate or up
  std::byte* alone = nullptr;        // RowBuffers of one row for each thread, alone_bytes() each
  float* qkv = nullptr;              // [n, query_width + 2 kv_width]
  float* attended = nullptr;         // [n, query_width]
  float* product = nullptr;          // [n, width]
  float* gate = nullptr;             // [n, mlp_width]
  float* up = nullptr;               // [n, mlp_width]
  AttentionRow* rows = nullptr;      // [n]
  int32_t* tokens = nullptr;         // [n]
  const float** embedded = nullptr;  // [n] a row in the token's place, or null
  float* low_rank = nullptr;         // [n, total_rank]
  float* low_rank_out = nullptr;     // [n, widest output of an adapted layer]
  SharedWork* works = nullptr;       // [kWorks]

  // Lays parts out one after another from `base`, or nowhere if it is null.
  struct Layout {
    std::byte* base;
    int64_t at = 0;
    template <typename Part>
    void take(Part*& part, int64_t bytes) {
      part = reinterpret_cast<Part*>(base ? base + at : nullptr);
      at += (bytes + 63) / 64 * 64;
    }
    void take(void*& part, int64_t bytes) {
      part = base ? base + at : nullptr;
      at += (bytes + 63) / 64 * 64;
    }
  };

  static void take_rows(Layout& layout, const DecoderConfig& c, int64_t n, RowBuffers& b) {
    layout.take(b.hidden, n * c.width * 4);
    layout.take(b.normed, n * c.width * 4);
    layout.take(b.second, c.block == BlockKind::kParallel ? n * c.width * 4 : 0);
    layout.take(b.rounded, std::max({activations_bytes(n, c.width), activations_bytes(n, c.query_width()),
                                     activations_bytes(n, c.mlp_width)}));
    layout.take(b.turns, c.rope.layout == RopeLayout::kNone ? 0 : n * c.rope.n_rotated * 4);
    layout.take(b.local_turns, c.sliding_window > 0 ? n * c.local_rope.n_rotated * 4 : 0);
  }

  // The buffers of one thread that works alone; returns their bytes.
  static int64_t place_alone(std::byte* base, const DecoderConfig& c, RowBuffers& b) {
    Layout layout{base};
    take_rows(layout, c, 1, b);
    layout.take(b.addend, c.width * 4);
    layout.take(b.inner, c.mlp_width * 4);
    return layout.at;
  }

  // Returns the bytes, without those of threads that work alone, which follow.
  int64_t place(std::byte* base, const DecoderConfig& c, int64_t n, int64_t total_rank) {
    Layout layout{base};
    const bool gated = c.mlp == MlpKind::kGated;
    take_rows(layout, c, n, of_rows);
    layout.take(qkv, n * (c.query_width() + 2 * c.kv_width()) * 4);
    layout.take(attended, n * c.query_width() * 4);
    layout.take(product, n * c.width * 4);
    layout.take(gate, gated ? n * c.mlp_width * 4 : 0);
    layout.take(up, n * c.mlp_width * 4);
    layout.take(rows, n * static_cast<int64_t>(sizeof(AttentionRow)));
    layout.take(tokens, n * 4);
    layout.take(embedded, n * static_cast<int64_t>(sizeof(float*)));
    const int64_t widest = std::max({c.width, c.mlp_width, c.query_width() + 2 * c.kv_width()});
    layout.take(low_rank, n * total_rank * 4);
    layout.take(low_rank_out, total_rank > 0 ? n * widest * 4 : 0);
    layout.take(works, kWorks * static_cast<int64_t>(sizeof(SharedWork)));
    of_rows.addend = product;
    of_rows.inner = gated ? gate : up;
    alone = base ? base + layout.at : nullptr;
    return layout.at;
  }
};

struct LinearTerm {
  const Linear* linear = nullptr;
  float* y = nullptr;
  int64_t y_stride = 0;
};

// What all threads of a pass share.
struct Pass {
  const Decoder::State& state;
  const DecoderBatch& batch;
  const DecoderOutputs& outputs;
  const StopRequest& stop;
  IsaLevel level;
  int64_t n = 0;       // rows
  bool alone = false;  // every thread treats the one row in memory of its own
  Workspace w;
  std::atomic<bool> stopped{false};
};

// One thread's way through the pass.
class Walker {
 public:
  Walker(Pass& pass, Team team)
      : p_(pass),
        c_(pass.state.config),
        w_(pass.w),
        team_(team),
        begin_(pass.alone ? 0 : share(pass.n, 0)),
        end_(pass.alone ? pass.n : share(pass.n, 1)),
        own_(pass.w.of_rows) {
    if (!pass.alone) return;
    const int64_t bytes = Workspace::place_alone(nullptr, c_, own_);
    Workspace::place_alone(w_.alone + bytes * team.thread(), c_, own_);
  }

  void walk() {
    embed();
    for (int64_t i = 0; i < c_.n_layers; ++i) {
      if (team_.thread() == 0 && p_.stop.requested && p_.stop.requested(p_.stop.context))
        p_.stopped.store(true, std::memory_order_relaxed);
      attention(i);
      if (p_.stopped.load(std::memory_order_relaxed)) return;  // set before a barrier: all threads agree
      mlp(i);
    }
    meet_rows();  // outputs are split by other rows
    write_hidden();
    write_logits();
  }

 private:
  int64_t share(int64_t rows, int part) const {
    return rows * (static_cast<int64_t>(team_.thread()) + part) / static_cast<int64_t>(team_.n_threads());
  }

  // Before a step that reads rows which other threads may have made. Alone, a thread has made them all.
  void meet_rows() const {
    if (!p_.alone) team_.barrier();
  }

  // The indices of the next loop that the team shares out. What the next but one will use is reset here: all threads have
  // passed a barrier since they used it last, and will pass one before they use it again.
  SharedWork& next_work() {
    const int now = work_;
    work_ = (work_ + 1) % kWorks;
    if (team_.thread() == 0) w_.works[work_].reset(team_.n_threads());
    return w_.works[now];
  }

  void embed_token(int64_t r, float* x) const {
    const WeightTensor& table = *p_.state.token_embedding;
    const int64_t row_bytes = weights_bytes(table.format, c_.width);
    // Through memory that is free yet: the table's pages stay out of the process, 16 of them for every row.
    auto* row = reinterpret_cast<std::byte*>(own_.normed + r * c_.width);
    if (row_bytes <= c_.width * static_cast<int64_t>(sizeof(float))) {
      p_.state.file->copy(table, static_cast<uint64_t>(w_.tokens[r] * row_bytes),
                          static_cast<uint64_t>(row_bytes), row);
      embedding_row(table.format, row, c_.width, c_.embedding_scale, x, p_.level);
    } else {
      embedding_row(table.format, table.data + w_.tokens[r] * row_bytes, c_.width, c_.embedding_scale, x,
                    p_.level);
    }
  }

  void embed() {
    for (int64_t r = begin_; r < end_; ++r) {
      float* x = own_.hidden + r * c_.width;
      const int64_t position = w_.rows[r].position;
      if (w_.embedded[r] != nullptr) std::copy_n(w_.embedded[r], c_.width, x);
      else embed_token(r, x);
      if (p_.state.position_embedding)
        add(x, p_.state.position_embedding + position * c_.width, c_.width, p_.level);
      if (c_.rope.layout != RopeLayout::kNone)
        rope_cos_sin(p_.state.frequencies.data(), c_.rope.n_rotated, p_.state.rope_magnitude, position,
                     own_.turns + r * c_.rope.n_rotated);
      if (!p_.state.local_frequencies.empty())
        rope_cos_sin(p_.state.local_frequencies.data(), c_.local_rope.n_rotated,
                     p_.state.local_rope_magnitude, position, own_.local_turns + r * c_.local_rope.n_rotated);
    }
  }

  void attention(int64_t i) {
    const DecoderLayer& layer = p_.state.layers[static_cast<size_t>(i)];
    norm_own(layer.attention_norm, own_.hidden, own_.normed);
    if (c_.block == BlockKind::kParallel && !layer.one_norm)
      norm_own(layer.mlp_norm, own_.hidden, own_.second);
    const Activations input = round_own(own_.normed, c_.width);
    meet_rows();
    if (layer.qkv.present()) {
      linear(input, {{&layer.qkv, w_.qkv, qkv_width()}}, 1);
    } else {
      linear(input,
             {{&layer.query, w_.qkv, qkv_width()},
              {&layer.key, w_.qkv + c_.query_width(), qkv_width()},
              {&layer.value, w_.qkv + c_.query_width() + c_.kv_width(), qkv_width()}},
             3);
    }
    const AttentionShape shape = attention_shape(c_, p_.batch.chunks.front().sequence->layout(), i);
    place_keys(layer, i, shape);
    team_.barrier();
    attention_share(shape, w_.rows, p_.n, next_work(), team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    const Activations attended = round_own(w_.attended, c_.query_width());
    meet_rows();
    linear(attended, {{&layer.attention_output, w_.product, c_.width}}, 1);
    add_product(layer.post_attention_norm);
  }

  // Norms and rotates queries and keys, and stores keys and values: of the thread's rows, or where every thread has the same
  // row, of every n_threads-th head.
  void place_keys(const DecoderLayer& layer, int64_t i, const AttentionShape& shape) {
    const bool local = c_.local(i);
    const RopeConfig& rope = local ? c_.local_rope : c_.rope;
    const float* turns = local ? own_.local_turns : own_.turns;
    const int64_t step = p_.alone ? team_.n_threads() : 1, first = p_.alone ? team_.thread() : 0;
    AttentionShape one_head = shape;
    one_head.n_heads = one_head.n_kv_heads = 1;
    for (int64_t r = begin_; r < end_; ++r) {
      float* q = w_.qkv + r * qkv_width();
      for (int64_t h = first; h < c_.n_heads + c_.n_kv_heads; h += step) {
        const int64_t kv = h - c_.n_heads;  // below 0: a query
        float* x = q + h * c_.head_dim;     // keys follow queries
        if (layer.query_norm.weight)
          norm_rows(kv < 0 ? layer.query_norm : layer.key_norm, x, c_.head_dim, x, c_.head_dim, 1,
                    c_.head_dim, p_.level);
        rope_heads(rope.layout, rope.n_rotated, turns + r * rope.n_rotated, x, 1, c_.head_dim, p_.level);
        if (kv < 0) continue;
        one_head.layer_offset = shape.layer_offset + kv * 2 * kv_block_bytes(shape.format, shape.head_dim);
        store_kv(one_head, x, x + c_.kv_width(), w_.rows[r].pages, w_.rows[r].position, p_.level);
      }
    }
  }

  void mlp(int64_t i) {
    const DecoderLayer& layer = p_.state.layers[static_cast<size_t>(i)];
    const bool parallel = c_.block == BlockKind::kParallel;
    float* x = parallel && !layer.one_norm ? own_.second : own_.normed;
    if (!parallel) norm_own(layer.mlp_norm, own_.hidden, x);
    const Activations input = round_own(x, c_.width);
    meet_rows();
    const int64_t count = (end_ - begin_) * c_.mlp_width;
    float* inner = own_.inner + begin_ * c_.mlp_width;
    if (c_.mlp == MlpKind::kGated) {
      linear(input, {{&layer.gate, w_.gate, c_.mlp_width}, {&layer.up, w_.up, c_.mlp_width}}, 2);
      if (p_.alone) std::copy_n(w_.gate, count, inner);
      activate_gated(c_.activation, inner, w_.up + begin_ * c_.mlp_width, count, p_.level);
    } else {
      linear(input, {{&layer.up, w_.up, c_.mlp_width}}, 1);
      if (p_.alone) std::copy_n(w_.up, count, inner);
      activate(c_.activation, inner, count, p_.level);
    }
    const Activations wide = round_own(own_.inner, c_.mlp_width);
    meet_rows();
    linear(wide, {{&layer.down, w_.product, c_.width}}, 1);
    add_product(layer.post_mlp_norm);
  }

  // hidden += product, of the thread's rows, after the norm that some architectures put there.
  void add_product(const Norm& post) {
    const float* addend = w_.product;
    if (post.weight) {
      norm_own(post, w_.product, own_.addend);
      addend = own_.addend;
    }
    add(own_.hidden + begin_ * c_.width, addend + begin_ * c_.width, (end_ - begin_) * c_.width, p_.level);
  }

  void write_hidden() {
    const int64_t count = static_cast<int64_t>(p_.batch.hidden_rows.size());
    for (int64_t i = share(count, 0); i < share(count, 1); ++i)
      norm_rows(p_.state.output_norm, own_.hidden + p_.batch.hidden_rows[static_cast<size_t>(i)] * c_.width,
                c_.width, p_.outputs.hidden + i * c_.width, c_.width, 1, c_.width, p_.level);
  }

  void write_logits() {
    const int64_t count = static_cast<int64_t>(p_.batch.logits_rows.size());
    if (count == 0) return;
    begin_ = p_.alone ? 0 : share(count, 0);
    end_ = p_.alone ? count : share(count, 1);
    for (int64_t i = begin_; i < end_; ++i)
      norm_rows(p_.state.output_norm, own_.hidden + p_.batch.logits_rows[static_cast<size_t>(i)] * c_.width,
                c_.width, own_.normed + i * c_.width, c_.width, 1, c_.width, p_.level);
    Activations input = round_own(own_.normed, c_.width);
    input.m = count;
    meet_rows();
    linear(input, {{&p_.state.output, p_.outputs.logits, c_.vocabulary}}, 1);
    if (c_.logit_softcap > 0) {
      const int64_t all = count * c_.vocabulary;
      soft_cap(c_.logit_softcap, p_.outputs.logits + share(all, 0), share(all, 1) - share(all, 0), p_.level);
    }
  }

  // Products of `a`, whose rounding is in place, with up to kMaxTerms layers; then, after a barrier, the thread
  // adds adapters to its own rows.
  void linear(const Activations& a, const LinearTerm (&terms)[kMaxTerms], int n_terms) {
    MatmulTerm products[kMaxTerms];
    for (int i = 0; i < n_terms; ++i)
      products[i] = {&terms[i].linear->w, terms[i].y, terms[i].y_stride, terms[i].linear->bias};
    matmul_share(a, products, n_terms, next_work(), team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    for (const LoraTerm& adapter : p_.batch.adapters)
      for (int i = 0; i < n_terms; ++i) add_low_rank(a, terms[i], adapter);
  }

  void add_low_rank(const Activations& a, const LinearTerm& term, const LoraTerm& adapter) {
    if (term.linear->index < 0) return;
    const LowRankPair& pair = adapter.adapter->state().pairs[static_cast<size_t>(term.linear->index)];
    if (pair.a.n == 0) return;
    const MatmulTerm down = {&pair.a, w_.low_rank, pair.a.n};
    matmul_share(a, &down, 1, next_work(), team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    Activations low = {w_.low_rank, a.m, pair.a.n, pair.a.n, nullptr};
    const MatmulTerm up = {&pair.b, w_.low_rank_out, pair.b.n};
    matmul_share(low, &up, 1, next_work(), team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    const float scale = pair.scale * adapter.scale;
    for (int64_t r = begin_; r < end_; ++r) {
      float* y = term.y + r * term.y_stride;
      const float* x = w_.low_rank_out + r * pair.b.n;
      for (int64_t i = 0; i < pair.b.n; ++i) y[i] += scale * x[i];
    }
    team_.barrier();  // before the buffers are used again
  }

  // y = norm(x) of the thread's rows.
  void norm_own(const Norm& norm, const float* x, float* y) const {
    const int64_t at = begin_ * c_.width;
    norm_rows(norm, x + at, c_.width, y + at, c_.width, end_ - begin_, c_.width, p_.level);
  }

  // All rows of `x` as the input of a product, those of the thread rounded. The rounded rows lie one after another: the
  // thread's are an Activations of their own.
  Activations round_own(const float* x, int64_t k) const {
    const Activations all = {x, p_.n, k, k, own_.rounded};
    if (!p_.state.rounds_activations) return all;
    Activations own = all;
    own.x = x + begin_ * k;
    own.m = end_ - begin_;
    own.scratch = static_cast<std::byte*>(all.scratch) + activations_bytes(begin_, k);
    quantize_activations_share(own, 0, 1, p_.level);
    return all;
  }

  int64_t qkv_width() const { return c_.query_width() + 2 * c_.kv_width(); }

  Pass& p_;
  const DecoderConfig& c_;
  const Workspace& w_;
  Team team_;
  int64_t begin_, end_;  // the thread's rows
  RowBuffers own_;
  int work_ = 0;  // of the next loop that is shared out
};

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

Status check_rows(std::span<const int32_t> rows, int64_t n, const void* out, const char* what) {
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] < 0 || rows[i] >= n || (i > 0 && rows[i] <= rows[i - 1]))
      return invalid(std::string("rows of ") + what + " must ascend within the batch")
          .expected("0 to " + std::to_string(n - 1))
          .got(std::to_string(rows[i]));
  if (!rows.empty() && !out) return invalid(std::string("no memory is given for ") + what);
  return Status();
}

// Tokens, and the rows in the place of some.
Status check_inputs(const DecoderConfig& c, const DecoderChunk& chunk) {
  const auto n = static_cast<int64_t>(chunk.tokens.size());
  int64_t next = 0;  // token that is not checked yet
  const auto check_tokens = [&](int64_t end) {
    for (; next < end; ++next)
      if (const int32_t token = chunk.tokens[static_cast<size_t>(next)]; token < 0 || token >= c.vocabulary)
        return invalid("a token id is out of range")
            .expected("0 to " + std::to_string(c.vocabulary - 1))
            .got(std::to_string(token));
    return Status();
  };
  for (const EmbeddedRows& rows : chunk.embedded) {
    if (rows.begin < next || rows.count < 1 || rows.count > n || rows.begin > n - rows.count || !rows.rows)
      return invalid("embedded rows must ascend within their chunk, apart from each other")
          .expected("some of the tokens " + std::to_string(next) + " to " + std::to_string(n - 1))
          .got(std::to_string(rows.count) + " rows from token " + std::to_string(rows.begin) + " on");
    if (Status valid = check_tokens(rows.begin); !valid.ok()) return valid;
    next = rows.begin + rows.count;
  }
  return check_tokens(n);
}

Status check_chunk(const DecoderConfig& c, const KvLayout& layout, const DecoderChunk& chunk) {
  if (!chunk.sequence || chunk.tokens.empty()) return invalid("a chunk needs a sequence and tokens");
  const KvLayout& got = chunk.sequence->layout();
  if (got.n_layers != c.n_layers || got.n_kv_heads != c.n_kv_heads || got.head_dim != c.head_dim ||
      got.format != layout.format)
    return invalid("a sequence belongs to a KV cache of another layout").hint("see Decoder::kv_layout()");
  if (Status valid = check_inputs(c, chunk); !valid.ok()) return valid;
  const int64_t end = chunk.sequence->length() + static_cast<int64_t>(chunk.tokens.size());
  if (c.learned_positions && end > c.context_length)
    return Status(StatusCode::kOutOfRange, "the sequence exceeds the positions that the model has learned")
        .expected("at most " + std::to_string(c.context_length) + " tokens")
        .got(std::to_string(end));
  return Status();
}

// Lets the chunk's rows that come embedded, the first of them at first_row of the batch, be read.
void place_embedded(const DecoderConfig& c, const DecoderChunk& chunk, int64_t first_row,
                    const Workspace& w) {
  for (const EmbeddedRows& rows : chunk.embedded)
    for (int64_t i = 0; i < rows.count; ++i) {
      const int64_t r = first_row + rows.begin + i;
      w.embedded[r] = rows.rows + i * c.width;
      if (c.pictures_see_themselves) w.rows[r].ahead = rows.count - 1 - i;
    }
}

}  // namespace

AttentionShape attention_shape(const DecoderConfig& c, const KvLayout& kv, int64_t layer) {
  AttentionShape shape;
  shape.n_heads = c.n_heads;
  shape.n_kv_heads = c.n_kv_heads;
  shape.head_dim = c.head_dim;
  shape.format = kv.format;
  shape.scale = c.attention_scale;
  shape.softcap = c.attention_softcap;
  shape.window = c.local(layer) ? c.sliding_window : 0;
  shape.layer_offset = layer * (kv.page_bytes() / c.n_layers);
  return shape;
}

void give_back(const DecoderBatch& batch) {
  for (const DecoderChunk& chunk : batch.chunks) chunk.sequence->truncate(chunk.sequence->length());
}

Result<int64_t> check_batch(const Decoder::State& state, const DecoderBatch& batch, const void* logits,
                            const void* hidden) {
  if (!state.loaded) return invalid("the decoder's weights are not loaded");
  if (batch.chunks.empty()) return invalid("an empty batch");
  if (!batch.chunks.front().sequence) return invalid("a chunk needs a sequence and tokens");
  int64_t n = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    Status valid = check_chunk(state.config, batch.chunks.front().sequence->layout(), chunk);
    if (!valid.ok()) return valid;
    for (const DecoderChunk* other = batch.chunks.data(); other != &chunk; ++other)
      if (other->sequence == chunk.sequence) return invalid("a sequence appears twice in a batch");
    n += static_cast<int64_t>(chunk.tokens.size());
  }
  if (Status valid = check_rows(batch.logits_rows, n, logits, "logits"); !valid.ok()) return valid;
  if (Status valid = check_rows(batch.hidden_rows, n, hidden, "hidden states"); !valid.ok()) return valid;
  return n;
}

int64_t Decoder::workspace_bytes(int64_t n_tokens, int64_t total_rank) const {
  Workspace layout;
  RowBuffers alone;
  const DecoderConfig& c = state_->config;
  return std::max(
      layout.place(nullptr, c, n_tokens, total_rank),
      layout.place(nullptr, c, 1, total_rank) + kMostAlone * Workspace::place_alone(nullptr, c, alone));
}

Status Decoder::forward(const DecoderBatch& batch, const DecoderOutputs& outputs,
                        std::span<std::byte> workspace, Executor executor, const StopRequest& stop) const {
  const DecoderConfig& c = state_->config;
  const Result<int64_t> checked = check_batch(*state_, batch, outputs.logits, outputs.hidden);
  if (!checked.ok()) return checked.status();
  const int64_t n = *checked;
  for (const DecoderChunk& chunk : batch.chunks)
    for (const EmbeddedRows& rows : chunk.embedded)
      if (rows.memory != RowsMemory::kHost) return invalid("embedded rows are in a device's memory");
  const Result<int64_t> rank = total_rank(*state_, batch.adapters, "");
  if (!rank.ok()) return rank.status();
  const int64_t needed = workspace_bytes(n, *rank);
  if (static_cast<int64_t>(workspace.size()) < needed ||
      reinterpret_cast<uintptr_t>(workspace.data()) % 64 != 0)
    return Status(StatusCode::kOutOfMemory, "the decoder's workspace is too small or not aligned to 64 bytes")
        .expected(std::to_string(needed) + " bytes for " + std::to_string(n) + " tokens")
        .got(std::to_string(workspace.size()));

  Pass pass{*state_, batch, outputs, stop, active_isa(), n, false, {}, {}};
  const int64_t shared = pass.w.place(workspace.data(), c, n, *rank);
  RowBuffers alone;
  const int64_t for_all = executor.max_threads() * Workspace::place_alone(nullptr, c, alone);
  pass.alone = n == 1 && batch.adapters.empty() && executor.max_threads() > 1 &&
               shared + for_all <= static_cast<int64_t>(workspace.size());
  for (int i = 0; i < kWorks; ++i) new (pass.w.works + i) SharedWork();
  int64_t row = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    const int64_t first_row = row;
    if (Status room = chunk.sequence->reserve(static_cast<int64_t>(chunk.tokens.size())); !room.ok()) {
      give_back(batch);
      return room;
    }
    for (size_t i = 0; i < chunk.tokens.size(); ++i, ++row) {
      AttentionRow& r = *new (pass.w.rows + row) AttentionRow();
      r.q = pass.w.qkv + row * (c.query_width() + 2 * c.kv_width());
      r.y = pass.w.attended + row * c.query_width();
      r.pages = chunk.sequence->pages().data();
      r.position = chunk.sequence->length() + static_cast<int64_t>(i);
      pass.w.tokens[row] = chunk.tokens[i];
      pass.w.embedded[row] = nullptr;
    }
    place_embedded(c, chunk, first_row, pass.w);
  }
  executor.run([&pass](Team team) { Walker(pass, team).walk(); });
  if (pass.stopped.load(std::memory_order_relaxed)) {
    give_back(batch);
    return Status(StatusCode::kCancelled, "stopped on request");
  }
  for (const DecoderChunk& chunk : batch.chunks)
    chunk.sequence->commit(static_cast<int64_t>(chunk.tokens.size()));
  return Status();
}

}  // namespace weft
