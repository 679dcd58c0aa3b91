#include "kernels/ops/dense_attention/dense_attention.h"

#include <algorithm>
#include <string>

#include "kernels/ops/dense_attention/dense_attention_bodies.h"

namespace weft {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

// Where a sequence's tokens lie.
struct Sequence {
  int64_t batch, first_token, n_queries, n_keys;
};

Sequence sequence(const DenseAttention& a, int64_t b) {
  if (!a.starts) return {b, 0, a.n_queries, a.n_keys};
  const int64_t n = a.starts[b + 1] - a.starts[b];
  return {0, a.starts[b], n, n};
}

const char* at(const HeadsView& view, int64_t batch, int64_t token, int64_t component, int64_t element) {
  return static_cast<const char*>(view.data) +
         (batch * view.batch_stride + token * view.token_stride + component) * element;
}

Status check(const DenseAttention& a) {
  const auto shape_error = [](const char* message, std::string expected, std::string got) {
    return Status(StatusCode::kInvalidShape, message).expected(std::move(expected)).got(std::move(got));
  };
  if (a.starts) {
    if (a.bias)
      return Status(StatusCode::kUnsupported, "attention of sequences of different lengths has no bias");
    for (int64_t b = 0; b < a.batch; ++b)
      if (a.starts[b] < 0 || a.starts[b + 1] <= a.starts[b] || a.starts[b + 1] > kMostTokens)
        return shape_error("attention: sequences do not follow one another", "ascending starts",
                           std::to_string(a.starts[b]) + ", then " + std::to_string(a.starts[b + 1]));
  }
  if (a.batch < 0 ||
      (!a.starts && (a.n_queries < 0 || a.n_queries > kMostTokens || a.n_keys < 1 || a.n_keys > kMostTokens)))
    return shape_error("attention of an impossible shape", "batch and queries >= 0, keys >= 1",
                       "batch " + std::to_string(a.batch) + ", queries " + std::to_string(a.n_queries) +
                           ", keys " + std::to_string(a.n_keys));
  if (a.head_dim < 1 || a.head_dim > kMaxDenseHeadDim || a.n_heads < 1)
    return shape_error("attention: heads out of range",
                       "at least one head of 1 to " + std::to_string(kMaxDenseHeadDim),
                       std::to_string(a.n_heads) + " of " + std::to_string(a.head_dim));
  if (a.dtype != DType::kF32 && a.dtype != DType::kBF16)
    return Status(StatusCode::kUnsupported, "attention reads f32 and bf16");
  for (const HeadsView* view : {&a.q, &a.k, &a.v, &a.y}) {
    if (!view->data) return Status(StatusCode::kInvalidArgument, "attention: a pointer is null");
    if (view->token_stride < a.n_heads * a.head_dim || view->batch_stride < 0)
      return shape_error("attention: a stride is shorter than a token",
                         "at least " + std::to_string(a.n_heads * a.head_dim),
                         std::to_string(view->token_stride));
  }
  return Status();
}

// Bytes between the scratch of two threads.
int64_t scratch_stride(int64_t head_dim) { return (dense_scratch_floats(head_dim) * 4 + 63) / 64 * 64; }

// What computes chunks, and the most queries that one has.
struct Body {
  void (*attend)(const DenseAttentionChunk& chunk);
  int64_t most_rows;
};

Body body_of_tiles(const DenseAttentionBodies& bodies, int64_t head_dim) {
  return {bodies.attend_by_tiles, dense_tile_rows(head_dim)};
}

Body choose_body(const DenseAttention& a, IsaLevel level) {
  const DenseAttentionBodies& bodies = WEFT_ISA_BODY_WITH_BF16_AND_AMX(kDenseAttentionBodies, level);
  // A mask may hide one key of a pair, and a hidden key must not be read: text alone is masked, and short.
  const bool in_pairs = a.dtype == DType::kBF16 && a.mask != AttentionMask::kCausal && a.head_dim % 2 == 0;
  if (in_pairs && level == IsaLevel::kAmx) return body_of_tiles(bodies, a.head_dim);
  return {in_pairs && bodies.attend_by_pairs ? bodies.attend_by_pairs : bodies.attend,
          dense_chunk_rows(a.head_dim)};
}

// Chunks of a head: as few as their limit allows, unless threads would stand idle. heads: of all sequences.
int64_t chunks_of_head(int64_t n_queries, int64_t most_rows, int64_t heads, uint32_t n_threads) {
  const int64_t fewest = (n_queries + most_rows - 1) / most_rows;
  if (heads * fewest % n_threads == 0 || heads * fewest >= 8 * int64_t{n_threads}) return fewest;
  return std::max(fewest,
                  std::min(fewest * n_threads, (n_queries + kMostRegisterRows - 1) / kMostRegisterRows));
}

// Computes chunk `part` of `n_parts` of a head.
class ChunkRunner {
 public:
  ChunkRunner(const DenseAttention& a, void* scratch, uint32_t thread, const Body& body)
      : a_(a), attend_(body.attend) {
    chunk_.bf16 = a.dtype == DType::kBF16;
    chunk_.causal = a.mask == AttentionMask::kCausal;
    chunk_.head_dim = a.head_dim;
    chunk_.q_stride = a.q.token_stride;
    chunk_.k_stride = a.k.token_stride;
    chunk_.v_stride = a.v.token_stride;
    chunk_.y_stride = a.y.token_stride;
    chunk_.bias_stride = a.bias_query_stride;
    chunk_.scale = a.scale;
    chunk_.scratch =
        reinterpret_cast<float*>(static_cast<std::byte*>(scratch) + scratch_stride(a.head_dim) * thread);
  }

