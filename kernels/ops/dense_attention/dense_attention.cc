#include "kernels/ops/dense_attention/dense_attention.h"

#include <algorithm>
#include <string>

#include "kernels/ops/dense_attention/dense_attention_bodies.h"

namespace weft {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

const char* at(const HeadsView& view, int64_t batch, int64_t token, int64_t component, int64_t element) {
  return static_cast<const char*>(view.data) +
         (batch * view.batch_stride + token * view.token_stride + component) * element;
}

Status check(const DenseAttention& a) {
  const auto shape_error = [](const char* message, std::string expected, std::string got) {
    return Status(StatusCode::kInvalidShape, message).expected(std::move(expected)).got(std::move(got));
  };
  if (a.batch < 0 || a.n_queries < 0 || a.n_queries > kMostTokens || a.n_keys < 1 || a.n_keys > kMostTokens)
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

using Attend = void (*)(const DenseAttentionChunk& chunk);

void share(const DenseAttention& a, void* scratch, uint32_t thread, uint32_t n_threads, Attend attend) {
  const int64_t element = size_bytes(a.dtype), heads = a.batch * a.n_heads;
  if (heads == 0 || a.n_queries == 0) return;
  // Chunks of a head: as few as their limit allows, unless threads would stand idle.
  int64_t n_chunks = (a.n_queries + dense_chunk_rows(a.head_dim) - 1) / dense_chunk_rows(a.head_dim);
  if (heads * n_chunks % n_threads != 0 && heads * n_chunks < 8 * int64_t{n_threads})
    n_chunks =
        std::max((a.n_queries + dense_chunk_rows(a.head_dim) - 1) / dense_chunk_rows(a.head_dim),
                 std::min(n_chunks * n_threads, (a.n_queries + kMostRegisterRows - 1) / kMostRegisterRows));
  const int64_t items = heads * n_chunks;
  DenseAttentionChunk chunk;
  chunk.bf16 = a.dtype == DType::kBF16;
  chunk.causal = a.mask == AttentionMask::kCausal;
  chunk.n_keys = a.n_keys;
  chunk.head_dim = a.head_dim;
  chunk.q_stride = a.q.token_stride;
  chunk.k_stride = a.k.token_stride;
  chunk.v_stride = a.v.token_stride;
  chunk.y_stride = a.y.token_stride;
  chunk.bias_stride = a.bias_query_stride;
  chunk.scale = a.scale;
  chunk.scratch =
      reinterpret_cast<float*>(static_cast<std::byte*>(scratch) + scratch_stride(a.head_dim) * thread);
  for (int64_t i = items * thread / n_threads; i < items * (int64_t{thread} + 1) / n_threads; ++i) {
    const int64_t b = i / n_chunks / a.n_heads, h = i / n_chunks % a.n_heads, part = i % n_chunks;
    chunk.first_query = a.n_queries * part / n_chunks;
    chunk.n_queries = a.n_queries * (part + 1) / n_chunks - chunk.first_query;
    chunk.q = at(a.q, b, chunk.first_query, h * a.head_dim, element);
    chunk.k = at(a.k, b, 0, h * a.head_dim, element);
    chunk.v = at(a.v, b, 0, h * a.head_dim, element);
    chunk.y = const_cast<char*>(at(a.y, b, chunk.first_query, h * a.head_dim, element));
    chunk.bias = a.bias ? a.bias + b * a.bias_batch_stride + h * a.bias_head_stride +
                              chunk.first_query * a.bias_query_stride
                        : nullptr;
    attend(chunk);
  }
}

}  // namespace

int64_t dense_attention_scratch_bytes(int64_t head_dim, uint32_t n_threads) {
  return scratch_stride(head_dim) * n_threads;
}

void dense_attention_share(const DenseAttention& a, void* scratch, uint32_t thread, uint32_t n_threads,
                           IsaLevel level) {
  share(a, scratch, thread, n_threads, WEFT_ISA_BODY_WITH_BF16_AND_AMX(kDenseAttentionBodies, level).attend);
}

void dense_attention_share_by_tiles(const DenseAttention& a, void* scratch, uint32_t thread,
                                    uint32_t n_threads) {
  const bool amx = isa_available(IsaLevel::kAmx);
  share(a, scratch, thread, n_threads,
        (amx ? isa_amx::kDenseAttentionBodies : isa_avx512bf16::kDenseAttentionBodies).attend_by_tiles);
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
