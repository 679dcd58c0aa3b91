/// Decoder-only transformers: one forward pass for every architecture whose shapes and switches DecoderConfig
/// can say (llama, qwen2, qwen3, gemma3, gpt2, falcon; architectures/ holds one small file each).
///
/// Two stages. open() reads headers only: the configuration, every tensor's presence and shape, exact sizes.
/// load() packs the weights into a store. After that forward() computes a ragged batch over any number of
/// sequences.
///
/// Numerics: f32 activations. The bits of a token's outputs depend on the model, the adapters, the tokens and embedded
/// rows before it in its sequence (and those of its own picture), the format of the KV cache and the ISA level: not on the
/// rest of the batch, on how a prompt is cut into chunks, or on the number of threads.
///
/// Ownership: a Decoder refers to the WeightFile and the PackedWeightStore, which outlive it; workspace and
/// outputs are the caller's. Thread safety: after load() const members may be called by several threads, each
/// with its own KV cache and workspace.
///
///   Result<Decoder> decoder = Decoder::open(file);
///   HeapWeightStore store;
///   Status loaded = decoder->load(store, "sha256-of-the-file", executor);
///   Result<KvCache> cache = KvCache::create(decoder->kv_layout(KvFormat::kF16), 64 << 20);
///   KvSequence sequence = cache->new_sequence();
///   DecoderChunk chunk{&sequence, prompt};
///   int32_t last = prompt.size() - 1;
///   Status done = decoder->forward({.chunks = {&chunk, 1}, .logits_rows = {&last, 1}},
///                                  {.logits = logits.data()}, workspace, executor);
#ifndef WEFT_KERNELS_NETWORKS_DECODER_DECODER_H
#define WEFT_KERNELS_NETWORKS_DECODER_DECODER_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/layers/packed_weight_store.h"
#include "kernels/layers/stop_request.h"
#include "kernels/networks/decoder/decoder_config.h"
#include "kernels/networks/decoder/kv_cache.h"

namespace weft {

class LoraAdapter;
class WeightFile;

/// Where embedded rows lie. kDevice: in the memory of a DeviceDecoder's device, aligned to 16 bytes, and for it alone.
enum class RowsMemory : uint8_t { kHost, kDevice };

/// Rows in the place of some tokens' embeddings: an encoded picture. They enter the first layer as they are, not scaled. Where
/// DecoderConfig::pictures_see_themselves, a picture comes whole, in one of these; elsewhere it may come in parts.
struct EmbeddedRows {
  int64_t begin = 0;  // the first one's place among the chunk's tokens
  int64_t count = 0;
  const float* rows = nullptr;  // [count, width]
  RowsMemory memory = RowsMemory::kHost;
};

/// New tokens of one sequence; their positions follow what the sequence holds.
struct DecoderChunk {
  KvSequence* sequence = nullptr;
  std::span<const int32_t> tokens;              // at least one, each in [0, vocabulary)
  std::span<const EmbeddedRows> embedded = {};  // ascending, apart; the tokens in their places are not read
};

/// A low-rank adapter at a strength; see lora.h.
struct LoraTerm {
  const LoraAdapter* adapter = nullptr;
  float scale = 1;
};

struct DecoderBatch {
  /// Each sequence at most once. Row r of the batch is the r-th token in the order of the chunks.
  std::span<const DecoderChunk> chunks = {};
  /// Rows whose logits are wanted, ascending.
  std::span<const int32_t> logits_rows = {};
  /// Rows whose final hidden states (after the last norm) are wanted, ascending.
  std::span<const int32_t> hidden_rows = {};
  /// Applied to every row of the batch.
  std::span<const LoraTerm> adapters = {};
};

struct DecoderOutputs {
  float* logits = nullptr;  // [logits_rows.size(), vocabulary]
  float* hidden = nullptr;  // [hidden_rows.size(), width]
};

class Decoder {
 public:
  /// Reads headers only. The container decides how names and metadata are read: GGUF, or safetensors with a
  /// Hugging Face config.json. Errors, naming file and tensor or key: kUnsupported (architecture, a switch of it,
  /// a tensor's format), kNotFound (a tensor or key), kInvalidShape (a tensor), kCorruptData (a value out of
  /// its range).
  static Result<Decoder> open(const WeightFile& file);

  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

  const DecoderConfig& config() const;
  /// Exact bytes that load() asks of its store.
  int64_t packed_weights_bytes() const;
  /// Bytes of the file that are read row by row as they are wanted: the token embeddings.
  int64_t mapped_bytes() const;
  KvLayout kv_layout(KvFormat format) const;
  /// Exact bytes of forward()'s workspace for a batch of up to `n_tokens` tokens with adapters whose ranks sum
  /// to `total_rank`. Precondition: both >= 0 and below 2^24.
  int64_t workspace_bytes(int64_t n_tokens, int64_t total_rank = 0) const;

  /// Packs all weights into one entry of `store`. source_key: identifies the file's content (its SHA-256); part
  /// of the entry's key. Errors: the store's, kOutOfMemory.
  Status load(PackedWeightStore& store, std::string_view source_key, Executor executor);
  bool loaded() const;

  /// Appends each chunk's tokens to its sequence and computes the wanted outputs. No allocation but for the
  /// sequences' pages. workspace: workspace_bytes(), aligned to 64. On any error the sequences keep their length.
  /// Errors: kInvalidArgument (a token, row or embedded row out of range, embedded rows in a device's memory, a null pointer, a
  /// sequence of another layout), kOutOfRange (past learned positions), kOutOfMemory (KV pages, workspace too small),
  /// kCancelled. Precondition: loaded().
  Status forward(const DecoderBatch& batch, const DecoderOutputs& outputs, std::span<std::byte> workspace,
                 Executor executor, const StopRequest& stop = {}) const;

  struct State;
  const State& state() const { return *state_; }

 private:
  explicit Decoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