  void run(const Sequence& s, int64_t h, int64_t part, int64_t n_parts) {
    const int64_t element = size_bytes(a_.dtype), component = h * a_.head_dim;
    chunk_.n_keys = s.n_keys;
    chunk_.first_query = s.n_queries * part / n_parts;
    chunk_.n_queries = s.n_queries * (part + 1) / n_parts - chunk_.first_query;
    const int64_t query = s.first_token + chunk_.first_query;
    chunk_.q = at(a_.q, s.batch, query, component, element);
    chunk_.k = at(a_.k, s.batch, s.first_token, component, element);
    chunk_.v = at(a_.v, s.batch, s.first_token, component, element);
    chunk_.y = const_cast<char*>(at(a_.y, s.batch, query, component, element));
    chunk_.bias = a_.bias ? a_.bias + s.batch * a_.bias_batch_stride + h * a_.bias_head_stride +
                                chunk_.first_query * a_.bias_query_stride
                          : nullptr;
    attend_(chunk_);
  }

 private:
  const DenseAttention& a_;
  void (*attend_)(const DenseAttentionChunk& chunk);
  DenseAttentionChunk chunk_;
};

void share(const DenseAttention& a, void* scratch, uint32_t thread, uint32_t n_threads, const Body& body) {
  const int64_t heads = a.batch * a.n_heads;
  ChunkRunner runner(a, scratch, thread, body);
  if (!a.starts) {
    if (heads == 0 || a.n_queries == 0) return;
    const int64_t n_chunks = chunks_of_head(a.n_queries, body.most_rows, heads, n_threads);
    const int64_t items = heads * n_chunks;
    for (int64_t i = items * thread / n_threads; i < items * (int64_t{thread} + 1) / n_threads; ++i)
      runner.run(sequence(a, i / n_chunks / a.n_heads), i / n_chunks % a.n_heads, i % n_chunks, n_chunks);
    return;
  }
  // Chunks take as long as their sequences are long: threads take them in turn.
  int64_t i = 0;
  for (int64_t b = 0; b < a.batch; ++b) {
    const Sequence s = sequence(a, b);
    const int64_t n_chunks = chunks_of_head(s.n_queries, body.most_rows, heads, n_threads);
    for (int64_t item = 0; item < a.n_heads * n_chunks; ++item, ++i)
      if (i % n_threads == thread) runner.run(s, item / n_chunks, item % n_chunks, n_chunks);
  }
}

}  // namespace

int64_t dense_attention_scratch_bytes(int64_t head_dim, uint32_t n_threads) {
  return scratch_stride(head_dim) * n_threads;
}

void dense_attention_share(const DenseAttention& a, void* scratch, uint32_t thread, uint32_t n_threads,
                           IsaLevel level) {
  share(a, scratch, thread, n_threads, choose_body(a, level));
}

void dense_attention_share_by_tiles(const DenseAttention& a, void* scratch, uint32_t thread,
                                    uint32_t n_threads) {
  const bool amx = isa_available(IsaLevel::kAmx);
  share(a, scratch, thread, n_threads,
        body_of_tiles(amx ? isa_amx::kDenseAttentionBodies : isa_avx512bf16::kDenseAttentionBodies,
                      a.head_dim));
}

Status dense_attention(const DenseAttention& a, std::span<std::byte> scratch, Executor executor,
                       IsaLevel level) {
  if (Status valid = check(a); !valid.ok()) return valid;
  const int64_t needed = dense_attention_scratch_bytes(a.head_dim, executor.max_threads());
  if (static_cast<int64_t>(scratch.size()) < needed || reinterpret_cast<uintptr_t>(scratch.data()) % 64 != 0)
    return Status(StatusCode::kOutOfMemory, "attention: the scratch is too small or not aligned to 64 bytes")
        .expected(std::to_string(needed) + " bytes")
        .got(std::to_string(scratch.size()));
  executor.run(
      [&](Team team) { dense_attention_share(a, scratch.data(), team.thread(), team.n_threads(), level); });
  return Status();
}

}  // namespace weft
