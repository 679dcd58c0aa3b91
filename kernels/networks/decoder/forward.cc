// The forward pass: one team of threads walks all layers together, with a barrier between steps, so that a token
// costs one dispatch and not hundreds.
//
// Steps that treat rows apart (norms, rotation, activation, sums) are split by rows, the same split every time: a
// thread meets the rows that it made itself, and two such steps in a row need no barrier. Products and attention
// are split by output columns and by heads. No sum is split over threads.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "kernels/networks/decoder/decoder_state.h"
#include "kernels/networks/decoder/lora_state.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/ops/attention/attention.h"
#include "kernels/ops/rope/rope.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

constexpr int kMaxTerms = 3;  // products of one input

// Where the pass keeps what lives only during it. Also the arithmetic of workspace_bytes().
struct Workspace {
  float* hidden = nullptr;    // [n, width] the residual stream
  float* normed = nullptr;    // [n, width] input of attention and MLP, and what the output reads
  float* second = nullptr;    // [n, width] input of the MLP, in parallel blocks with two norms
  float* qkv = nullptr;       // [n, query_width + 2 kv_width]
  float* attended = nullptr;  // [n, query_width]
  float* product = nullptr;   // [n, width] what is added to the residual stream
  float* gate = nullptr;      // [n, mlp_width]
  float* up = nullptr;        // [n, mlp_width]
  void* rounded = nullptr;    // activations_bytes()
  float* turns = nullptr;     // [n, n_rotated] cosine and sine
  float* local_turns = nullptr;
  AttentionRow* rows = nullptr;   // [n]
  int32_t* tokens = nullptr;      // [n]
  float* low_rank = nullptr;      // [n, total_rank]
  float* low_rank_out = nullptr;  // [n, widest output of an adapted layer]

  // Lays the parts out from `base`, or nowhere if it is null; returns the bytes.
  int64_t place(std::byte* base, const DecoderConfig& c, int64_t n, int64_t total_rank) {
    int64_t at = 0;
    const auto take = [&](auto*& part, int64_t bytes) {
      part = reinterpret_cast<std::remove_reference_t<decltype(part)>>(base ? base + at : nullptr);
      at += (bytes + 63) / 64 * 64;
    };
    const bool gated = c.mlp == MlpKind::kGated, parallel = c.block == BlockKind::kParallel;
    take(hidden, n * c.width * 4);
    take(normed, n * c.width * 4);
    take(second, parallel ? n * c.width * 4 : 0);
    take(qkv, n * (c.query_width() + 2 * c.kv_width()) * 4);
    take(attended, n * c.query_width() * 4);
    take(product, n * c.width * 4);
    take(gate, gated ? n * c.mlp_width * 4 : 0);
    take(up, n * c.mlp_width * 4);
    take(rounded, std::max({activations_bytes(n, c.width), activations_bytes(n, c.query_width()),
                            activations_bytes(n, c.mlp_width)}));
    take(turns, c.rope.layout == RopeLayout::kNone ? 0 : n * c.rope.n_rotated * 4);
    take(local_turns, c.sliding_window > 0 ? n * c.local_rope.n_rotated * 4 : 0);
    take(rows, n * static_cast<int64_t>(sizeof(AttentionRow)));
    take(tokens, n * 4);
    const int64_t widest = std::max({c.width, c.mlp_width, c.query_width() + 2 * c.kv_width()});
    take(low_rank, n * total_rank * 4);
    take(low_rank_out, total_rank > 0 ? n * widest * 4 : 0);
    return at;
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
  int64_t n = 0;  // rows
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
        begin_(share(pass.n, 0)),
        end_(share(pass.n, 1)) {}

  void walk() {
    embed();
    for (int64_t i = 0; i < c_.n_layers; ++i) {
      if (team_.thread() == 0 && p_.stop.requested && p_.stop.requested(p_.stop.context))
        p_.stopped.store(true, std::memory_order_relaxed);
      attention(i);
      if (p_.stopped.load(std::memory_order_relaxed)) return;  // set before a barrier: all threads agree
      mlp(i);
    }
    team_.barrier();  // outputs are split by other rows
    write_hidden();
    write_logits();
  }

 private:
  int64_t share(int64_t rows, int part) const {
    return rows * (static_cast<int64_t>(team_.thread()) + part) / static_cast<int64_t>(team_.n_threads());
  }

  void embed() {
    const WeightTensor& table = *p_.state.token_embedding;
    const int64_t row_bytes = weights_bytes(table.format, c_.width);
    for (int64_t r = begin_; r < end_; ++r) {
      float* x = w_.hidden + r * c_.width;
      const int64_t position = w_.rows[r].position;
      dequantize(table.format, table.data + w_.tokens[r] * row_bytes, c_.width, x);
      if (c_.embedding_scale != 1)
        for (int64_t i = 0; i < c_.width; ++i) x[i] *= c_.embedding_scale;
      if (p_.state.position_embedding)
        add(x, p_.state.position_embedding + position * c_.width, c_.width, p_.level);
      if (c_.rope.layout != RopeLayout::kNone)
        rope_cos_sin(p_.state.frequencies.data(), c_.rope.n_rotated, p_.state.rope_magnitude, position,
                     w_.turns + r * c_.rope.n_rotated);
      if (!p_.state.local_frequencies.empty())
        rope_cos_sin(p_.state.local_frequencies.data(), c_.local_rope.n_rotated,
                     p_.state.local_rope_magnitude, position, w_.local_turns + r * c_.local_rope.n_rotated);
      w_.rows[r].q = w_.qkv + r * qkv_width();
      w_.rows[r].y = w_.attended + r * c_.query_width();
    }
  }

  void attention(int64_t i) {
    const DecoderLayer& layer = p_.state.layers[static_cast<size_t>(i)];
    norm_rows(layer.attention_norm, w_.hidden + begin_ * c_.width, c_.width, w_.normed + begin_ * c_.width,
              c_.width, end_ - begin_, c_.width, p_.level);
    if (c_.block == BlockKind::kParallel && !layer.one_norm)
      norm_rows(layer.mlp_norm, w_.hidden + begin_ * c_.width, c_.width, w_.second + begin_ * c_.width,
                c_.width, end_ - begin_, c_.width, p_.level);
    const Activations input = activations(w_.normed, p_.n, c_.width);
    round_own_rows(input);
    team_.barrier();
    if (layer.qkv.present()) {
      linear(input, {{&layer.qkv, w_.qkv, qkv_width()}}, 1);
    } else {
      linear(input,
             {{&layer.query, w_.qkv, qkv_width()},
              {&layer.key, w_.qkv + c_.query_width(), qkv_width()},
              {&layer.value, w_.qkv + c_.query_width() + c_.kv_width(), qkv_width()}},
             3);
    }
    const AttentionShape shape = attention_shape(i);
    place_keys(layer, i, shape);
    team_.barrier();
    attention_share(shape, w_.rows, p_.n, team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    const Activations attended = activations(w_.attended, p_.n, c_.query_width());
    round_own_rows(attended);
    team_.barrier();
    linear(attended, {{&layer.attention_output, w_.product, c_.width}}, 1);
    add_product(layer.post_attention_norm);
  }

  AttentionShape attention_shape(int64_t i) const {
    const KvLayout& kv = p_.batch.chunks.front().sequence->layout();
    AttentionShape shape;
    shape.n_heads = c_.n_heads;
    shape.n_kv_heads = c_.n_kv_heads;
    shape.head_dim = c_.head_dim;
    shape.format = kv.format;
    shape.scale = c_.attention_scale;
    shape.softcap = c_.attention_softcap;
    shape.window = c_.local(i) ? c_.sliding_window : 0;
    shape.layer_offset = i * (kv.page_bytes() / c_.n_layers);
    return shape;
  }

  // Norms and rotates queries and keys, and stores keys and values, of the thread's rows.
  void place_keys(const DecoderLayer& layer, int64_t i, const AttentionShape& shape) {
    const bool local = c_.local(i);
    const RopeConfig& rope = local ? c_.local_rope : c_.rope;
    const float* turns = local ? w_.local_turns : w_.turns;
    for (int64_t r = begin_; r < end_; ++r) {
      float* q = w_.qkv + r * qkv_width();
      float* k = q + c_.query_width();
      if (layer.query_norm.weight) {
        norm_rows(layer.query_norm, q, c_.head_dim, q, c_.head_dim, c_.n_heads, c_.head_dim, p_.level);
        norm_rows(layer.key_norm, k, c_.head_dim, k, c_.head_dim, c_.n_kv_heads, c_.head_dim, p_.level);
      }
      rope_heads(rope.layout, rope.n_rotated, turns + r * rope.n_rotated, q, c_.n_heads + c_.n_kv_heads,
                 c_.head_dim, p_.level);
      store_kv(shape, k, k + c_.kv_width(), w_.rows[r].pages, w_.rows[r].position, p_.level);
    }
  }

  void mlp(int64_t i) {
    const DecoderLayer& layer = p_.state.layers[static_cast<size_t>(i)];
    const bool parallel = c_.block == BlockKind::kParallel;
    float* x = parallel && !layer.one_norm ? w_.second : w_.normed;
    if (!parallel)
      norm_rows(layer.mlp_norm, w_.hidden + begin_ * c_.width, c_.width, x + begin_ * c_.width, c_.width,
                end_ - begin_, c_.width, p_.level);
    const Activations input = activations(x, p_.n, c_.width);
    round_own_rows(input);
    team_.barrier();
    const int64_t own = (end_ - begin_) * c_.mlp_width;
    float* inner = w_.up;
    if (c_.mlp == MlpKind::kGated) {
      inner = w_.gate;
      linear(input, {{&layer.gate, w_.gate, c_.mlp_width}, {&layer.up, w_.up, c_.mlp_width}}, 2);
      activate_gated(c_.activation, w_.gate + begin_ * c_.mlp_width, w_.up + begin_ * c_.mlp_width, own,
                     p_.level);
    } else {
      linear(input, {{&layer.up, w_.up, c_.mlp_width}}, 1);
      activate(c_.activation, w_.up + begin_ * c_.mlp_width, own, p_.level);
    }
    const Activations wide = activations(inner, p_.n, c_.mlp_width);
    round_own_rows(wide);
    team_.barrier();
    linear(wide, {{&layer.down, w_.product, c_.width}}, 1);
    add_product(layer.post_mlp_norm);
  }

  // hidden += product, of the thread's rows, after the norm that some architectures put there.
  void add_product(const Norm& post) {
    float* product = w_.product + begin_ * c_.width;
    if (post.weight) norm_rows(post, product, c_.width, product, c_.width, end_ - begin_, c_.width, p_.level);
    add(w_.hidden + begin_ * c_.width, product, (end_ - begin_) * c_.width, p_.level);
  }

  void write_hidden() {
    const int64_t count = static_cast<int64_t>(p_.batch.hidden_rows.size());
    for (int64_t i = share(count, 0); i < share(count, 1); ++i)
      norm_rows(p_.state.output_norm, w_.hidden + p_.batch.hidden_rows[static_cast<size_t>(i)] * c_.width,
                c_.width, p_.outputs.hidden + i * c_.width, c_.width, 1, c_.width, p_.level);
  }

  void write_logits() {
    const int64_t count = static_cast<int64_t>(p_.batch.logits_rows.size());
    if (count == 0) return;
    begin_ = share(count, 0);
    end_ = share(count, 1);
    for (int64_t i = begin_; i < end_; ++i)
      norm_rows(p_.state.output_norm, w_.hidden + p_.batch.logits_rows[static_cast<size_t>(i)] * c_.width,
                c_.width, w_.normed + i * c_.width, c_.width, 1, c_.width, p_.level);
    const Activations input = activations(w_.normed, count, c_.width);
    round_own_rows(input);
    team_.barrier();
    linear(input, {{&p_.state.output, p_.outputs.logits, c_.vocabulary}}, 1);
    if (c_.logit_softcap > 0)
      soft_cap(c_.logit_softcap, p_.outputs.logits + begin_ * c_.vocabulary, (end_ - begin_) * c_.vocabulary,
               p_.level);
  }

  // Products of `a`, whose rounding is in place, with up to kMaxTerms layers; then, after a barrier, the thread
  // adds biases and adapters to its own rows.
  void linear(const Activations& a, const LinearTerm (&terms)[kMaxTerms], int n_terms) {
    MatmulTerm products[kMaxTerms];
    for (int i = 0; i < n_terms; ++i) products[i] = {&terms[i].linear->w, terms[i].y, terms[i].y_stride};
    matmul_share(a, products, n_terms, team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    for (int i = 0; i < n_terms; ++i)
      if (const float* bias = terms[i].linear->bias)
        for (int64_t r = begin_; r < end_; ++r)
          add(terms[i].y + r * terms[i].y_stride, bias, terms[i].linear->w.n, p_.level);
    for (const LoraTerm& adapter : p_.batch.adapters)
      for (int i = 0; i < n_terms; ++i) add_low_rank(a, terms[i], adapter);
  }

  void add_low_rank(const Activations& a, const LinearTerm& term, const LoraTerm& adapter) {
    if (term.linear->index < 0) return;
    const LowRankPair& pair = adapter.adapter->state().pairs[static_cast<size_t>(term.linear->index)];
    if (pair.a.n == 0) return;
    const MatmulTerm down = {&pair.a, w_.low_rank, pair.a.n};
    matmul_share(a, &down, 1, team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    Activations low = {w_.low_rank, a.m, pair.a.n, pair.a.n, nullptr};
    const MatmulTerm up = {&pair.b, w_.low_rank_out, pair.b.n};
    matmul_share(low, &up, 1, team_.thread(), team_.n_threads(), p_.level);
    team_.barrier();
    const float scale = pair.scale * adapter.scale;
    for (int64_t r = begin_; r < end_; ++r) {
      float* y = term.y + r * term.y_stride;
      const float* x = w_.low_rank_out + r * pair.b.n;
      for (int64_t i = 0; i < pair.b.n; ++i) y[i] += scale * x[i];
    }
    team_.barrier();  // before the buffers are used again
  }

  Activations activations(const float* x, int64_t rows, int64_t k) const {
    return {x, rows, k, k, w_.rounded};
  }

  // The rounded rows of `a` lie one after another: this thread's are an Activations of their own.
  void round_own_rows(const Activations& a) const {
    if (!p_.state.rounds_activations) return;
    Activations own = a;
    own.x = a.x + begin_ * a.x_stride;
    own.m = end_ - begin_;
    own.scratch = static_cast<std::byte*>(a.scratch) + activations_bytes(begin_, a.k);
    quantize_activations_share(own, 0, 1, p_.level);
  }

  int64_t qkv_width() const { return c_.query_width() + 2 * c_.kv_width(); }

  Pass& p_;
  const DecoderConfig& c_;
  const Workspace& w_;
  Team team_;
  int64_t begin_, end_;  // the thread's rows
};

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

Status check_rows(std::span<const int32_t> rows, int64_t n, const float* out, const char* what) {
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] < 0 || rows[i] >= n || (i > 0 && rows[i] <= rows[i - 1]))
      return invalid(std::string("rows of ") + what + " must ascend within the batch")
          .expected("0 to " + std::to_string(n - 1))
          .got(std::to_string(rows[i]));
  if (!rows.empty() && !out) return invalid(std::string("no memory is given for ") + what);
  return Status();
}

Status check_chunk(const DecoderConfig& c, const KvLayout& layout, const DecoderChunk& chunk) {
  if (!chunk.sequence || chunk.tokens.empty()) return invalid("a chunk needs a sequence and tokens");
  const KvLayout& got = chunk.sequence->layout();
  if (got.n_layers != c.n_layers || got.n_kv_heads != c.n_kv_heads || got.head_dim != c.head_dim ||
      got.format != layout.format)
    return invalid("a sequence belongs to a KV cache of another layout").hint("see Decoder::kv_layout()");
  for (int32_t token : chunk.tokens)
    if (token < 0 || token >= c.vocabulary)
      return invalid("a token id is out of range")
          .expected("0 to " + std::to_string(c.vocabulary - 1))
          .got(std::to_string(token));
  const int64_t end = chunk.sequence->length() + static_cast<int64_t>(chunk.tokens.size());
  if (c.learned_positions && end > c.context_length)
    return Status(StatusCode::kOutOfRange, "the sequence exceeds the positions that the model has learned")
        .expected("at most " + std::to_string(c.context_length) + " tokens")
        .got(std::to_string(end));
  return Status();
}

// Frees what was reserved for tokens that were not committed.
void give_back(const DecoderBatch& batch) {
  for (const DecoderChunk& chunk : batch.chunks) chunk.sequence->truncate(chunk.sequence->length());
}

}  // namespace

int64_t Decoder::workspace_bytes(int64_t n_tokens, int64_t total_rank) const {
  Workspace layout;
  return layout.place(nullptr, state_->config, n_tokens, total_rank);
}

Status Decoder::forward(const DecoderBatch& batch, const DecoderOutputs& outputs,
                        std::span<std::byte> workspace, Executor executor, const StopRequest& stop) const {
  const DecoderConfig& c = state_->config;
  if (!state_->loaded) return invalid("the decoder's weights are not loaded");
  if (batch.chunks.empty()) return invalid("an empty batch");
  if (!batch.chunks.front().sequence) return invalid("a chunk needs a sequence and tokens");
  int64_t n = 0, total_rank = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    Status valid = check_chunk(c, batch.chunks.front().sequence->layout(), chunk);
    if (!valid.ok()) return valid;
    for (const DecoderChunk* other = batch.chunks.data(); other != &chunk; ++other)
      if (other->sequence == chunk.sequence) return invalid("a sequence appears twice in a batch");
    n += static_cast<int64_t>(chunk.tokens.size());
  }
  if (Status valid = check_rows(batch.logits_rows, n, outputs.logits, "logits"); !valid.ok()) return valid;
  if (Status valid = check_rows(batch.hidden_rows, n, outputs.hidden, "hidden states"); !valid.ok())
    return valid;
  for (const LoraTerm& term : batch.adapters) {
    if (!term.adapter || term.adapter->state().pairs.size() != state_->linears.size())
      return invalid("an adapter that was made for another model");
    total_rank += term.adapter->rank();
  }
  const int64_t needed = workspace_bytes(n, total_rank);
  if (static_cast<int64_t>(workspace.size()) < needed ||
      reinterpret_cast<uintptr_t>(workspace.data()) % 64 != 0)
    return Status(StatusCode::kOutOfMemory, "the decoder's workspace is too small or not aligned to 64 bytes")
        .expected(std::to_string(needed) + " bytes for " + std::to_string(n) + " tokens")
        .got(std::to_string(workspace.size()));

  Pass pass{*state_, batch, outputs, stop, active_isa(), n, {}, {}};
  pass.w.place(workspace.data(), c, n, total_rank);
  int64_t row = 0;
  for (const DecoderChunk& chunk : batch.chunks) {
    if (Status room = chunk.sequence->reserve(static_cast<int64_t>(chunk.tokens.size())); !room.ok()) {
      give_back(batch);
      return room;
    }
    for (size_t i = 0; i < chunk.tokens.size(); ++i, ++row) {
      AttentionRow& r = *new (pass.w.rows + row) AttentionRow();
      r.pages = chunk.sequence->pages().data();
      r.position = chunk.sequence->length() + static_cast<int64_t>(i);
      pass.w.tokens[row] = chunk.tokens[i];
    }
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
